"""Tokens of runs: sealed by a key that may be wrong, masked by all servers, forgotten in time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.domain.people.roles import Scope
from app.errors import NotSignedIn
from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.context import repository_of
from app.services.kept.retry import RetryOptions
from tests.builders.two_stores import Planes, found, start
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

OTHER = "This server's key is not the one of the stored secrets: copy the key file to it."


def begin(planes: Planes, **wishes: str | Path) -> FakePlane:
    plane = planes(split=False, **wishes)
    plane.services.run_tokens.load()
    return plane


def project_of(plane: FakePlane, world: World) -> Project:
    return plane.add_project(world, agent_token=True)


def begin_run(plane: FakePlane, project: Project) -> Run:
    """Launch a run of a new issue."""
    return start(plane, project, issue=plane.add_issue(project))


def token_of(world: World, run: Run) -> str:
    """Return the token in the environment of a run's agent."""
    return world.orders[run.id].facts["TOKEN"]


def masked(plane: FakePlane, token: str) -> bool:
    return "•••" in plane.adapters.secrets.mask().mask_text(token)


def admits(plane: FakePlane, token: str) -> bool:
    with suppress(NotSignedIn):
        return plane.services.accounts.who(None, token, plane.clock()) is not None
    return False


def end(plane: FakePlane, world: World, run: Run) -> None:
    """Let an agent end without work, and reap its run."""
    world.end(run.id, 1)
    plane.reaper.reap_once(run.id)
    plane.rest()


def discard(plane: FakePlane, world: World, run: Run) -> None:
    """Let an agent end, and discard what its run left, its claim of the issue."""
    end(plane, world, run)
    deed = Deed(plane.person, "discard", "by a test", "c", run.project_id)
    branch = run.work_branch
    plane.services.parked.discard(run.project_id, branch, branch, deed, plane.clock())
    plane.rest()
    assert not found(plane, run.id).parked


def remove_key(key: Path) -> None:
    key.unlink()


def empty_key(key: Path) -> None:
    key.write_text("")


def replace_key(key: Path) -> None:
    key.write_text(Fernet.generate_key().decode())


