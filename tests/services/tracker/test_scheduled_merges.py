"""Merges of changes that a forge makes by itself: waited for, dropped, called off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import AlreadyEnded, ForgeUnavailable, ProjectBusy
from app.failpoints import FailpointHit
from app.records.tables import ChangeRequest, Project
from app.services.review.feedback import Wanted
from tests.drivers.checked_runs import to_the_end
from tests.drivers.failpoints import clear_failpoints, fail_at
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.agents.runs import shell
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.kinds import KINDS, twin_of
from tests.fakes.forges.twin import ForgeTwin

RULES = {"enabled": True, "max_files": 3, "max_lines": 40}
MORE = shell("echo more > more.txt && git add -A && git commit -qm 'Add more'")


class Scene:
    """A project at a forge whose base demands a check, and an agent's open change."""

    def __init__(self, plane: RealPlane, twin: ForgeTwin) -> None:
        self.plane, self.twin = plane, twin
        self.services = plane.services
        self.shop: Hosted = twin.hosted["acme/shop"]
        self.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
        choice = self.services.forges.choose(None, self.shop.clone_url, None)
        self.project: Project = plane.register(self.shop.clone_url, COMMIT, "shop", choice.columns)
        self.issue = self.shop.write("Mend it", "", "ready-for-agent")
        self.run = plane.finish(self.project, issue=self.issue)
        self.shop.protection.required = ("ci/test",)

    @property
    def change(self) -> ChangeRequest:
        """The change as it is kept here."""
        (change,) = self.services.changes.all(self.project.id)
        return change

    @property
    def sentence(self) -> str:
        """What the inbox says of the change."""
        return next(one.sentence for one in self.services.inbox.all() if one.change)

    def change_of_checked_run(self) -> int:
        """Have a run with checks deliver a change that autoland may merge; return its number."""
        plane = self.plane
        check = {"name": "tests", "command": ["true"], "timeout_seconds": 60, "required": True}
        plane.ledgers.projects.change(self.project.id, checks=[check], autoland=RULES)
        issue = self.shop.write("Mend that", "", "ready-for-agent")
        plane.services.projects.change(self.project.id, agent_command=MORE)
        started = plane.start_running(plane.project(self.project.id), issue=issue)
        # the agent, its check, and the delivery
        run = to_the_end(plane, started)
        assert run.delivery is not None, plane.lines(run)
        plane.clock.advance(1)
        self.look()
        plane.rest()
        return run.delivery["number"]

    def find(self, number: int) -> ChangeRequest:
        """Return a change as it is kept here."""
        return self.services.changes.find(self.project.id, number)

    def merge(self) -> ChangeRequest:
        """Merge the change as a person does."""
        return self.services.changes.merge(self.project.id, self.change.number, self.plane.clock())

    def look(self) -> int:
        """Look at the forge's pull requests."""
        return self.services.pull_requests.look_once(self.plane.clock())

    def push(self, words: str) -> str:
        """Push a commit to the change's branch as somebody at the forge; return it."""
        return self.shop.git.commit(self.shop.place, self.change.branch, "by.txt", f"{words}\n")

    def is_merged(self) -> bool:
        """Return True once the forge has merged the pull request."""
        return self.shop.pulls[self.change.number]["merged"]


@pytest.fixture(params=KINDS)
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """The scene at each kind of forge."""
    with twin_of(request.param, tmp_path / "forge", monkeypatch) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        with real_plane(tmp_path / "plane") as plane:
            yield Scene(plane, twin)
            twin.before = None


def test_a_merge_that_lacks_a_check_stays_open_until_the_forge_has_made_it(scene: Scene) -> None:
    waiting = scene.merge()
    assert (waiting.state, waiting.merge_waits) == ("open", "checks")
    assert "Merges by itself at the forge once its checks pass" in scene.sentence
    assert scene.look() == 0
    assert (scene.change.state, scene.change.merge_waits) == ("open", "checks")
    scene.shop.check(scene.change.number)
    assert scene.look() == 1
    merged = scene.change
    assert (merged.state, merged.merge_waits, merged.merge_note) == ("merged", None, None)
    assert merged.merged_sha == scene.shop.git.tip(scene.shop.place, "main")
    assert scene.shop.issues[scene.issue]["state"] == "closed"
    assert scene.plane.is_gone(scene.run)


