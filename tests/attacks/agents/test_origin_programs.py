"""A28, A32: programs that a local origin could run when it takes a push, and what it reports."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.services.ports import CannotRead, OriginProblem, Repository
from tests.builders.repositories import (
    Place,
    make_origin,
    run_git,
    set_up_place,
    tip_of,
    write_hook,
)

HOOKS = (
    *("pre-receive", "update", "proc-receive", "post-receive", "post-update"),
    *("reference-transaction", "push-to-checkout", "post-index-change", "pre-auto-gc"),
    *("post-checkout", "post-merge", "post-rewrite"),
)
RUN_BY_A_PUSH = {"pre-receive", "update", "post-receive", "post-update", "reference-transaction"}
FILTERED = {"a.txt": "one\n", ".gitattributes": "*.txt filter=x\n"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An origin with a checkout, trapped everywhere."""
    place = set_up_place(tmp_path, files={"a.txt": "one\n"}, bare=False)
    arm(place)
    return place


def canaries_of(place: Place) -> Path:
    return place.origin.parent / "canaries"


def fired(place: Place) -> set[str]:
    return {path.name for path in canaries_of(place).iterdir()}


def arm(place: Place, *, required: bool = False) -> None:
    """Set every trap in a checkout: hooks, settings that are commands, a borrowed object folder."""
    canaries, git_dir = canaries_of(place), place.origin / ".git"
    canaries.mkdir()
    for name in HOOKS:
        # this hook replaces git's own update of the checkout, so it has to do that too
        does = "; git read-tree -u -m HEAD $1" if name == "push-to-checkout" else ""
        write_hook(git_dir, name, f"touch '{canaries}/{name}'{does}")
    lent = make_origin(place.origin.parent / "lent", bare=True)
    (git_dir / "objects/info").mkdir(exist_ok=True)
    (git_dir / "objects/info/alternates").write_text(f"{lent}/objects\n")
    for key, value in {
        "core.alternateRefsCommand": f"touch '{canaries}/alternates'; true",
        "core.fsmonitor": f"touch '{canaries}/fsmonitor'; false",
        "filter.x.smudge": f"touch '{canaries}/smudge'; sed s/^/smudged:/",
        "filter.x.clean": f"touch '{canaries}/clean'; sed s/^smudged://",
        "filter.x.required": str(required).lower(),
        "receive.procReceiveRefs": "refs/for",
    }.items():
        run_git(place.origin, "config", key, value)


def take_everything(place: Place, repo: Repository) -> str:
    """Deliver, merge and delete a branch, as after a run; return the merge commit."""
    tip = place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(repo, "afk/1").accepted
    assert tip_of(place.origin, "afk/1") == tip
    merged = place.mirrors.merge(repo, base="main", branch="afk/1", message="Merge").sha
    assert merged
    assert place.mirrors.delete_at_origin(repo, "afk/1", expected_sha=tip)
    return merged


def test_nothing_of_a_checkout_runs_when_it_takes_a_delivery_and_a_merge(place: Place) -> None:
    merged = take_everything(place, place.repo)
    assert fired(place) == set()
    # and the checkout's files are up to date
    assert (place.origin / "new.txt").read_text() == "x\n"
    for key in ("core.fsmonitor", "filter.x.clean"):
        run_git(place.origin, "config", "--unset", key)
    assert run_git(place.origin, "status", "--porcelain") == ""
    assert tip_of(place.origin) == merged


def test_hooks_run_once_a_person_has_switched_them_on(place: Place) -> None:
    """The traps work: hooks fire. Everything else stays off."""
    repo = place.trusting_hooks()
    tip = place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(repo, "afk/1").accepted
    assert fired(place) >= RUN_BY_A_PUSH
    merged = place.mirrors.merge(repo, base="main", branch="afk/1", message="Merge")
    assert merged.sha == tip_of(place.origin)
    assert not merged.hooks_changed
    assert "push-to-checkout" in fired(place)
    assert not fired(place) & {"alternates", "fsmonitor"}
    assert tip_of(place.origin, "afk/1") == tip


