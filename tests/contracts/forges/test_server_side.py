"""`make contract-forge`: the contract at a server that is known by its address and token alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contracts.forges.server_side import TOKEN, URL
from tests.fakes.forges.twin import ForgeTwin

ROOT = Path(__file__).parents[3]


class OpenTwin(ForgeTwin):
    """A twin whose people make repositories and commits by its API, as at a real server."""

    def _answer(self, method: str, path: str, query: Any, body: Any, token: str) -> Any:
        known = self.tokens.get(token)
        if known is None:
            return super()._answer(method, path, query, body, token)
        if (method, path) == ("POST", "/user/repos"):
            made = self.add_repository(f"{known.login}/{body['name']}")
            made.labels.clear()
            return 201, made.row(known.login)
        match = re.fullmatch(r"/repos/([^/]+/[^/]+)(/branches/(.+)|/contents/(.+))?", path)
        hosted = self.hosted.get(match[1]) if match else None
        if match is None or hosted is None:
            return super()._answer(method, path, query, body, token)
        if method == "DELETE":
            del self.hosted[match[1]]
            return 204, None
        if match[3]:
            tip = hosted.git.tip(hosted.place, match[3])
            return (200, {"name": match[3]}) if tip else (404, None)
        if match[4] and method == "POST":
            branch = body.get("new_branch") or body["branch"]
            hosted.git.commit(hosted.place, branch, match[4], "made\n")
            return 201, {}
        return super()._answer(method, path, query, body, token)


class KeepingTwin(OpenTwin):
    """A server that deletes nothing: its token has no scope for that."""

    def _answer(self, method: str, path: str, query: Any, body: Any, token: str) -> Any:
        if method == "DELETE" and path.count("/") == 3:
            return 403, {"message": "token does not have the scope delete_repo"}
        return super()._answer(method, path, query, body, token)


def hold(twin: ForgeTwin, words: str) -> subprocess.CompletedProcess[str]:
    """Run the contract's tests that match the words at a twin."""
    twin.add_token("TOKEN_BOT")
    argv = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "--reruns", "0", "-rs"]
    argv += ["tests/contracts/git/test_forges.py", "-k", words]
    env = {**os.environ, URL: twin.url, TOKEN: "TOKEN_BOT"}
    return subprocess.run(
        [sys.executable, *argv], cwd=ROOT, env=env, capture_output=True, text=True
    )


def test_the_contract_holds_at_a_server_known_by_address_and_token_alone(tmp_path: Path) -> None:
    with OpenTwin(tmp_path, "gitea") as twin:
        done = hold(twin, "server")
    assert done.returncode == 0, done.stdout[-3000:]
    # nobody else can be made to comment
    found = re.search(r"(\d+) passed, (\d+) skipped", done.stdout)
    assert found is not None, done.stdout[-500:]
    assert int(found[1]) >= 20
    assert int(found[2]) == 1
    assert twin.hosted == {}


def test_what_the_server_does_not_delete_is_named(tmp_path: Path) -> None:
    with KeepingTwin(tmp_path, "gitea") as twin:
        done = hold(twin, "server and reads_as_it_was_written")
    (name,) = twin.hosted
    assert done.returncode != 0
    assert f"still at the server, delete by hand: /repos/{name}" in done.stdout
