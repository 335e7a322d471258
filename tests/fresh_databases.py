"""An empty database of today's schema: made by the migrations once a process, then copied."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from app.config import Settings
from app.records.database import Database
from app.records.migration import migrate


def put_database(settings: Settings) -> None:
    """Put it where a server of these settings looks for its own; one that is there stays."""
    file = settings.data_root / "runyard.db"
    if settings.database_url is None and not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_bytes(fresh_database())


@cache
def fresh_database() -> bytes:
    """The content of its file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "made.db"
        database = Database(f"sqlite:///{file}", tell=lambda _: None)
        migrate(database, backups=file.parent, now=datetime.now(UTC))
        database.close()
        return file.read_bytes()