def change_a_hook(git_dir: Path) -> None:
    with (git_dir / "hooks/update").open("a") as hook:
        hook.write("# harmless\n")


def link_a_hook(git_dir: Path) -> None:
    other = git_dir / "other"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    (git_dir / "hooks/update").unlink()
    (git_dir / "hooks/update").symlink_to(other)


def config(*words: str) -> Callable[[Path], object]:
    return lambda git_dir: run_git(git_dir.parent, "config", *words)


CHANGES = {
    "a changed hook": change_a_hook,
    "a hook of another place": link_a_hook,
    "a new hook": lambda git_dir: write_hook(git_dir, "post-commit", "true"),
    "a hook that is gone": lambda git_dir: (git_dir / "hooks/update").unlink(),
    "a hook made a program": lambda git_dir: (git_dir / "hooks/update").chmod(0o644),
    "other hooks": config("core.hooksPath", "elsewhere"),
    "another filter": config("filter.x.smudge", "cat"),
    "a worktree's config": config("extensions.worktreeConfig", "true"),
    "an included file": config("include.path", "more"),
    "a pipe": lambda git_dir: os.mkfifo(git_dir / "hooks/pipe"),
    "a large file": lambda git_dir: (git_dir / "hooks/big").write_bytes(b"x" * 5 * 1024**2),
}


UNREADABLE = {"a pipe", "a large file"}
# the soak delivers after each change
DELIVERED_AFTER = {"a changed hook", "another filter", *UNREADABLE}


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in UNREADABLE])
def test_a_change_of_any_program_of_an_origin_is_seen(place: Place, name: str) -> None:
    before = place.mirrors.hooks_of(place.repo.origin)
    assert place.mirrors.hooks_of(place.repo.origin) == before
    CHANGES[name](place.origin / ".git")
    assert place.mirrors.hooks_of(place.repo.origin) != before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, id=name, marks=[pytest.mark.soak] * (name not in DELIVERED_AFTER))
        for name, change in CHANGES.items()
    ],
)
def test_hooks_that_have_changed_since_they_were_switched_on_do_not_run(
    place: Place, change: Callable[[Path], object]
) -> None:
    repo = place.trusting_hooks()
    change(place.origin / ".git")
    place.deliver({"new.txt": "x\n"})
    pushed = place.mirrors.push(repo, "afk/1")
    assert (pushed.accepted, pushed.hooks_changed) == (True, True)
    merged = place.mirrors.merge(repo, base="main", branch="afk/1", message="Merge")
    assert (merged.sha, merged.hooks_changed) == (tip_of(place.origin), True)
    assert fired(place) == set()


def test_a_branch_of_a_person_changes_nothing_about_their_hooks(place: Place) -> None:
    repo = place.trusting_hooks()
    run_git(place.origin, "checkout", "-q", "-b", "mine")
    run_git(place.origin, "config", "branch.mine.remote", "origin")
    (place.origin / ".git/hooks/pre-push.sample").write_text("an example\n")
    place.deliver({"new.txt": "x\n"})
    assert not place.mirrors.push(repo, "afk/1").hooks_changed


def test_hooks_of_a_folder_of_their_own_run_from_there(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, bare=False)
    said = tmp_path / "said"
    write_hook(tmp_path, "pre-receive", f"touch '{said}'")
    run_git(place.origin, "config", "core.hooksPath", str(tmp_path / "hooks"))
    place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert not said.exists()
    place.deliver({"newer.txt": "x\n"}, branch="afk/2")
    assert place.mirrors.push(place.trusting_hooks(), "afk/2").accepted
    assert said.exists()


