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


def test_the_contract_holds_at_a_server_known_by_address_and_token_alone(tmp_path: Path) -> None:
    with OpenTwin(tmp_path, "gitea") as twin:
        twin.add_token("TOKEN_BOT")
        argv = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "--reruns", "0", "-rs"]
        argv += ["tests/contracts/git/test_forges.py", "-k", "server"]
        env = {**os.environ, URL: twin.url, TOKEN: "TOKEN_BOT"}
        done = subprocess.run(
            [sys.executable, *argv], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout[-3000:]
        # nobody else can be made to comment
        found = re.search(r"(\d+) passed, (\d+) skipped", done.stdout)
        assert found is not None, done.stdout[-500:]
        assert int(found[1]) >= 20
        assert int(found[2]) == 1
        # what it made is gone again
        assert twin.hosted == {}


def test_without_an_address_the_target_says_what_it_needs() -> None:
    env = {name: value for name, value in os.environ.items() if name not in (URL, TOKEN)}
    done = subprocess.run(
        ["make", "contract-forge"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "Set RUNYARD_TEST_FORGE_URL and RUNYARD_TEST_FORGE_TOKEN" in done.stderr
