"""The key of stored secrets: replaced by a fresh one, at no moment losing a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.errors import Invalid
from app.server.startup import CannotStart
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.forges.twin import ForgeTwin


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[ForgeTwin]:
    """A forge."""
    with ForgeTwin(tmp_path / "forge") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        yield twin


@pytest.fixture
def plane(tmp_path: Path, twin: ForgeTwin) -> Iterator[RealPlane]:
    """A control plane that knows the forge, its token and the secret of its hooks."""
    with real_plane(tmp_path / "plane") as plane:
        plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock(), name="work")
        yield plane


def stored(plane: RealPlane) -> list[str]:
    """Return the encrypted secrets as the database keeps them."""
    (forge,) = plane.services.forges.all()
    return [one for one in (forge.token, forge.hook_secret) if one]


def opened(key: str, sealed: list[str]) -> list[str]:
    """Return the secrets that a key opens."""
    return [Fernet(key).decrypt(one.encode()).decode() for one in sealed]


def test_a_fresh_key_encrypts_every_secret_and_the_old_one_opens_none(plane: RealPlane) -> None:
    secret = plane.services.hooks.address("work", "http://here").secret
    file = plane.settings.secret_key
    before, old = stored(plane), file.read_text().strip()
    assert plane.services.secret_key.rotate() == 2
    [fresh] = file.read_text().split()
    assert file.stat().st_mode & 0o777 == 0o600
    assert fresh != old
    assert opened(fresh, stored(plane)) == ["TOKEN_BOT", secret]
    assert set(stored(plane)).isdisjoint(before)
    assert plane.services.secret_key.fits()
    # the forge is asked and signed in to as before
    assert [one.full_name for one in plane.services.forges.repositories("work")] == ["acme/shop"]
    assert plane.services.hooks.address("work", "http://here").secret == secret


def test_after_a_crash_in_a_rotation_both_keys_are_there_and_the_next_one_ends_it(
    plane: RealPlane,
) -> None:
    file = plane.settings.secret_key
    old = file.read_text().strip()

    class Pulled(Exception):
        """The plug was pulled."""

    with pytest.raises(Pulled), plane.adapters.secret_box.rotation():
        raise Pulled
    fresh, kept = file.read_text().split()
    assert kept == old
    assert plane.services.secret_key.fits()
    assert opened(old, stored(plane)) == ["TOKEN_BOT"]
    # what is stored now is for the key that is on its way
    secret = plane.services.hooks.address("work", "http://here").secret
    assert opened(fresh, stored(plane)[1:]) == [secret]
    assert plane.services.secret_key.rotate() == 2
    [last] = file.read_text().split()
    assert opened(last, stored(plane)) == ["TOKEN_BOT", secret]


def test_a_server_with_the_key_from_before_neither_rotates_nor_starts(plane: RealPlane) -> None:
    file = plane.settings.secret_key
    old = file.read_text()
    plane.services.secret_key.rotate()
    plane.rest()
    file.write_text(old)
    with pytest.raises(Invalid, match="not the one of the stored secrets"):
        plane.services.secret_key.rotate()
    with pytest.raises(CannotStart, match="RUNYARD_SECRET_KEY_FILE"):
        plane.start()
