"""A server killed while it rotates the key of its secrets: every token is still opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer
from tests.fakes.forges.twin import ForgeTwin

POINTS = ["rotate.before_secrets", "rotate.among_secrets", "rotate.after_secrets"]


@dataclass
class Rotated:
    """A server with a forge, and its key file."""

    doomed: Doomed
    key: Path

    def rotate(self) -> int:
        """Rotate the key; return how many secrets it encrypts now."""
        with self.doomed.server.client() as client:
            answer = client.post("/secrets/rotate")
            assert answer.status_code == 200, answer.text
            return int(answer.json()["secrets"])

    def check(self) -> str | None:
        """Have the forge asked with the stored token; return what is wrong with it."""
        with self.doomed.server.client() as client:
            answer = client.post("/forges/work/check")
            assert answer.status_code == 200, answer.text
            return answer.json()["needs_attention"]

    def secret(self) -> str:
        """Return the secret of its hooks."""
        with self.doomed.server.client() as client:
            return str(client.post("/forges/work/hook", json={}).json()["secret"])

    @property
    def keys(self) -> list[str]:
        """The keys in the file."""
        return self.key.read_text().split()


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rotated]:
    folder = tmp_path_factory.mktemp("rotated")
    one = Doomed(folder, RunyardServer(folder / "data"))
    one.settings["RUNYARD_SECRET_KEY_FILE"] = str(folder / "keys" / "runyard.key")
    with ForgeTwin(folder / "forge", "gitea") as twin, one.begun("true"):
        twin.add_token("TOKEN_BOT")
        with one.server.client() as client:
            told = {"url": twin.url, "token": "TOKEN_BOT", "name": "work"}
            assert client.post("/forges", json=told).status_code == 201
        yield Rotated(one, folder / "keys" / "runyard.key")


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_in_a_rotation_loses_no_secret(rotated: Rotated, point: str) -> None:
    secret, before = rotated.secret(), rotated.keys
    rotated.doomed.arm(point)
    with rotated.doomed.server.client() as client, suppress(httpx.TransportError):
        client.post("/secrets/rotate")
    rotated.doomed.see_death()
    assert rotated.keys[1:] == before, "the key before it is kept until all is done"
    rotated.doomed.arm("")
    assert (rotated.check(), rotated.secret()) == (None, secret)
    assert rotated.rotate() == 2
    assert len(rotated.keys) == 1
    assert (rotated.check(), rotated.secret()) == (None, secret)


def test_a_server_with_the_key_from_before_does_not_start_and_says_so(rotated: Rotated) -> None:
    old = rotated.key.with_name("old.key")
    old.write_text(rotated.key.read_text())
    rotated.rotate()
    server = rotated.doomed.server
    server.stop()
    settings = server.settings
    server.settings = settings | {"RUNYARD_SECRET_KEY_FILE": str(old)}
    with pytest.raises(AssertionError, match=r"old\.key is not the key of the tokens"):
        server.start()
    server.settings = settings
    server.start()
    assert rotated.check() is None
