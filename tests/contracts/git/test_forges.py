"""The contract of every tracker; to test another one, add a line to FORGES."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from app.adapters.forge.builtin import BuiltinForge
from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.adapters.forge.github.probe import api_of
from app.adapters.forge.tracked import RemoteForge, TrackedForge
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.tables import IssueComment
from app.services.ports import ChangeOrder, Delivery, DiffStat, Forge, ForgeSilent, Repository, Said
from tests.builders.rows import draft_project, opened_database, stores_on
from tests.contracts.forges import server_side
from tests.fakes.forges.github.twin import GithubTwin
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.twin import ForgeTwin

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
READY = ["ready-for-agent"]
STAT = DiffStat(commits=2, files_changed=3, additions=40, deletions=5)
HOSTILE = "a <b> \u202e \u3000 \x1b]52;c;eA==\x07 $(id) `x` [l](javascript:alert(1))"


class FarSide(Protocol):
    """A tracker as its users operate it; each suite brings its own implementation."""

    forge: Forge

    def add_project(self) -> Repository:
        """Create a project without issues."""
        ...

    def write(self, repo: Repository, title: str, body: str = "", labels: Any = ()) -> int:
        """Create an issue; return its number."""
        ...

    def close(self, repo: Repository, number: int) -> None:
        """Close an issue."""
        ...

    def end(self, repo: Repository, number: int, state: str, because: str = "") -> None:
        """Merge a change request (`merged`) or close it unmerged (`closed`)."""
        ...

    def say(self, repo: Repository, number: int, author: str, body: str) -> str:
        """Comment on an issue; return the name under which that appears."""
        ...

    def push(self, repo: Repository, branch: str) -> None:
        """Push a commit on a branch, as a run does before it opens a change request."""
        ...


class BuiltinSide:
    """The built-in tracker on its own database."""

    def __init__(self, folder: Path) -> None:
        self._database = opened_database(folder / "forge.db", lambda _: None)
        self._stores = stores_on(self._database)
        self._tracker = TrackerLedger(self._stores)
        self._names = itertools.count(1)
        self.forge: Forge = BuiltinForge(self._tracker)

    def add_project(self) -> Repository:
        """Create a project without issues."""
        project = draft_project(id=f"proj_{next(self._names)}", name=f"{next(self._names)}")
        ProjectLedger(self._stores).insert(project)
        return Repository(project.id, project.origin)

    def write(self, repo: Repository, title: str, body: str = "", labels: Any = ()) -> int:
        """Create an issue; return its number."""
        issue = self._tracker.add_issue(
            repo.project_id, title=title, body=body, labels=list(labels), now=NOW
        )
        return issue.number

    def close(self, repo: Repository, number: int) -> None:
        """Close an issue."""
        self._tracker.change_issue(repo.project_id, number, NOW, state="closed")

    def end(self, repo: Repository, number: int, state: str, because: str = "") -> None:
        """Merge a change request or close it unmerged."""
        sha = "c" * 40 if state == "merged" else None
        self._tracker.end_change(
            repo.project_id, number, state=state, now=NOW, merged_sha=sha, because=because or None
        )

    def say(self, repo: Repository, number: int, author: str, body: str) -> str:
        """Comment on an issue."""
        self._tracker.add_comment(
            IssueComment(
                project_id=repo.project_id, number=number, author=author, body=body, created_at=NOW
            )
        )
        return author

    def push(self, repo: Repository, branch: str) -> None:
        """Do nothing: the built-in tracker looks at no branches."""

    def leave(self) -> None:
        """Close the database."""
        self._database.close()


class TwinSide:
    """A twin of Forgejo, Gitea or GitHub, with the rows that Runyard keeps of its pull requests."""

    def __init__(self, kind: str, folder: Path) -> None:
        twin = GithubTwin if kind == "github" else ForgeTwin
        self._twin = twin(folder / "twin", kind)
        self._twin.__enter__()
        self._database = opened_database(folder / "forge.db", lambda _: None)
        self._stores = stores_on(self._database)
        self._tracker = TrackerLedger(self._stores)
        self._numbers = itertools.count(1)
        token = self._twin.add_token("TOKEN_BOT")
        if kind == "github":
            # the answers are at once: no pause between writes is needed
            client = GithubClient(api_of(self._twin.url), TokenSignIn(token), pause=lambda _: None)
            self._client: ForgeClient = client
            self._remote: RemoteForge = GithubForge(client)
        else:
            self._client = ForgeClient(f"{self._twin.url}/api/v1", token)
            self._remote = GiteaForge(self._client)
        self.forge: Forge = TrackedForge(self._remote, self._tracker)

    def add_project(self) -> Repository:
        """Create a repository at the twin, and its project."""
        number = next(self._numbers)
        project = draft_project(id=f"proj_{number}", name=f"{number}")
        ProjectLedger(self._stores).insert(project)
        hosted = self._twin.add_repository(f"acme/{number}", writers=("bot", "ada", "bob"))
        return Repository(project.id, hosted.clone_url, full_name=hosted.name)

    def write(self, repo: Repository, title: str, body: str = "", labels: Any = ()) -> int:
        """Create an issue; return its number."""
        return self._hosted(repo).write(title, body, *labels)

    def close(self, repo: Repository, number: int) -> None:
        """Close an issue."""
        self._hosted(repo).close(number)

    def end(self, repo: Repository, number: int, state: str, because: str = "") -> None:
        """Merge a pull request there, or close it here as a person does."""
        if state == "merged":
            sha: str | None = self._hosted(repo).merge(number)
        else:
            self._remote.close(repo, number, because)
            sha = None
        self._tracker.end_change(
            repo.project_id, number, state=state, now=NOW, merged_sha=sha, because=because or None
        )

    def say(self, repo: Repository, number: int, author: str, body: str) -> str:
        """Comment on an issue."""
        self._hosted(repo).say(number, author, body)
        return author

    def push(self, repo: Repository, branch: str) -> None:
        """Push a commit on a branch."""
        hosted = self._hosted(repo)
        hosted.git.commit(hosted.place, branch, f"{uuid.uuid4().hex}.txt", "made\n")

    def leave(self) -> None:
        """Close the twin and the database."""
        self._client.close()
        self._twin.__exit__()
        self._database.close()

    def _hosted(self, repo: Repository) -> Hosted:
        return self._twin.hosted[str(repo.full_name)]


FORGES: dict[str, Callable[[Path], Any]] = {
    "builtin": BuiltinSide,
    "forgejo": partial(TwinSide, "forgejo"),
    "gitea": partial(TwinSide, "gitea"),
    "github": partial(TwinSide, "github"),
}
if server_side.is_named():
    FORGES["server"] = server_side.ServerSide


@pytest.fixture(params=FORGES, scope="module")
def side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Each tracker in turn; every test gets its own project there."""
    side = FORGES[request.param](tmp_path_factory.mktemp(request.param))
    yield side
    side.leave()


