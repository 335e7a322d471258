"""Database addresses: validation, display, and equality of different spellings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import Settings
from app.records.database.engines import postgresql_url

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        (f"postgresql://u:{SECRET}@db/x", "postgresql://u:…@db/x"),
        (f"postgres://u:{SECRET}@db:5433/x", "postgres://u:…@db:5433/x"),
        (f"postgresql://u:{SECRET}@p/a@db/x", "postgresql://u:…@db/x"),
        (f"postgresql:///x?host=/run&password={SECRET}", "postgresql:///x?host=/run&password=…"),
        (f"postgresql://db/x?sslpassword={SECRET}&a=b", "postgresql://db/x?sslpassword=…&a=b"),
    ],
)
def test_an_address_is_told_without_its_password(tmp_path: Path, address: str, shown: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=address)
    told = {name: value for name, value, _ in settings.described({})}
    assert told["RUNYARD_DATABASE_URL"] == shown
    assert SECRET not in settings.database_place


@pytest.mark.parametrize("address", ["mysql://u:s3cret@db/x", "x.db", "postgresql://db:port/x"])
def test_any_other_address_is_refused_without_telling_it(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(data_dir=tmp_path, database_url=address)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        *("postgres://db/x", "postgresql://db:5432/x", "postgresql://me:new@db/x"),
        *("postgresql:///x?host=db", "postgresql://db/x?sslmode=require"),
    ],
)
def test_a_database_keeps_its_mark_whoever_signs_in_there(tmp_path: Path, address: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=address)
    assert settings.database_place == "postgresql://db:5432/x"


def test_what_an_address_says_of_connections_is_kept() -> None:
    chosen = postgresql_url("postgres://db/x?connect_timeout=60&application_name=mine")
    assert chosen.drivername == "postgresql+psycopg"
    assert chosen.query["connect_timeout"] == "60"
    assert chosen.query["application_name"] == "mine"
    assert postgresql_url("postgresql://db/x").query["connect_timeout"] == "5"
