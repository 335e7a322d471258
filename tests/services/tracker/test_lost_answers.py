"""Answers of a forge that are lost: nothing is opened, merged or said twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.records.tables import ChangeRequest, Project, Run
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.twin import ForgeTwin


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[ForgeTwin]:
    """A twin of a forge with the repository acme/shop."""
    with ForgeTwin(tmp_path / "forge") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        yield twin


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with real repositories and processes."""
    with real_plane(tmp_path / "plane") as plane:
        yield plane


@pytest.fixture
def shop(twin: ForgeTwin) -> Hosted:
    """The repository."""
    return twin.hosted["acme/shop"]


@pytest.fixture
def project(plane: RealPlane, twin: ForgeTwin, shop: Hosted) -> Project:
    """The project of that repository, which says nothing on issues."""
    plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
    choice = plane.services.forges.choose(None, shop.clone_url, None)
    project = plane.register(shop.clone_url, COMMIT, "shop", choice.columns)
    plane.services.projects.change(project.id, tell_claims=False)
    return plane.project(project.id)


def lose(twin: ForgeTwin, shop: Hosted, ending: str, then: Any) -> None:
    """Lose the answer of the next POST with this ending: it is made, and `then` follows."""

    def before(method: str, path: str) -> tuple[int, None] | None:
        if method == "POST" and path.endswith(ending):
            twin.before = None
            then()
            return 0, None
        return None

    twin.before = before


def only_change(plane: RealPlane, project: Project) -> ChangeRequest:
    """Return the project's one change as it is kept here."""
    (change,) = plane.services.changes.all(project.id)
    return change


def is_done(plane: RealPlane, run_id: str) -> bool:
    """Inspect the run again after its pause; return True once it has succeeded."""
    plane.clock.advance(60)
    plane.inspect_run(run_id)
    plane.rest()
    return plane.run(run_id).status == "succeeded"


def opened(shop: Hosted, run: Run) -> int:
    """Open the run's pull request as its server did, whose answer is lost."""
    body = f"Closes #{run.issue}\n\n<!-- runyard:{run.id} -->"
    return shop.open(run.work_branch, "main", "Mend it", body)


@pytest.mark.parametrize("ending", ["merged", "closed"])
def test_a_request_that_ended_before_the_opening_is_repeated_is_not_opened_again(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project, ending: str
) -> None:
    run = plane.start_running(project, issue=shop.write("Mend it", "", "ready-for-agent"))

    def end() -> None:
        number = opened(shop, run)
        if ending == "closed":
            shop.close(number)
        else:
            shop.merge(number)
            shop.git.run("update-ref", "-d", f"refs/heads/{run.work_branch}", at=shop.place)

    lose(twin, shop, "/pulls", end)
    plane.see_end(run)
    plane.wait(lambda: is_done(plane, run.id), "the delivery")
    assert len(shop.pulls) == 1
    assert plane.services.pull_requests.look_once(plane.clock()) == 1
    assert only_change(plane, project).state == ending
    # a branch that was deleted with its merge is not pushed again
    assert bool(shop.git.tip(shop.place, run.work_branch)) is (ending == "closed")


def test_of_two_requests_of_one_run_the_lowest_stays_and_the_other_is_closed_with_a_word(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    run = plane.start_running(project, issue=shop.write("Mend it", "", "ready-for-agent"))
    made: list[int] = []

    def twice() -> None:
        # another server of another database opened one at the same moment
        made.extend([opened(shop, run), opened(shop, run)])

    lose(twin, shop, "/pulls", twice)
    plane.see_end(run)
    plane.wait(lambda: is_done(plane, run.id), "the delivery")
    first, second = made
    assert (shop.pulls[first]["state"], shop.pulls[second]["state"]) == ("open", "closed")
    said = [one["body"] for one in shop.comments[second]]
    assert said == [f"Opened twice by accident: #{first} is the one."]
    assert only_change(plane, project).number == first


@pytest.mark.parametrize("status", [0, 500, 502])
@pytest.mark.parametrize("is_made", [True, False], ids=["made", "not made"])
def test_a_merge_whose_answer_is_lost_is_read_and_then_judged(
    plane: RealPlane,
    twin: ForgeTwin,
    shop: Hosted,
    project: Project,
    status: int,
    is_made: bool,
) -> None:
    plane.finish(project, issue=shop.write("Mend it", "", "ready-for-agent"))
    change = only_change(plane, project)
    asked: list[str] = []

    def before(method: str, path: str) -> tuple[int, None] | None:
        if method == "POST" and path.endswith("/merge"):
            asked.append(path)
            if len(asked) == 1:
                if is_made:
                    shop.merge(change.number)
                return status, None
        return None

    twin.before = before
    merged = plane.services.changes.merge(project.id, change.number, plane.clock())
    assert merged.state == "merged"
    assert merged.merged_sha == shop.git.tip(shop.place, "main")
    assert len(asked) == (1 if is_made else 2)


def test_a_close_whose_answer_is_lost_gives_its_reason_once(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    plane.finish(project, issue=shop.write("Mend it", "", "ready-for-agent"))
    change = only_change(plane, project)
    forge = plane.adapters.forges.requests_of(project)
    assert forge is not None
    shop.say(change.number, "bot", "Wrong file.")
    assert forge.close(plane.repository(project), change.number, "Wrong file.")
    assert [one["body"] for one in shop.comments[change.number]] == ["Wrong file."]