def test_nothing_that_is_missing_at_a_checkout_is_fetched_from_an_address_of_its(
    tmp_path: Path,
) -> None:
    """A partial clone's promisor remote names the program that is run to fetch."""
    place = set_up_place(tmp_path, files={"a.txt": "one\n"}, bare=False)
    place.deliver({"a.txt": "two\n"})
    canary = tmp_path / "canary"
    tree = run_git(place.origin, "rev-parse", "HEAD^{tree}")
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "evil",
        "remote.evil.promisor": "true",
        "remote.evil.url": str(place.mirror),
        "remote.evil.uploadpack": f"touch '{canary}'; git-upload-pack",
    }.items():
        run_git(place.origin, "config", key, value)
    (place.origin / ".git/objects" / tree[:2] / tree[2:]).unlink()
    answer = place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge")
    assert answer.sha is None
    assert not canary.exists()
    assert (place.origin / "a.txt").read_text() == "one\n"


# --- filters -----------------------------------------------------------------------------------


@pytest.fixture
def filtered(tmp_path: Path) -> Place:
    """An origin whose own config has a filter for its files."""
    place = set_up_place(tmp_path, files=FILTERED, bare=False)
    arm(place, required=True)
    return place


def test_a_checkout_whose_own_filter_would_write_the_files_is_left_as_it_is(
    filtered: Place,
) -> None:
    filtered.deliver({"a.txt": "two\n"})
    before = tip_of(filtered.origin)
    answer = filtered.mirrors.merge(filtered.repo, base="main", branch="afk/1", message="Merge")
    assert answer.sha is None
    assert "main is checked out at origin, where the filter x of its own config" in answer.because
    assert "switch on the repository's own hooks" in answer.because
    assert tip_of(filtered.origin) == before
    assert (filtered.origin / "a.txt").read_text() == "one\n"
    assert fired(filtered) == set()
    # a delivery does not touch the checkout
    assert filtered.mirrors.push(filtered.repo, "afk/1").accepted


def test_rules_of_the_checkout_itself_are_rules_for_its_files_too(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, files={"a.txt": "one\n"}, bare=False)
    arm(place)
    (place.origin / ".git/info").mkdir(exist_ok=True)
    (place.origin / ".git/info/attributes").write_text("*.txt filter=x\n")
    place.deliver({"a.txt": "two\n"})
    answer = place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge")
    assert (answer.sha, fired(place)) == (None, set())
    assert (place.origin / "a.txt").read_text() == "one\n"


def test_a_merge_needs_no_filter_where_another_branch_is_checked_out(filtered: Place) -> None:
    run_git(filtered.origin, "symbolic-ref", "HEAD", "refs/heads/mine")
    filtered.deliver({"a.txt": "two\n"})
    answer = filtered.mirrors.merge(filtered.repo, base="main", branch="afk/1", message="Merge")
    assert answer.sha == tip_of(filtered.origin, "main")
    assert fired(filtered) == set()


def test_a_filter_writes_the_files_once_a_person_has_switched_it_on(filtered: Place) -> None:
    (filtered.origin / ".git/hooks/push-to-checkout").unlink()
    filtered.deliver({"a.txt": "two\n"})
    repo = filtered.trusting_hooks()
    answer = filtered.mirrors.merge(repo, base="main", branch="afk/1", message="Merge")
    assert answer.sha == tip_of(filtered.origin)
    assert (filtered.origin / "a.txt").read_text() == "smudged:two\n"


def test_a_delivery_moves_no_file_of_a_checkout_that_would_follow_it(filtered: Place) -> None:
    run_git(filtered.origin, "config", "receive.denyCurrentBranch", "updateInstead")
    tip = filtered.deliver({"a.txt": "two\n"})
    run_git(filtered.origin, "update-ref", "refs/heads/afk/1", filtered.base_sha)
    run_git(filtered.origin, "symbolic-ref", "HEAD", "refs/heads/afk/1")
    for canary in canaries_of(filtered).iterdir():
        canary.unlink()  # a person's own git runs their hooks and filters
    answer = filtered.mirrors.push(filtered.repo, "afk/1")
    assert not answer.accepted
    assert "checked out" in answer.because
    assert tip_of(filtered.origin) != tip
    assert fired(filtered) == set()


# --- what origin reports -----------------------------------------------------------------------


