"""What a project's repository at a forge lacks, and forges that refuse their token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.review.inbox import ItemKind
from app.errors import Invalid
from app.records.tables import Project
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.kinds import KINDS, twin_of
from tests.fakes.forges.twin import ForgeTwin


@pytest.fixture(params=KINDS)
def twin(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ForgeTwin]:
    """A twin of a forge with the repository acme/shop."""
    with twin_of(request.param, tmp_path / "forge", monkeypatch) as twin:
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
    """The project of that repository."""
    plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
    choice = plane.services.forges.choose(None, shop.clone_url, None)
    return plane.register(shop.clone_url, COMMIT, "shop", choice.columns)


def look(plane: RealPlane, seconds: float = 0) -> int:
    """Look at the repositories after this many seconds."""
    plane.clock.advance(seconds)
    return plane.services.repositories.look_once(plane.clock())


def hold_of(plane: RealPlane, project: Project) -> str | None:
    """Return what the project's card says holds it."""
    return plane.services.overview.of(project.id).hold


def move(twin: ForgeTwin, shop: Hosted, name: str) -> Hosted:
    """Rename a repository, as its owner does; the old name redirects."""
    moved = twin.add_repository(name)
    shop.git.run("fetch", "-q", str(shop.place), "+refs/*:refs/*", at=moved.place)
    shop.renamed_to = name
    return moved


def test_a_missing_label_is_told_on_the_card_and_made_on_demand(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    shop.labels.clear()
    shop.write("Not ready", "", "bug")
    assert look(plane) == 1
    assert hold_of(plane, project) == "No label ready-for-agent"
    asked = len(twin.asked)
    assert look(plane, 60) == 0
    assert len(twin.asked) == asked, "asked again though it was asked a minute ago"
    plane.services.repositories.make_label(project.id)
    assert [one["name"] for one in shop.labels].count("ready-for-agent") == 1
    assert hold_of(plane, project) is None
    # pressed twice, or by two people
    plane.services.repositories.make_label(project.id)
    assert [one["name"] for one in shop.labels].count("ready-for-agent") == 1


def test_a_label_that_a_person_makes_there_lifts_the_hold_at_the_next_look(
    plane: RealPlane, shop: Hosted, project: Project
) -> None:
    shop.labels.clear()
    look(plane)
    shop.add_label("ready-for-agent")
    assert look(plane, 301) == 1
    assert hold_of(plane, project) is None


def test_a_label_of_the_organisation_that_an_issue_has_is_there(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    if twin.kind == "github":
        pytest.skip("GitHub has labels of repositories only")
    shop.write("Ready", "", "ready-for-agent")
    shop.labels.clear()
    assert look(plane) == 0


def test_a_silent_forge_says_nothing_about_labels(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    shop.labels.clear()
    twin.before = lambda _, __: (502, b"<html>")
    assert look(plane) == 0
    assert hold_of(plane, project) is None


def test_a_renamed_repository_holds_its_project_until_a_person_says_where_it_is(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    assert look(plane) == 0
    moved = move(twin, shop, "acme/store")
    # any question shows it, such as the sweep's for ready issues
    assert plane.services.issues.claimable(project) == []
    assert look(plane) == 1
    assert hold_of(plane, project) == "renamed to acme/store"
    kept = plane.project(project.id)
    assert (kept.origin, kept.repository) == (project.origin, "acme/shop")
    with pytest.raises(Invalid):
        plane.services.relocation.locate(project.id, "https://elsewhere.example.org/acme/store.git")
    located = plane.services.relocation.locate(project.id, moved.clone_url)
    assert (located.origin, located.repository) == (moved.clone_url, "acme/store")
    assert hold_of(plane, project) is None
    number = moved.write("Mend it", "", "ready-for-agent")
    run = plane.finish(plane.project(project.id), issue=number)
    assert run.status == "succeeded", plane.lines(run)
    assert len(moved.pulls) == 1


def test_a_refused_token_is_told_on_card_run_and_inbox_and_not_tried_again(
    plane: RealPlane, twin: ForgeTwin, shop: Hosted, project: Project
) -> None:
    run = plane.start_running(project, issue=shop.write("Mend it", "", "ready-for-agent"))
    known = twin.tokens.pop("TOKEN_BOT")
    run = plane.see_end(run)
    assert run.ended_at is None
    assert plane.services.forges.note_refusals() == 1
    assert run.hold == "it waits for its forge: the forge refused the token"
    (forge,) = plane.services.forges.all()
    assert hold_of(plane, project) == f"{forge.name}: The forge refused the token."
    items = plane.services.inbox.all()
    (item,) = [one for one in items if one.kind is ItemKind.REPOSITORY_UNREACHABLE]
    assert (item.title, item.action, item.url) == (
        "A forge refused its token",
        "Settings",
        "/settings",
    )
    asked = len(twin.asked)
    for _ in range(5):
        plane.clock.advance(60)
        plane.services.pull_requests.look_once(plane.clock())
        plane.services.claims.tell_once(plane.clock())
        plane.services.issues.claimable(project)
        look(plane)
    assert len(twin.asked) == asked
    twin.tokens["TOKEN_NEW"] = known
    plane.services.forges.change(forge.id, plane.clock(), token="TOKEN_NEW")
    assert hold_of(plane, project) is None

    def is_delivered() -> bool:
        plane.clock.advance(60)
        plane.inspect_run(run.id)
        plane.rest()
        return plane.run(run.id).status == "succeeded"

    plane.wait(is_delivered, "the delivery")
    assert len(shop.pulls) == 1
