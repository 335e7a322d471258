"""Commits with secrets: kept local until a person decides."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from app.adapters.git import secret_scan
from app.domain.secret_masks import Secret, SecretMask
from app.domain.words import Cause
from app.errors import FileTooLarge, SecretFound
from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.ports import Leak, Repository
from app.services.push_checks import refusal_of
from tests.builders.pushes import pushed
from tests.builders.repositories import run_git
from tests.drivers.planes import DrivenPlane, RealPlane, real_plane
from tests.fakes.planes import TwinPlane


@pytest.fixture
def token(plane: RealPlane) -> str:
    """Runyard's own token, which an agent may have read."""
    return (plane.settings.data_root / "token").read_text().strip()


def leaking(plane: RealPlane, token: str, then: str = "true") -> Project:
    """Add a project whose agent commits the token and removes it again."""
    commit = "git add -A && git commit -qm"
    agent = f"""printf 'debug = 1\\n\\ntoken = "{token}"\\n' > settings.py
        {commit} 'Set it up'
        printf 'debug = 0\\n' > settings.py && {commit} 'Take it out'; {then}"""
    return plane.add_project(agent)


def kept(plane: DrivenPlane, project: Project) -> Run:
    """Return the run of an issue that left a secret in its commits."""
    return plane.see_end(plane.start_running_issue(project))


def deliver(plane: DrivenPlane, run: Run, *, push_anyway: bool = False) -> Run:
    deed = Deed(plane.person, "deliver", "pushed anyway by a test", "corr")
    salvage = plane.services.salvage
    return salvage.deliver(run.id, deed, None, plane.clock(), push_anyway=push_anyway)[0]


def test_work_with_a_secret_is_kept_and_its_place_is_named(plane: RealPlane, token: str) -> None:
    project = leaking(plane, token)
    run = kept(plane, project)
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    first = run_git(mirror, "--git-dir=.", "rev-parse", f"{plane.tip(run)}~1")[:7]
    assert (run.status, run.cause, run.parked, run.exit_code) == ("died", "secret_found", True, 0)
    assert run.because == (
        f"not pushed: settings.py line 3 of commit {first} contains a secret (Runyard's token)"
    )
    assert not any(token in line for line in plane.lines(run))
    # nothing left this machine, and the project gets no strike
    assert pushed(project, run) == ""
    assert plane.project(project.id).strikes == 0
    assert plane.ledgers.tracker.changes(project.id) == []
    assert run.released_at is not None


@pytest.fixture
def leaks(twin: TwinPlane) -> Run:
    """A run of the in-memory world whose commits hold a secret."""
    twin.world.leak = Leak("Runyard's token", "c0ffee0" * 5 + "c0ffe", "settings.py", 3)
    run = kept(twin, twin.add_project())
    assert (run.status, run.cause, run.parked) == ("died", "secret_found", True)
    return run


def test_parked_work_with_a_secret_says_that_it_needs_a_word(twin: TwinPlane, leaks: Run) -> None:
    twin.services.parked.all(twin.clock())
    twin.rest()
    (row,) = twin.services.parked.all(twin.clock())
    assert (row.run_id, row.can_deliver, row.needs_push_anyway) == (leaks.id, True, True)
    assert row.because.startswith("not pushed: settings.py line 3")


def test_a_person_is_refused_too_until_they_say_to_push_anyway(twin: TwinPlane, leaks: Run) -> None:
    at_origin = twin.world.origins[twin.project(leaks.project_id).origin]
    with pytest.raises(SecretFound, match=r"Not pushed: settings\.py line 3 of commit"):
        deliver(twin, leaks)
    assert leaks.work_branch not in at_origin
    done = deliver(twin, leaks, push_anyway=True)
    assert done.delivery is not None
    assert at_origin[leaks.work_branch] == done.delivery["head_sha"]
    assert any("pushed anyway by a test" in line for line in twin.lines(leaks))


def test_what_was_pushed_anyway_is_merged_without_asking_again(twin: TwinPlane, leaks: Run) -> None:
    done = deliver(twin, leaks, push_anyway=True)
    assert done.delivery is not None
    changes, number = twin.services.changes, done.delivery["number"]
    assert changes.merge(leaks.project_id, number, twin.clock()).state == "merged"


