"""The program's public interface as texts: API, commands, schemas, test ids, refusals, messages."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.api.http.app import build_api
from app.api.http.site import Site
from app.api.live import LiveStream
from app.errors import Refusal
from app.records.database.database import DatabaseSilent
from app.records.database.migration import REVISIONS
from tests.builders.databases import TEMPLATE, fresh_database, one_postgres
from tests.drivers.cli.click_tree import every_command
from tests.drivers.source_tree import ROOT, sources
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

FILES = Path(__file__).parent / "files"
_NAMED = re.compile(
    r"""(?:data-testid=\\?"|data-testid': '|\bmark="|\btestid="|\btestid\([^"\n]*")([a-z][\w-]*)"""
)
_QUOTED = re.compile(r"""["']([a-z][\w-]*)["']""")
_ASKED = re.compile(r"""(?:test_id\(|data-testid[\^]?=|marker=)\\?["']?([a-z][\w-]*)""")


def openapi() -> str:
    """Return the OpenAPI document without descriptions, as JSON."""
    with TemporaryDirectory() as folder:
        plane = FakePlane(Path(folder), World())
        try:
            services = plane.services
            api = build_api(
                services, LiveStream(services), site=Site(8080), store_silent=DatabaseSilent
            )
            return json.dumps(_without_prose(api.openapi()), indent=1, sort_keys=True) + "\n"
        finally:
            plane.stop()


def _without_prose(node: Any, *, is_named: bool = False) -> Any:
    if isinstance(node, list):
        return [_without_prose(one) for one in node]
    if not isinstance(node, dict):
        return node
    # below `properties` the keys are field names, and a field may be called "description"
    return {
        key: _without_prose(value, is_named=key == "properties")
        for key, value in node.items()
        if is_named or key not in {"description", "summary", "version"}
    }


def commands() -> str:
    """List each command with its arguments and options, in the order of the help."""
    lines = []
    for path, command in every_command().items():
        lines.append(f"runyard {path}".strip())
        lines += [f"    {_parameter(one)}" for one in command.params]
    return "\n".join(lines) + "\n"


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    else:
        names = parameter.metavar or parameter.name.upper()
    kind = getattr(parameter.type_descriptor.annotation, "__name__", "")
    is_many = parameter.nargs == -1 or getattr(parameter, "multiple", False)
    default = parameter.default
    marks = [
        kind,
        "required" if parameter.required else "",
        "many" if is_many else "",
        f"default {default}" if default not in (None, False) and not callable(default) else "",
    ]
    return f"{names} ({', '.join(mark for mark in marks if mark)})"


def sqlite_schema() -> str:
    """Return the DDL of a fresh SQLite database: tables, indexes and triggers, by name."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "fresh.db"
        file.write_bytes(fresh_database())
        database = sqlite3.connect(file)
        try:
            asked = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
            return "".join(f"{sql};\n" for (sql,) in database.execute(asked))
        finally:
            database.close()


def postgresql_schema() -> str:
    """List a fresh PostgreSQL database: columns, constraints, indexes, triggers and functions."""
    server = one_postgres()
    return "".join(
        " | ".join(str(value) for value in row) + "\n"
        for question in _OF_POSTGRESQL
        for row in server.tell(question, database=TEMPLATE)
    )


_OF_POSTGRESQL = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default"
    " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE NOT tgisinternal ORDER BY 1, 2",
    "SELECT pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace ORDER BY proname",
)


def migrations() -> str:
    """List the ids of all migrations, oldest first."""
    return "".join(f"{revision}\n" for revision in REVISIONS)


def test_ids() -> str:
    """List test ids: those marked in the source, and those a test uses that the source contains."""
    shown = [source.text for source in sources() if source.name.startswith("app/")]
    shown += [file.read_text(encoding="utf-8") for file in _scripts_and_templates()]
    asked = [file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py")]
    named = {word for text in shown for word in _NAMED.findall(text)}
    quoted = {word for text in shown for word in _QUOTED.findall(text)}
    called = {word for text in asked for word in _ASKED.findall(text)} & quoted
    return "".join(f"{word}\n" for word in sorted(named | called))


def _scripts_and_templates() -> list[Path]:
    return [
        file for file in (ROOT / "assets").rglob("*") if file.suffix in {".js", ".html", ".jinja"}
    ]


def refusals() -> str:
    """List the code and status of every refusal."""
    import_module("app.server.application")  # the import loads every module that defines a refusal
    found = {(one.code, one.status) for one in _below(Refusal)}
    return "".join(f"{code} {status}\n" for code, status in sorted(found))


def _load_all() -> None:
    # some refusals are defined beside the code that raises them
    import_module("app.server.application")


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    yield kind
    for one in kind.__subclasses__():
        if one.__module__.startswith("app."):
            yield from _below(one)


def texts() -> str:
    """Of the texts that documents promise word for word, those that the program still has."""
    _load_all()
    promised = (FILES / "texts.txt").read_text(encoding="utf-8").splitlines()
    shown = [refusal.__doc__ or "" for refusal in _below(Refusal)]
    shown += [file.read_text(encoding="utf-8") for file in _scripts_and_templates()]
    for source in sources():
        # a docstring is an expression that stands alone
        docstrings = {id(one.value) for one in ast.walk(source.tree) if isinstance(one, ast.Expr)}
        shown += [
            node.value
            for node in ast.walk(source.tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ]
    there = "\n".join(shown)
    return "".join(f"{text}\n" for text in promised if text in there)


DESCRIBED: dict[str, Callable[[], str]] = {
    "openapi.json": openapi,
    "commands.txt": commands,
    "schema-sqlite.sql": sqlite_schema,
    "schema-postgresql.txt": postgresql_schema,
    "migrations.txt": migrations,
    "test-ids.txt": test_ids,
    "refusals.txt": refusals,
    "texts.txt": texts,
}
