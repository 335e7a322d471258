"""What checks leave in a copy: it is told, not delivered, and not taken for the agent's work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.records.tables import Run
from app.services.kept.retry import RetryOptions
from tests.builders.parked import deed
from tests.builders.repositories import run_git
from tests.drivers.checked_runs import (
    EXPECTS,
    OBEDIENT,
    at_origin,
    begin,
    check,
    log_of,
    results,
    to_the_end,
)
from tests.drivers.planes import COMMIT, RealPlane

# commits a file of its own and a changed one, tags that, and leaves more in no commit
MEDDLES = """echo check > by_check.txt; echo check >> README.md; git add -A
git -c user.name=c -c user.email=c@c commit -qm 'By a check'; git tag by_check
git checkout -qb elsewhere; echo check > left_by_check.txt; echo check >> README.md"""


def files_of(plane: RealPlane, run: Run, sha: str) -> list[str]:
    """Return the files of a commit at origin."""
    origin = Path(plane.project(run.project_id).origin)
    return run_git(origin, "ls-tree", "-r", "--name-only", sha).split()


def deliver(plane: RealPlane, run: Run) -> Run:
    """Deliver kept work as a person does."""
    clicked = deed(plane, "deliver")
    return plane.services.salvage.deliver(run.id, clicked, None, plane.clock())[0]


def test_no_later_round_takes_what_a_check_committed_or_left(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, OBEDIENT, check(f"{MEDDLES}\n{EXPECTS}")))
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    first, second = results(plane, run)
    assert at_origin(plane, run) == second.sha == run.head_sha
    assert files_of(plane, run, second.sha) == ["README.md", "answer.txt"]
    origin = Path(plane.project(run.project_id).origin)
    assert run_git(origin, "show", f"{second.sha}:README.md") == "# A project"
    assert run_git(origin, "rev-parse", f"{second.sha}^") == first.sha
    assert first.changed_files == second.changed_files == ["README.md"]
    assert "check “tests” changed README.md and moved the branch; not delivered" in plane.lines(run)
    assert (run.parked, plane.copy(run).exists()) == (False, False)


def test_each_check_sees_the_commit_and_what_the_ones_before_it_built(plane: RealPlane) -> None:
    build = check("echo built > built.txt; echo mine > new.txt; rm README.md", "build")
    looks = check("cat built.txt new.txt README.md; git status --porcelain", "looks")
    run = to_the_end(plane, begin(plane, COMMIT, build, looks))
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    assert log_of(plane, run).endswith("\nbuilt\nnew\n# A project\n?? built.txt\n")


def test_a_person_delivers_the_commit_that_was_checked_as_a_draft(plane: RealPlane) -> None:
    red = check(f"{MEDDLES}\nfalse")
    run = to_the_end(plane, begin(plane, COMMIT, red, check("true", "lint"), check_rounds=0))
    assert (run.status, run.cause, run.parked) == ("died", "checks_failed", True)
    checked = results(plane, run)[0].sha
    assert plane.tip(run) == checked
    delivered = deliver(plane, run)
    assert (delivered.cause, delivered.head_sha) == ("checks_failed", checked)
    assert at_origin(plane, run) == checked
    [change] = plane.services.changes.all(run.project_id)
    assert change.draft
    assert "✗ check “tests” failed: exit code 1" in change.body
    assert "✓ check “lint” passed" in change.body
    assert any("opened as a draft" in line for line in plane.lines(run))


def test_commits_that_a_person_adds_to_red_work_are_delivered_too(plane: RealPlane) -> None:
    run = to_the_end(plane, begin(plane, f"{COMMIT}; echo > left", check("false"), check_rounds=0))
    checked = results(plane, run)[0].sha
    copy = plane.copy(run)
    run_git(copy, "commit", "-q", "--allow-empty", "-m", "By a person")
    assert deliver(plane, run).head_sha == run_git(copy, "rev-parse", "HEAD") != checked
    [change] = plane.services.changes.all(run.project_id)
    assert change.draft
    assert f"Checked at {checked[:7]}, before its last commit" in change.body


def test_a_follow_up_that_died_is_delivered_as_the_draft_that_its_last_checks_made_it(
    plane: RealPlane,
) -> None:
    more = "git commit -q --allow-empty -m More; exit 7"
    run = begin(plane, f"[ -e new.txt ] && {{ {more}; }}; {COMMIT}", check("false"))
    run = to_the_end(plane, run)
    assert (run.status, run.cause, run.turn) == ("died", "exit_code", 2)
    checked = results(plane, run)[0].sha
    delivered = deliver(plane, run)
    [change] = plane.services.changes.all(run.project_id)
    assert (change.draft, change.head_sha) == (True, delivered.head_sha)
    assert delivered.head_sha != checked
    assert f"Checked at {checked[:7]}, before its last commits:" in change.body


def test_what_an_agent_left_is_kept_whatever_its_checks_do_to_it(plane: RealPlane) -> None:
    agent = f"{COMMIT}; echo more >> README.md; mkdir d; echo a > d/a; ln -s a d/b; rm new.txt"
    wipes = check("git checkout -q .; git clean -qfd; echo b > d; false")
    run = to_the_end(plane, begin(plane, agent, wipes, check_rounds=0))
    assert (run.cause, run.parked) == ("checks_failed", True)
    copy = plane.copy(run)
    assert (copy / "README.md").read_text() == "# A project\nmore\n"
    assert (copy / "d/a").read_text() == "a\n"
    assert (copy / "d/b").readlink() == Path("a")
    assert not (copy / "new.txt").exists()
    assert run_git(copy, "status", "--porcelain").split("\n") == [
        " M README.md".strip(),
        " D new.txt",
        "?? d/",
    ]


def test_a_run_that_is_stopped_in_a_check_keeps_only_what_is_the_agents(plane: RealPlane) -> None:
    run = begin(plane, COMMIT, check(f"{MEDDLES}\necho here; sleep 60"))

    def is_there() -> bool:
        if plane.look(run).tree_gone:
            plane.reap(run)
        return "\nhere" in log_of(plane, run)

    plane.wait(is_there, "the check")
    plane.stop_run(run)
    ended = to_the_end(plane, run)
    assert (ended.status, ended.parked) == ("stopped", True)
    assert not plane.copy(run).exists(), plane.lines(run)
    checked = results(plane, run)[0].sha
    assert deliver(plane, ended).head_sha == checked == at_origin(plane, run)


def test_nothing_of_a_copy_is_taken_while_a_checks_changes_could_not_be_put_back(
    plane: RealPlane,
) -> None:
    locks = check(f"{MEDDLES}\nmkdir -p stuck; cd stuck; touch a; cd ..; rm .git/HEAD; false")
    run = begin(plane, COMMIT, locks, check_rounds=0)
    kept = plane.copy(run).parent.parent / "looks" / f"{run.id}.git"
    plane.wait(lambda: plane.look(run).tree_gone, "the agent's end")
    plane.reap(run)
    assert (kept / "before").is_dir()
    (kept / "before/manifest.json").write_text("{")
    ended = to_the_end(plane, run)
    assert (ended.cause, ended.parked) == ("checks_failed", True)
    assert deliver(plane, ended).head_sha == results(plane, run)[0].sha == at_origin(plane, run)
    assert any("without newer commits of its working copy" in line for line in plane.lines(run))


@pytest.mark.parametrize("is_readable_again", [True, False])
def test_a_retry_continues_with_what_a_person_changed_since_the_checks(
    plane: RealPlane, is_readable_again: bool
) -> None:
    writes = check("echo check >> README.md; false")
    agent = f"[ -e new.txt ] && git commit -q --allow-empty -m More || {{ {COMMIT}; }}"
    run = begin(plane, agent, writes, check_rounds=0)
    manifest = plane.copy(run).parent.parent / f"looks/{run.id}.git/before/manifest.json"
    plane.wait(lambda: plane.look(run).tree_gone, "the agent's end")
    plane.reap(run)
    whole = manifest.read_text()
    manifest.write_text("{")
    assert to_the_end(plane, run).parked
    if is_readable_again:
        manifest.write_text(whole)
    (plane.copy(run) / "README.md").write_text("By a person\n")
    accepted = plane.services.retry.retry(run.id, RetryOptions(), plane.requester(), plane.clock())
    plane.rest()
    retry = plane.run(accepted.run.id)
    assert retry.status == "running", retry.because
    assert (plane.copy(retry) / "README.md").read_text() == "By a person\n"
    assert any("what its checks changed there was not put back" in it for it in plane.lines(retry))
    ended = to_the_end(plane, retry)
    assert (ended.cause, ended.parked) == ("checks_failed", True)
    assert (plane.copy(retry) / "README.md").read_text() == "By a person\n"
    assert plane.tip(retry) == results(plane, retry)[0].sha != results(plane, run)[0].sha


def test_a_file_whose_name_is_no_text_is_named_and_put_back_all_the_same(plane: RealPlane) -> None:
    bad = "$(printf 'na\\377me')"
    long = "/".join(["l" * 200] * 5)
    agent = f"mkdir -p {long}; echo one | tee {bad} > {long}/f; git add -A; git commit -qm Odd"
    agent += f"; echo two > {bad}.left"
    meddles = check(f"echo check | tee {bad} {bad}.left > {long}/f")
    run = to_the_end(plane, begin(plane, agent, meddles))
    assert (run.status, run.cause) == ("succeeded", "delivered"), run.because
    assert results(plane, run)[0].changed_files == [
        f"{long[:300]}…",
        "na\\udcffme",
        "na\\udcffme.left",
    ]
    assert (plane.copy(run) / os.fsdecode(b"na\xffme.left")).read_text() == "two\n"