def test_a_merge_looks_for_what_became_a_secret_after_the_delivery(plane: RealPlane) -> None:
    agent = "echo s3cret-of-tomorrow > a.txt && git add -A && git commit -qm 'Add a file'"
    project = plane.add_project(agent)
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert run.delivery is not None
    plane.adapters.secrets.add(lambda: [Secret("KEY", "s3cret-of-tomorrow")])
    changes, number = plane.services.changes, run.delivery["number"]
    with pytest.raises(SecretFound, match=r"a\.txt line 1 of commit"):
        changes.merge(project.id, number, plane.clock())
    assert changes.find(project.id, number).state == "open"
    assert changes.merge(project.id, number, plane.clock(), push_anyway=True).state == "merged"


def test_work_of_a_run_that_failed_is_looked_at_when_a_person_delivers_it(
    plane: RealPlane, token: str
) -> None:
    run = kept(plane, leaking(plane, token, then="exit 3"))
    assert (run.status, run.cause) == ("died", "exit_code")
    with pytest.raises(SecretFound, match=r"settings\.py line 3"):
        deliver(plane, run)
    assert deliver(plane, run, push_anyway=True).delivery is not None


def test_the_token_of_a_file_that_an_agent_signs_in_by_is_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "me" / ".claude" / ".credentials.json"
    file.parent.mkdir(parents=True)
    told = {"accessToken": "sk-ant-oat01-0123456789", "expiresAt": 1}
    file.write_text(json.dumps({"claudeAiOauth": told}))
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    commit = f"echo '{told['accessToken']}' > a.txt && git add -A && git commit -qm 'Add a file'"
    with real_plane(tmp_path / "data") as plane:
        run = kept(plane, plane.add_project(commit))
        assert (run.status, run.cause) == ("died", "secret_found")
        assert (run.because or "").endswith("contains a secret (the sign-in of claude)")


def test_commits_that_come_after_the_look_are_not_pushed_with_the_others(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project("echo 1 > a.txt && git add -A && git commit -qm 'Add a file'")
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    look, looked_at = plane.adapters.mirrors.find_leak, []

    def look_while_the_branch_moves(
        repo: Repository, base: str, tip: str, mask: SecretMask
    ) -> Leak | None:
        looked_at.append(tip)
        leak = look(repo, base, tip, mask)
        git = partial(run_git, mirror, "--git-dir=.")
        later = git("commit-tree", f"{tip}^{{tree}}", "-p", tip, "-m", "Nobody has read this")
        git("update-ref", "refs/heads/afk/1", later)
        return leak

    monkeypatch.setattr(plane.adapters.mirrors, "find_leak", look_while_the_branch_moves)
    run = plane.see_end(plane.start_running_issue(project))
    assert run.delivery is not None
    assert [pushed(project, run)] == looked_at == [run.delivery["head_sha"]]


def test_commits_that_cannot_be_read_are_not_pushed_and_looked_at_again(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project()
    run = plane.start_running_issue(project)
    with monkeypatch.context() as slow:
        # git gets no time at all
        slow.setattr(secret_scan, "SECONDS", 0.0)
        waiting = plane.see_end(run)
        assert (waiting.status, waiting.cause) == ("delivering", None)
        assert waiting.hold == (
            "delivery waits: its commits could not be checked for secrets and large files: "
            "the mirror could not be read: git did not answer in time."
        )
        assert pushed(project, run) == ""
    plane.clock.advance(5)
    plane.tick()
    done = plane.run(run.id)
    assert (done.status, done.cause) == ("succeeded", "delivered")


def test_each_objection_has_a_refusal_of_its_own() -> None:
    found = refusal_of(Cause.SECRET_FOUND, "not pushed: it contains a secret")
    large = refusal_of(Cause.FILE_TOO_LARGE, "not pushed: it is large")
    assert (type(found), type(large)) == (SecretFound, FileTooLarge)
    assert found.detail == "Not pushed: it contains a secret"