@pytest.fixture
def repo(side: FarSide) -> Repository:
    """A new project in the tracker under test."""
    return side.add_project()


def order(run_id: str, branch: str = "afk/1", **more: Any) -> ChangeOrder:
    """Return a change request order for a run."""
    given: dict[str, Any] = {
        "branch": branch,
        "run_id": run_id,
        "title": "Mend it",
        "body": "",
        "base": "main",
    }
    known = {"base_sha": "a" * 40, "head_sha": "b" * 40, "stat": STAT, "closes": None}
    return ChangeOrder(**given | known | more)


def deliver(side: FarSide, repo: Repository, wanted: ChangeOrder, *, now: datetime) -> Delivery:
    """Push a branch and open its change request."""
    side.push(repo, wanted.branch)
    return side.forge.open_change(repo, wanted, now=now)


@pytest.fixture
def run_id() -> str:
    """A run id that no other test uses."""
    return f"run_{uuid.uuid4().hex}"


# --- issues ----------------------------------------------------------------------------------


def test_an_issue_reads_as_it_was_written(side: FarSide, repo: Repository) -> None:
    number = side.write(repo, HOSTILE, f"{HOSTILE}\n\n## Blocked by\n#9", ["bug", *READY])
    issue = side.forge.issue(repo, number)
    assert issue is not None
    assert (issue.number, issue.title, issue.state) == (number, HOSTILE, "open")
    assert issue.body == f"{HOSTILE}\n\n## Blocked by\n#9"
    assert sorted(issue.labels) == ["bug", "ready-for-agent"]
    assert issue.created_at is not None
    assert issue.created_at.tzinfo is not None


def test_an_issue_that_is_not_there_is_none_and_no_silence(side: FarSide, repo: Repository) -> None:
    assert side.forge.issue(repo, 4711) is None


