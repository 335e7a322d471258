"""Trust checks on a backup: foreign settings, code and secrets are not taken over unseen."""

from __future__ import annotations

import re
import sqlite3
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from app.backup.places import CannotKeep, Places
from app.backup.stores import make_empty
from app.records.database.sqlite_files import file_of

SECRET = re.compile(r"token|secret|password|notify_urls", re.IGNORECASE)
IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]*@")
# tables of SQLite itself and of Alembic
OWN = ("sqlite_", "alembic_version")


class SettingsUntrusted(CannotKeep):
    """A backup contains settings that were not accepted; `settings` are the lines to show."""

    def __init__(self, settings: list[str]) -> None:
        shown = "\n".join(f"  {line}" for line in settings)
        super().__init__(
            f"This backup contains settings:\n{shown}\n"
            "Check them; --trust-settings accepts them. Nothing was changed."
        )
        self.settings = settings


def settings_in(file: Path) -> list[str]:
    """Return the settings of a `runyard.toml`, one per line, secrets masked. Raises CannotKeep."""
    try:
        found = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotKeep(f"The settings in this backup cannot be read: {error}.") from error
    # escaped: a terminal would obey control characters in a foreign file
    return [f"{ascii(name)[1:-1]} = {_shown(name, value)}" for name, value in found.items()]


def refuse_far_places(places: Places, own: Places) -> None:
    """Raise CannotKeep if a backup's settings name a file outside the data folder.

    `own` are the places in this folder's own settings and environment; they may be anywhere.
    """
    files = {name: file_of(url) for name, url in places.stores.items()}
    known = {file_of(url) for url in own.stores.values()} | {own.runs}
    for file in (*files.values(), places.runs):
        if file is None or file in known or file.resolve().is_relative_to(own.data.resolve()):
            continue
        raise CannotKeep(
            f"The settings in this backup name {file}, which is outside the data folder: nothing "
            "is written there. To allow it, set it in this server's environment."
        )


def refuse_foreign_schema(database: Path, schema: str, now: datetime) -> None:
    """Raise CannotKeep if a database has objects that are not Runyard's, or lacks a trigger."""
    with tempfile.TemporaryDirectory(prefix="schema-", dir=database.parent) as folder:
        fresh = Path(folder) / "fresh.db"
        make_empty(fresh, schema, now)
        ours, theirs = _objects(fresh), _objects(database)
    for name, (kind, text) in theirs.items():
        known = ours.get(name)
        is_code = kind in ("trigger", "view") or text.upper().startswith("CREATE VIRTUAL")
        if known is None or known[0] != kind or (is_code and known[1] != text):
            raise CannotKeep(
                f"The database in this backup holds a {kind} that is not Runyard's ({name[:80]}): "
                "nothing was restored."
            )

    for name, (kind, _) in ours.items():
        if kind == "trigger" and name not in theirs:
            raise CannotKeep(
                f"The database in this backup lacks a guard of the audit ({name}): nothing was "
                "restored."
            )


def make_harmless(database: Path) -> list[str]:
    """Delete sign-ins and devices of a foreign database, and switch its auto loops off.

    Returns the ids of the projects whose loop was on.
    """
    with closing(sqlite3.connect(database)) as opened, opened:
        looping = opened.execute("SELECT id FROM project WHERE auto_enabled ORDER BY id").fetchall()
        opened.execute("DELETE FROM session")
        opened.execute("DELETE FROM login_link")
        # of the other server's people, where its schema is that new
        for table in ("device", "oidc_start"):
            known = "SELECT 1 FROM sqlite_master WHERE name = ?"
            if opened.execute(known, (table,)).fetchone():
                opened.execute(f"DELETE FROM {table}")  # noqa: S608  (one of the names above)
        opened.execute("UPDATE project SET auto_enabled = 0")
    return [ascii(project_id)[1:-1] for (project_id,) in looping]


def is_same_server(mark: Path, here: Path) -> bool:
    """Return True if a backup has the server id of this data folder."""
    try:
        return bool(here.read_bytes()) and mark.read_bytes() == here.read_bytes()
    except OSError:
        return False


def _objects(database: Path) -> Mapping[str, tuple[str, str]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        opened.execute("PRAGMA trusted_schema = OFF")
        found: Iterable[Any] = opened.execute("SELECT type, name, sql FROM sqlite_master")
        return {
            str(name): (str(kind), str(text or ""))
            for kind, name, text in found
            if not str(name).startswith(OWN) or kind in ("trigger", "view")
        }


def _shown(name: str, value: object) -> str:
    if SECRET.search(name):
        return "(not shown)"
    return IN_ADDRESS.sub("…@", ascii(value))[:300]