def test_a_push_that_origin_does_not_show_is_refused(tmp_path: Path) -> None:
    place = set_up_place(tmp_path)
    place.deliver({"new.txt": "x\n"})
    write_hook(place.origin, "post-receive", "git update-ref -d refs/heads/afk/1")
    answer = place.mirrors.push(place.trusting_hooks(), "afk/1")
    assert not answer.accepted
    assert answer.because == "origin does not show what was pushed: afk/1 is missing there"
    other = place.base_sha
    write_hook(place.origin, "post-receive", f"git update-ref refs/heads/afk/1 {other}")
    answer = place.mirrors.push(place.trusting_hooks(), "afk/1")
    told = f"origin does not show what was pushed: afk/1 is at {other[:7]} there"
    assert (answer.accepted, answer.because) == (False, told)


def test_a_push_that_nobody_has_seen_at_origin_concludes_nothing(tmp_path: Path) -> None:
    place = set_up_place(tmp_path)
    place.deliver({"new.txt": "x\n"})
    write_hook(place.origin, "post-receive", f"mv '{place.origin}' '{place.origin}.away'")
    with pytest.raises(OriginProblem, match="could not be seen whether origin has it") as problem:
        place.mirrors.push(place.trusting_hooks(), "afk/1")
    assert not problem.value.for_good


def test_a_merge_that_origin_does_not_show_is_none(tmp_path: Path) -> None:
    place = set_up_place(tmp_path)
    place.deliver({"new.txt": "x\n"})
    before = place.base_sha
    write_hook(place.origin, "post-receive", f"git update-ref refs/heads/main {before}")
    repo = place.trusting_hooks()
    answer = place.mirrors.merge(repo, base="main", branch="afk/1", message="Merge")
    assert answer.sha is None
    assert "origin does not show what was pushed: main is at" in answer.because
    assert place.mirrors.origin_tip(repo, "main") == before


def test_a_merge_that_another_commit_builds_on_at_once_is_merged(tmp_path: Path) -> None:
    place = set_up_place(tmp_path)
    place.deliver({"new.txt": "x\n"})
    top = (
        "GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b"
        " git commit-tree -p refs/heads/main -m top refs/heads/main^{tree}"
    )
    write_hook(place.origin, "post-receive", f"git update-ref refs/heads/main $({top})")
    repo = place.trusting_hooks()
    answer = place.mirrors.merge(repo, base="main", branch="afk/1", message="Merge")
    assert answer.sha == tip_of(place.origin, "main^")
    assert place.mirrors.origin_tip(repo, "main") == tip_of(place.origin, "main")


def test_a_branch_that_origin_still_shows_was_not_deleted(tmp_path: Path) -> None:
    place = set_up_place(tmp_path)
    tip = place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(place.repo, "afk/1").accepted
    write_hook(place.origin, "post-receive", f"git update-ref refs/heads/afk/1 {tip}")
    assert not place.mirrors.delete_at_origin(place.trusting_hooks(), "afk/1", expected_sha=tip)


def test_a_delivery_is_never_believed_while_the_mirrors_config_is_rewritten(
    tmp_path: Path,
) -> None:
    """A process of our user can still write between the comparison and git's own reading."""
    place = set_up_place(tmp_path)
    attacker = make_origin(tmp_path / "attacker", bare=True)
    place.deliver({"new.txt": "x\n"})
    config, is_over = place.mirror / "config", threading.Event()
    evil = config.read_text() + f'[url "{attacker}"]\n\tpushInsteadOf = {place.origin}\n'

    def rewrite() -> None:
        while not is_over.wait(0.002):
            written = place.mirror / "written"
            written.write_text(evil)
            written.replace(config)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for branch in (f"race/{number}" for number in range(4)):
            try:
                place.mirrors.claim(place.repo, branch, place.base_sha)
                accepted = place.mirrors.push(place.repo, branch).accepted
            except (CannotRead, OriginProblem):
                continue  # no result was claimed
            assert not accepted or tip_of(place.origin, branch)
    finally:
        is_over.set()
        writer.join()
    assert place.mirrors.push(place.repo, "afk/1").accepted
