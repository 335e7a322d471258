"""What two real forges, of 2024 and 2026, answered about CI, trust and merges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.domain.tracker.ci import Ci, CiState
from app.domain.words import MergeWait
from app.services.ports import Merged, Repository
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.twin import ForgeTwin
from tests.fakes.recorded_server import RecordedServer, Reply

EXCHANGES = Path(__file__).parents[2] / "fakes/forges/exchanges"
READY = "ready-for-agent"
JSON = {"Content-Type": "application/json;charset=utf-8"}


class Replayed:
    """The adapter before a server that repeats recorded answers, each in its order."""

    def __init__(self, server: RecordedServer, kind: str) -> None:
        self.kind = kind
        self._server = server
        self.client = ForgeClient(f"{server.url}/api/v1", "TOKEN_BOT")
        self.forge = GiteaForge(self.client)
        self.head = "a" * 40

    def exchanges(self, name: str) -> list[Any]:
        """Return the exchanges of a recording."""
        return json.loads((EXCHANGES / f"{self.kind}-{name}.json").read_text())["exchanges"]

    def script_merges(self) -> None:
        """Answer two merges of a pull request as recorded: refused for a check, then scheduled."""
        at = "/repos/acme/guarded"
        known = {one["title"]: one["response"] for one in self.exchanges("13-protection")}
        told = [known["merge without the check"], known["merge when the checks succeed"]]
        self._server.script["POST", f"/api/v1{at}/pulls/1/merge"] = [
            # an empty answer has no content type
            Reply(one["status"], one["body"] or None, JSON if one["body"] else {})
            for one in told
        ]
        row = {"number": 1, "state": "open", "merged": False, "head": {"sha": self.head}}
        self._server.on("GET", f"{at}/pulls/1", Reply(200, row, JSON))
        none = {"state": "pending", "total_count": 0, "statuses": None}
        self._server.on("GET", f"{at}/commits/{self.head}/status", Reply(200, none, JSON))

    def show(self, name: str, title: str) -> str:
        """Answer as in the exchange with this title; return the path that was asked."""
        (found,) = [one for one in self.exchanges(name) if one["title"].partition(":")[0] == title]
        path, told = found["request"]["path"], found["response"]
        kind = {"Content-Type": told["headers"].get("content-type", "")}
        self._server.script["GET", path] = [Reply(told["status"], told["body"], kind)]
        return path


@pytest.fixture(params=["forgejo", "gitea"])
def replayed(request: pytest.FixtureRequest) -> Iterator[Replayed]:
    """Each of the two forges in turn."""
    with RecordedServer() as server:
        made = Replayed(server, request.param)
        home = {"id": 1, "full_name": "acme/checks"}
        server.on("GET", "/repos/acme/checks", Reply(200, home, JSON))
        yield made
        made.client.close()


def repository(name: str) -> Repository:
    """Return a repository of the recordings."""
    return Repository("proj_1", f"https://forge.test/acme/{name}.git", full_name=f"acme/{name}")


def ci_at(replayed: Replayed, title: str) -> Ci:
    """Return what the adapter reads in the recorded sum of statuses."""
    path = replayed.show("12-statuses", title)
    return replayed.forge.ci(repository("checks"), path.split("/")[-2])


@pytest.mark.parametrize("title", ["sum of none", "unknown commit"])
def test_a_commit_without_a_check_has_neither_passed_nor_failed(
    replayed: Replayed, title: str
) -> None:
    assert ci_at(replayed, title) == Ci(CiState.UNKNOWN)


def test_a_check_that_runs_is_pending_with_its_page(replayed: Replayed) -> None:
    assert ci_at(replayed, "sum of pending") == Ci(CiState.PENDING, "http://ci.test/1")


def test_the_worst_check_counts_and_a_nonsense_state_says_nothing(replayed: Replayed) -> None:
    assert ci_at(replayed, "sum") == Ci(CiState.FAILED, None, ("ci/lint",))


def test_those_who_may_write_are_the_assignees_and_no_readers(replayed: Replayed) -> None:
    replayed.show("21-trust", "assignees")
    rows = next(
        one["response"]["body"]
        for one in replayed.exchanges("21-trust")
        if one["title"].startswith("the list of collaborators")
    )
    reader = next(one["id"] for one in rows if one["login"] == "reader")
    writers = replayed.forge.writers(repository("trust"))
    assert (len(writers), reader in writers) == (3, False)


def test_a_label_is_its_writers_and_a_later_title_is_an_outsiders(replayed: Replayed) -> None:
    replayed.show("21-trust", "assignees")
    replayed.show("21-trust", "its timeline")
    repo = repository("trust")
    told = replayed.forge.labelled(repo, 1, READY, replayed.forge.writers(repo))
    (title,) = told.retitled
    assert (told.by, told.may_write) == ("person", True)
    assert (title.by, title.may_write, title.old_title) == ("outsider", False, "Fix the cart")


def test_a_label_set_again_is_the_last_ones_and_forgets_the_title(replayed: Replayed) -> None:
    replayed.show("21-trust", "assignees")
    replayed.show("21-trust", "the timeline then")
    repo = repository("trust")
    told = replayed.forge.labelled(repo, 1, READY, replayed.forge.writers(repo))
    assert (told.by, told.may_write, told.retitled) == ("bot", True, ())


def test_a_changed_text_shows_in_the_history_of_the_web_side(replayed: Replayed) -> None:
    replayed.show("21-trust", "the content history is the web side's, not the API's")
    labelled = datetime(2026, 11, 22, tzinfo=UTC)
    assert replayed.forge.was_text_changed(repository("trust"), 1, labelled, ()) is True
    # without an answer nothing is concluded
    assert replayed.forge.was_text_changed(repository("trust"), 2, labelled, ()) is None


# --- merges that the forge makes by itself ---------------------------------------------------


@pytest.fixture(params=["forgejo", "gitea"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ForgeTwin, Hosted]]:
    """A twin whose base demands a check, as in the recording, with one pull request."""
    with ForgeTwin(tmp_path, request.param) as twin:
        twin.add_token("TOKEN_BOT")
        shop = twin.add_repository("acme/guarded")
        shop.protection.required = ("ci/test",)
        shop.git.commit(shop.place, "change", "a.txt", "changed\n")
        shop.open("change", "main", "Change", "")
        yield twin, shop


def test_the_twins_answer_about_merges_as_was_recorded(
    guarded: tuple[ForgeTwin, Hosted],
) -> None:
    twin, shop = guarded
    path = EXCHANGES / f"{twin.kind}-13-protection.json"
    told: list[tuple[int, str]] = []
    recorded: list[tuple[int, str]] = []
    for one in json.loads(path.read_text())["exchanges"]:
        asked, said = one["request"], one["response"]
        headers = {"Authorization": "token TOKEN_BOT"}
        found = httpx.request(
            asked["method"], f"{twin.url}{asked['path']}", json=asked["body"], headers=headers
        )
        told.append((found.status_code, _message_of(found.json() if found.content else "")))
        recorded.append((said["status"], _message_of(said["body"])))
    assert told == recorded
    assert len(told) == 5
    assert shop.protection.later == {}


def _message_of(body: Any) -> str:
    """Return what an answer says; numbers of pull requests are another's."""
    return re.sub(r"\d+", "N", body["message"]) if body else ""


def test_a_recorded_schedule_is_waited_for_and_not_taken_for_a_merge(replayed: Replayed) -> None:
    replayed.script_merges()
    merged = replayed.forge.merge(
        repository("guarded"), 1, head_sha=replayed.head, message="Merge it"
    )
    assert merged == Merged(None, waits_for=MergeWait.CHECKS)