def test_a_change_request_is_no_issue_though_they_share_their_numbers(
    side: FarSide, repo: Repository, run_id: str
) -> None:
    change = deliver(side, repo, order(run_id), now=NOW)
    number = side.write(repo, "An issue")
    assert number != change.number
    assert side.forge.issue(repo, change.number) is None
    assert [one.number for one in side.forge.issues(repo)] == [number]
    assert side.forge.open_among(repo, {number, change.number}) == {number}


def test_a_list_is_whole_however_many_pages_it_has_and_begins_with_the_lowest(
    side: FarSide, repo: Repository
) -> None:
    numbers = [side.write(repo, f"Issue {n}", labels=READY) for n in range(130)]
    assert [one.number for one in side.forge.issues(repo)] == numbers
    ready = side.forge.ready_issues([repo])[repo]
    assert ready is not None
    assert [one.number for one in ready.issues] == numbers


def test_a_closed_issue_is_listed_as_closed_and_is_not_ready(
    side: FarSide, repo: Repository
) -> None:
    number = side.write(repo, "Done", labels=READY)
    side.close(repo, number)
    (issue,) = side.forge.issues(repo)
    assert (issue.state, issue.closed_at is not None) == ("closed", True)
    assert side.forge.open_among(repo, [number]) == frozenset()
    assert side.forge.ready_issues([repo])[repo].issues == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "labels", [[], ["Ready-For-Agent"], ["ready-for-agents"], ["not ready-for-agent"], ['"ready']]
)
def test_only_the_label_itself_makes_an_issue_ready(
    side: FarSide, repo: Repository, labels: list[str]
) -> None:
    side.write(repo, "Other labels", labels=labels)
    number = side.write(repo, "Ready", labels=[*labels, *READY])
    ready = side.forge.ready_issues([repo])[repo]
    assert ready is not None
    assert [one.number for one in ready.issues] == [number]


def test_what_a_ready_issue_names_is_known_to_be_open_or_not(
    side: FarSide, repo: Repository
) -> None:
    waits_for, done = side.write(repo, "First"), side.write(repo, "Done")
    side.close(repo, done)
    side.write(repo, "Then", f"## Blocked by\n#{waits_for} #{done} #4711", READY)
    ready = side.forge.ready_issues([repo])[repo]
    assert ready is not None
    assert ready.open_numbers & {waits_for, done, 4711} == {waits_for}
    assert side.forge.open_among(repo, [waits_for, done, 4711]) == {waits_for}


def test_what_an_issue_names_is_distinguished_from_what_does_not_exist(
    side: FarSide, repo: Repository
) -> None:
    first, done = side.write(repo, "First"), side.write(repo, "Done")
    side.close(repo, done)
    assert side.forge.known_among(repo, [first, done, 4711]) == {first, done}
    assert side.forge.known_among(repo, []) == frozenset()


def test_many_projects_are_asked_at_once_and_never_mixed_up(side: FarSide, run_id: str) -> None:
    repos = [side.add_project() for _ in range(3)]
    first = side.write(repos[0], "In the first", labels=READY)
    side.write(repos[1], "Not ready")
    deliver(side, repos[0], order(run_id, "afk/1"), now=NOW)
    found = side.forge.ready_issues(repos)
    assert set(found) == set(repos)
    told = [found[repo] for repo in repos]
    assert [len(one.issues) if one else None for one in told] == [1, 0, 0]
    assert told[0] is not None
    assert [one.number for one in told[0].issues] == [first]
    assert list(told[0].changes) == ["afk/1"]
    assert side.forge.ready_issues([]) == {}


# --- change requests and deliveries ----------------------------------------------------------


def test_a_request_has_its_branch_commit_and_size(
    side: FarSide, repo: Repository, run_id: str
) -> None:
    opened = deliver(side, repo, order(run_id, "afk/7", title=HOSTILE), now=NOW)
    assert (opened.state, opened.branch, opened.head_sha) == ("open", "afk/7", "b" * 40)
    assert opened.stat == STAT
    assert opened.url
    assert side.forge.delivery_of(repo, run_id, "afk/7", since=NOW) == opened
    assert side.forge.open_changes(repo) == {"afk/7": opened.number}


def test_opening_twice_answers_the_same_request(
    side: FarSide, repo: Repository, run_id: str
) -> None:
    opened = deliver(side, repo, order(run_id), now=NOW)
    again = deliver(side, repo, order(run_id), now=NOW + timedelta(minutes=5))
    assert again == opened
    assert list(side.forge.open_changes(repo).values()) == [opened.number]