def test_commits_pushed_after_the_merge_was_asked_for_call_it_off(scene: Scene) -> None:
    scene.merge()
    pushed = scene.push("by hand")
    assert scene.look() >= 1
    assert scene.shop.protection.later == {}
    change = scene.change
    assert (change.merge_waits, change.head_sha) == (None, pushed)
    assert change.merge_note == "The change got other commits."
    assert "Not merged by itself: the change got other commits." in scene.sentence
    scene.shop.check(change.number)
    assert not scene.is_merged()
    # now that a person has seen them
    assert scene.merge().merged_sha


def test_commits_that_the_forge_merged_before_anybody_could_look_are_told(scene: Scene) -> None:
    number = scene.merge().number
    pushed = scene.push("by hand")
    scene.shop.check(number)
    assert scene.is_merged()
    assert scene.look() >= 1
    assert scene.change.state == "merged"
    told = f"its forge merged {pushed[:7]}, which nobody had decided about here"
    assert told in "\n".join(scene.plane.lines(scene.run))


def test_what_autoland_left_to_the_forge_has_landed_by_itself_once_that_merged_it(
    scene: Scene,
) -> None:
    project, number = scene.project.id, scene.change_of_checked_run()
    assert scene.services.autoland.land_once(project) == 0
    assert scene.services.autoland.land_once(project) == 0
    assert (scene.find(number).merge_waits, scene.find(number).autoland_note) == ("checks", None)
    scene.shop.check(number)
    scene.look()
    landed = scene.find(number)
    assert (landed.state, landed.autoland_note) == (
        "merged",
        "Landed by itself: checks passed, 1 file, 1 line.",
    )


def test_autoland_takes_a_canceled_merge_for_an_answer(scene: Scene) -> None:
    project, number = scene.project.id, scene.change_of_checked_run()
    assert scene.services.autoland.land_once(project) == 0
    assert scene.find(number).merge_waits == "checks"
    scene.services.scheduled_merges.cancel(project, number, scene.plane.clock())
    assert scene.services.autoland.land_once(project) == 0
    left = scene.find(number)
    assert left.merge_waits is None
    assert left.autoland_note == "Not landed by itself: its forge was to merge it, and did not."
    # a person may want it after all
    scene.services.changes.merge(project, number, scene.plane.clock())
    scene.shop.check(number)
    scene.look()
    assert scene.find(number).state == "merged"


def test_a_merge_that_somebody_canceled_at_the_forge_is_told_and_can_be_asked_again(
    scene: Scene,
) -> None:
    number = scene.merge().number
    assert scene.shop.cancel_later(number, by="acme")
    assert scene.look() == 1
    assert scene.change.merge_waits is None
    assert scene.change.merge_note
    assert "Not merged by itself: " in scene.sentence
    assert scene.look() == 0
    again = scene.merge()
    assert (again.merge_waits, again.merge_note) == ("checks", None)


def test_a_person_cancels_the_merge_and_the_forge_does_not_make_it(scene: Scene) -> None:
    number = scene.merge().number
    change = scene.services.scheduled_merges.cancel(scene.project.id, number, scene.plane.clock())
    assert (change.state, change.merge_waits, change.merge_note) == (
        "open",
        None,
        "It was canceled.",
    )
    scene.shop.check(number)
    assert scene.look() == 0
    assert not scene.is_merged()


def test_a_cancel_that_comes_too_late_says_so_and_the_merge_counts(scene: Scene) -> None:
    number = scene.merge().number
    scene.shop.check(number)
    with pytest.raises(AlreadyEnded, match="a moment ago"):
        scene.services.scheduled_merges.cancel(scene.project.id, number, scene.plane.clock())
    assert scene.change.state == "merged"


def test_a_cancel_that_a_silent_forge_does_not_hear_leaves_the_merge_as_it_is(
    scene: Scene,
) -> None:
    number = scene.merge().number
    scene.twin.before = lambda *_: (502, None)
    with pytest.raises(ForgeUnavailable):
        scene.services.scheduled_merges.cancel(scene.project.id, number, scene.plane.clock())
    assert scene.change.merge_waits == "checks"
    assert scene.look() == 0
    assert scene.change.merge_waits == "checks"


def test_a_change_that_is_closed_is_no_longer_merged_by_the_forge(scene: Scene) -> None:
    number = scene.merge().number
    closed = scene.services.changes.close(
        scene.project.id, number, scene.plane.clock(), "Wrong file."
    )
    assert (closed.state, closed.merge_waits) == ("closed", None)
    assert scene.shop.protection.later == {}
    assert scene.shop.pulls[number]["state"] == "closed"