def block_key(key: Path) -> None:
    # root may read any file, but no folder in its place
    key.unlink()
    key.mkdir()


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "removed": (remove_key, OTHER),
    "empty": (empty_key, "secret.key holds no key"),
    "another": (replace_key, OTHER),
    "a folder": (block_key, "secret.key cannot be read"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_run_whose_token_cannot_be_sealed_is_not_started_and_says_why(
    planes: Planes, world: World, how: str
) -> None:
    plane = begin(planes)
    project = project_of(plane, world)
    first = begin_run(plane, project)
    assert first.status == "running", first.because
    key = plane.settings.secret_key
    before = key.read_text()
    damage, because = BROKEN[how]
    damage(key)

    run = begin_run(plane, project)
    assert (run.status, run.cause) == ("not_started", "launch_failed")
    assert (run.because or "").startswith("its agent was to get a token: ")
    assert because in (run.because or "")
    # nothing is lost or left: the issue can be claimed again, and the other run goes on
    assert run.released_at is not None
    assert run.id not in world.copies
    [view] = [one for one in plane.services.issues.all(project.id) if one.number == run.issue]
    assert view.claimable
    assert masked(plane, token_of(world, first))
    assert admits(plane, token_of(world, first))

    if key.is_dir():
        key.rmdir()
    key.write_text(before)
    again = start(plane, project, issue=run.issue)
    assert again.status == "running", again.because


def test_a_key_that_cannot_be_made_keeps_the_run_from_starting(
    planes: Planes, world: World, tmp_path: Path
) -> None:
    (tmp_path / "no-folder").write_text("")
    plane = begin(planes, secret_key_file=tmp_path / "no-folder" / "key")
    run = begin_run(plane, project_of(plane, world))
    assert run.status == "not_started"
    assert "The key of the stored secrets cannot be used: File exists." in (run.because or "")


def test_a_retry_with_a_broken_key_keeps_the_work_and_a_later_one_gets_a_token(
    planes: Planes, world: World
) -> None:
    plane = begin(planes)
    run = begin_run(plane, project_of(plane, world))
    world.commit(run.id)
    end(plane, world, run)
    [(branch, tip)] = kept_work(plane)
    assert branch == run.work_branch
    key = plane.settings.secret_key
    before = key.read_text()
    replace_key(key)
    refused = retry(plane, run)
    assert refused.status == "not_started"
    assert OTHER in (refused.because or "")
    assert kept_work(plane) == [(branch, tip)]

    key.write_text(before)
    again = retry(plane, refused)
    assert again.status == "running", again.because
    # another token, and the one before opens nothing, but is masked while the run goes on
    assert token_of(world, again) != token_of(world, run)
    assert admits(plane, token_of(world, again))
    assert not admits(plane, token_of(world, run))
    assert masked(plane, token_of(world, again))
    assert masked(plane, token_of(world, run))


def retry(plane: FakePlane, run: Run) -> Run:
    """Retry a run on the work that it left, as far as it comes."""
    options, by = RetryOptions(), plane.requester()
    accepted = plane.services.retry.retry(run.id, options, by, plane.clock()).run
    plane.rest()
    return found(plane, accepted.id)


def kept_work(plane: FakePlane) -> list[tuple[str, str | None]]:
    """Return the branches of kept work, with their tips."""
    return [
        (one.branch, plane.adapters.mirrors.tip(repository_of(project), one.branch))
        for one in plane.services.parked.all(plane.clock())
        if (project := plane.ledgers.projects.find(one.project_id)) is not None
    ]


def test_of_two_servers_with_keys_of_their_own_the_second_starts_no_run_with_a_token(
    planes: Planes, world: World, tmp_path: Path
) -> None:
    one = begin(planes)
    two = begin(planes, secret_key_file=tmp_path / "two.key")
    project = project_of(one, world)
    first = begin_run(one, project)
    assert first.status == "running"
    refused = begin_run(two, project)
    assert (refused.status, OTHER in (refused.because or "")) == ("not_started", True)
    # it admits the other's agent, whose token it knows by its hash
    assert admits(two, token_of(world, first))
    assert start(one, project, issue=refused.issue).status == "running"


def test_after_a_restart_a_token_is_masked_and_admits_as_before(
    planes: Planes, world: World
) -> None:
    one = begin(planes)
    run = begin_run(one, project_of(one, world))
    two = planes(split=False)
    assert not masked(two, token_of(world, run))
    two.services.run_tokens.load()
    assert masked(two, token_of(world, run))
    visitor = two.services.accounts.who(None, token_of(world, run), two.clock())
    assert visitor is not None
    assert visitor.scopes == {Scope.READ, Scope.REVIEW}
    assert visitor.name == f"{run.agent} · run …{run.id[-6:]}"


def test_a_fresh_key_seals_the_tokens_of_runs_anew_and_every_server_masks_them_on(
    planes: Planes, world: World, tmp_path: Path
) -> None:
    one = begin(planes)
    run = begin_run(one, project_of(one, world))
    old = one.settings.secret_key.read_text()
    copied = tmp_path / "copied.key"
    copied.write_text(old)
    two = begin(planes, secret_key_file=copied)
    assert one.services.secret_key.rotate() == 1
    assert one.settings.secret_key.read_text() != old
    for plane in (one, two):
        # as when it hears of another token; the second one has the key from before
        plane.services.run_tokens.load()
        assert masked(plane, token_of(world, run))
        assert admits(plane, token_of(world, run))
    heir = begin(planes)
    assert masked(heir, token_of(world, run))


def test_the_tokens_of_ended_runs_are_deleted_by_a_round_and_no_longer_masked(
    planes: Planes, world: World
) -> None:
    plane = begin(planes)
    project = project_of(plane, world)
    ended, kept, live = [begin_run(plane, project) for _ in range(3)]
    world.commit(kept.id)
    end(plane, world, kept)
    discard(plane, world, ended)
    tokens = plane.services.run_tokens
    # a launch leaves that to the round
    begin_run(plane, project)
    assert masked(plane, token_of(world, ended))
    assert tokens.forget_once(plane.clock()) == 1
    plane.rest()
    tokens.load()
    assert not masked(plane, token_of(world, ended))
    # the work that a run left may be pushed later, with the token in it
    assert masked(plane, token_of(world, kept))
    assert masked(plane, token_of(world, live))
    assert tokens.forget_once(plane.clock()) == 0


def test_a_server_that_starts_deletes_the_tokens_of_runs_that_ended_before(
    planes: Planes, world: World
) -> None:
    one = begin(planes)
    run = begin_run(one, project_of(one, world))
    discard(one, world, run)
    two = planes(split=False)
    two.start()
    assert masked(two, token_of(world, run))
    two.begin()
    two.rest()
    assert not masked(two, token_of(world, run))