def test_a_branch_without_a_request_is_no_delivery(
    side: FarSide, repo: Repository, run_id: str
) -> None:
    assert side.forge.delivery_of(repo, run_id, "afk/1", since=NOW) is None


def test_an_older_request_of_the_same_branch_is_not_this_runs_delivery(
    side: FarSide, repo: Repository, run_id: str
) -> None:
    old = deliver(side, repo, order(f"{run_id}_old"), now=NOW)
    side.end(repo, old.number, "merged")
    later = NOW + timedelta(hours=1)
    assert side.forge.delivery_of(repo, run_id, "afk/1", since=later) is None
    new = deliver(side, repo, order(run_id), now=later)
    assert new.number != old.number
    assert side.forge.delivery_of(repo, run_id, "afk/1", since=later) == new


def test_another_projects_request_of_the_same_branch_is_no_delivery(
    side: FarSide, run_id: str
) -> None:
    one, other = side.add_project(), side.add_project()
    deliver(side, one, order(f"{run_id}_other"), now=NOW)
    assert side.forge.delivery_of(other, run_id, "afk/1", since=NOW) is None
    assert side.forge.open_changes(other) == {}


def test_a_merged_request_is_a_delivery(side: FarSide, repo: Repository, run_id: str) -> None:
    opened = deliver(side, repo, order(run_id), now=NOW)
    side.end(repo, opened.number, "merged")
    found = side.forge.delivery_of(repo, run_id, "afk/1", since=NOW)
    assert found is not None
    assert (found.number, found.state) == (opened.number, "merged")
    assert side.forge.open_changes(repo) == {}


def test_a_request_closed_unmerged_is_none(side: FarSide, repo: Repository, run_id: str) -> None:
    opened = deliver(side, repo, order(run_id), now=NOW)
    side.end(repo, opened.number, "closed")
    assert side.forge.delivery_of(repo, run_id, "afk/1", since=NOW) is None
    assert side.forge.open_changes(repo) == {}


def test_a_merge_closes_the_issue_that_the_request_closes_and_no_other(
    side: FarSide, repo: Repository, run_id: str
) -> None:
    mine, other = side.write(repo, "Mine"), side.write(repo, "Other")
    opened = deliver(side, repo, order(run_id, closes=mine, body=f"Closes #{mine}"), now=NOW)
    side.end(repo, opened.number, "merged")
    assert [one.state for one in side.forge.issues(repo)] == ["closed", "open"]
    assert side.forge.open_among(repo, [mine, other]) == {other}


# --- unreachable -----------------------------------------------------------------------------


def test_silence_says_how_long_to_wait_and_whether_a_person_is_needed() -> None:
    said = ForgeSilent("the token was refused", retry_after=30, needs_attention=True)
    assert (str(said), said.retry_after) == ("the token was refused", 30)
    assert said.needs_attention
    plain = ForgeSilent()
    assert (plain.retry_after, plain.needs_attention) == (None, False)
    assert str(plain)


# --- words about an issue ----------------------------------------------------------------------


def test_comments_are_told_in_their_order_and_as_they_were_written(
    side: FarSide, repo: Repository
) -> None:
    number, other = side.write(repo, "One"), side.write(repo, "Other")
    ada = side.say(repo, number, "ada", HOSTILE)
    side.say(repo, other, "bob", "elsewhere")
    bob = side.say(repo, number, "bob", "second")
    said = side.forge.said_about(repo, number).comments
    assert [(one.author, one.body) for one in said] == [(ada, HOSTILE), (bob, "second")]
    assert all(one.created_at.tzinfo for one in said)
    assert side.forge.said_about(repo, 999) == Said()


def test_only_changes_that_were_closed_unmerged_are_unwanted(
    side: FarSide, repo: Repository
) -> None:
    number = side.write(repo, "One")
    closing = [number, number, number, None]
    opened = [
        deliver(side, repo, order(f"run_{n}", f"afk/{n}", closes=closes), now=NOW)
        for n, closes in enumerate(closing)
    ]
    side.end(repo, opened[0].number, "closed", "Wrong file.")
    side.end(repo, opened[1].number, "merged")
    side.end(repo, opened[3].number, "closed", "Of no issue.")
    unwanted = side.forge.said_about(repo, number).unwanted
    assert [(one.number, one.because) for one in unwanted] == [(opened[0].number, "Wrong file.")]
    assert all(one.closed_at.tzinfo for one in unwanted)