def test_a_change_that_the_forge_merged_a_moment_before_is_not_closed(scene: Scene) -> None:
    number = scene.merge().number
    scene.shop.check(number)
    with pytest.raises(AlreadyEnded):
        scene.services.changes.close(scene.project.id, number, scene.plane.clock(), "Wrong.")
    assert scene.change.state == "merged"


def test_a_request_for_changes_cancels_the_merge_before_its_run_starts(scene: Scene) -> None:
    plane = scene.plane
    number = scene.merge().number
    plane.services.projects.change(scene.project.id, agent_command=MORE)
    accepted = scene.services.feedback.request_changes(
        scene.project.id, number, Wanted("ada", "Shorten it."), plane.requester(), plane.clock()
    )
    assert scene.shop.protection.later == {}
    assert scene.change.merge_note == "An agent works on the change."
    plane.see_end(accepted.run)
    scene.shop.check(number)
    assert not scene.is_merged()


def test_commits_of_a_run_are_pushed_only_after_the_merge_was_canceled(scene: Scene) -> None:
    plane = scene.plane
    plane.services.projects.change(scene.project.id, agent_command=MORE)
    run = plane.start_running(scene.project, task="Add more.", pr_number=scene.change.number)
    scene.merge()
    assert len(scene.shop.protection.later) == 1
    run = plane.see_end(run)
    assert run.status == "succeeded", plane.lines(run)
    assert scene.shop.protection.later == {}
    assert scene.change.merge_note == "An agent works on the change."


# --- the queue -------------------------------------------------------------------------------


@pytest.fixture
def queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """The scene at GitHub, where the base has a merge queue and the check has passed."""
    with twin_of("github", tmp_path / "forge", monkeypatch) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        with real_plane(tmp_path / "plane") as plane:
            scene = Scene(plane, twin)
            scene.shop.protection.has_queue = True
            scene.shop.check(scene.change.number)
            yield scene


def queue_of(scene: Scene) -> GithubHosted:
    """Return the repository, whose queue goes on."""
    assert isinstance(scene.shop, GithubHosted)
    return scene.shop


def test_a_change_in_the_queue_is_merged_when_the_queue_has_merged_it(queued: Scene) -> None:
    assert queued.merge().merge_waits == "queue"
    assert "In the merge queue" in queued.sentence
    queue_of(queued).run_queue(queued.change.number)
    assert queued.look() == 1
    assert queued.change.state == "merged"


def test_a_change_that_the_queue_drops_is_told_with_the_reason(queued: Scene) -> None:
    number = queued.merge().number
    queue_of(queued).run_queue(number, "failed_checks")
    assert queued.look() == 1
    assert (queued.change.state, queued.change.merge_note) == ("open", "Failed checks.")
    assert "Not merged by itself: failed checks." in queued.sentence
    assert queued.merge().merge_waits == "queue"


def test_after_a_crash_a_merge_that_the_forge_took_is_known_and_can_be_canceled(
    scene: Scene,
) -> None:
    fail_at("merge.after_forge")
    with pytest.raises(FailpointHit):
        scene.merge()
    clear_failpoints()
    assert scene.change.merge_waits is None
    assert scene.look() == 1
    assert scene.change.merge_waits == "checks"
    scene.services.scheduled_merges.cancel(
        scene.project.id, scene.change.number, scene.plane.clock()
    )
    scene.shop.check(scene.change.number)
    assert not scene.is_merged()


def test_after_a_crash_before_the_forge_was_asked_nothing_waits(scene: Scene) -> None:
    fail_at("merge.before_forge")
    with pytest.raises(FailpointHit):
        scene.merge()
    clear_failpoints()
    assert scene.change.merge_head is not None
    assert scene.look() == 1
    assert (scene.change.merge_head, scene.change.merge_note) == (None, None)
    assert scene.look() == 0


def test_a_project_is_not_archived_while_its_forge_is_to_merge_something(scene: Scene) -> None:
    scene.merge()
    with pytest.raises(ProjectBusy, match="cancel that first"):
        scene.services.projects.archive(scene.project.id, scene.plane.clock())
    scene.services.scheduled_merges.cancel(
        scene.project.id, scene.change.number, scene.plane.clock()
    )
    scene.services.projects.archive(scene.project.id, scene.plane.clock())
