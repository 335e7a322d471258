"""A28-A33: an agent owns its working copy; nothing it writes there is executed or trusted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from app.services.ports import CannotRead
from tests.builders.repositories import (
    Place,
    commit_files,
    make_origin,
    run_git,
    set_up_place,
    tip_of,
    write_files,
    write_hook,
)

HOOKS = (
    *("applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit"),
    *("prepare-commit-msg", "commit-msg", "post-commit", "pre-rebase", "post-checkout"),
    *("post-merge", "pre-push", "pre-receive", "update", "proc-receive", "post-receive"),
    *("post-update", "reference-transaction", "push-to-checkout", "pre-auto-gc", "post-rewrite"),
    *("sendemail-validate", "fsmonitor-watchman", "post-index-change"),
)
SETTINGS = (
    *("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass"),
    *("core.gitProxy", "core.alternateRefsCommand", "core.attributesFile", "sequence.editor"),
    *("diff.external", "diff.x.command", "diff.x.textconv", "filter.x.smudge", "filter.x.clean"),
    *("filter.x.process", "merge.x.driver", "credential.helper", "gpg.program", "pager.diff"),
    *("pager.status", "alias.diff", "alias.ls-files", "alias.read-tree", "interactive.diffFilter"),
    *("uploadpack.packObjectsHook", "remote.origin.uploadpack", "remote.origin.receivepack"),
    *(
        "remote.origin.vcs",
        "browser.x.cmd",
        "difftool.x.cmd",
        "mergetool.x.cmd",
        "init.templateDir",
    ),
)
ATTRIBUTES = "* filter=x diff=x merge=x\n"


def modules(tmp_path: Path) -> str:
    what = {"path": "sub", "url": f"{tmp_path}/sub", "update": f"!touch {tmp_path}/x"}
    lines = "".join(f"\t{key} = {value}\n" for key, value in what.items())
    return f'[submodule "sub"]\n{lines}'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\n", "dir/b.txt": "b\n"})


def canary_of(place: Place) -> Path:
    return place.origin.parent / "canaries"


# these run before other traps and would prevent them from firing
LOUDER = ("filter.x.process", "diff.x.command")


def arm(place: Place, git_dir: Path, without: tuple[str, ...] = LOUDER) -> None:
    """Set every trap in a git folder: hooks, settings, an included file, attributes."""
    canaries = canary_of(place)
    canaries.mkdir(exist_ok=True)
    for name in HOOKS:
        write_hook(git_dir, name, f"touch '{canaries}/hook-{name}'")
    evil = git_dir / "evil"
    shutil.copytree(git_dir / "hooks", evil / "hooks", dirs_exist_ok=True)
    lines = ["[extensions]\n\tworktreeConfig = true"]
    for key in set(SETTINGS).difference(without):
        section, *middle, name = key.split(".")
        head = f'{section} "{middle[0]}"' if middle else section
        lines.append(f"[{head}]\n\t{name} = \"touch '{canaries}/{key}'; cat\"")
    lines.append(f"[core]\n\thooksPath = {evil}/hooks\n")
    (evil / "config").write_text("\n".join(lines))
    lines.append(f"[include]\n\tpath = {evil}/config\n")
    for config in (git_dir / "config", git_dir / "config.worktree"):
        with config.open("a") as file:
            file.write("\n".join(lines))
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info/attributes").write_text(ATTRIBUTES)


def use_everything(place: Place, tip: str) -> None:
    """Make every call that may follow a run, in the order of its life."""
    copies, mirrors, repo = place.copies, place.mirrors, place.repo
    assert copies.import_work(repo, "run_1", "afk/1") == tip
    copies.inspect(repo, "run_1", tip=tip)
    copies.diff(repo, "run_1", base_sha=place.base_sha)
    mirrors.fetch(repo)
    mirrors.stat(repo, place.base_sha, tip)
    mirrors.diff(repo, place.base_sha, tip)
    assert mirrors.push(repo, "afk/1").accepted
    assert mirrors.merge(repo, base="main", branch="afk/1", message="Merge").sha
    mirrors.delete_at_origin(repo, "afk/1", expected_sha=tip)
    copies.size("run_1")
    copies.remove("run_1")


@pytest.mark.parametrize("without", [(), LOUDER])
def test_no_trap_in_a_copy_goes_off(place: Place, without: tuple[str, ...]) -> None:
    copy = place.start()
    tip = commit_files(copy, {"a.txt": "changed\n", ".gitattributes": ATTRIBUTES})
    write_files(copy, {"new.txt": "x\n", "dir/b.txt": "changed too\n"})
    write_files(copy, {"dir/.gitattributes": ATTRIBUTES})
    arm(place, copy / ".git", without)
    use_everything(place, tip)
    assert list(canary_of(place).iterdir()) == []


def test_the_traps_would_go_off_in_careless_hands(place: Place) -> None:
    """The traps work: they fire when the same copy is used as a person would use it."""
    copy = place.start()
    commit_files(copy, {"a.txt": "changed\n", ".gitattributes": ATTRIBUTES})
    arm(place, copy / ".git")
    write_files(copy, {"a.txt": "again\n"})
    run_git(copy, "diff", check=False)
    run_git(copy, "add", "-A", check=False)
    run_git(copy, "commit", "-m", "x", check=False)
    fired = {path.name for path in canary_of(place).iterdir()}
    assert {"core.fsmonitor", "diff.external", "filter.x.clean", "hook-pre-commit"} <= fired


def test_no_trap_of_the_repository_goes_off_when_a_copy_is_made(tmp_path: Path) -> None:
    files = {"a.txt": "one\n", ".gitattributes": ATTRIBUTES, ".gitmodules": modules(tmp_path)}
    place = set_up_place(tmp_path, files=files, bare=False)
    arm(place, place.origin / ".git")
    copy = place.start()
    place.copies.include(place.repo, "run_1")
    place.copies.inspect(place.repo, "run_1", tip=place.base_sha)
    place.mirrors.fetch(place.repo)
    # hooks at origin are its owner's business, but a fetch must run nothing
    assert not (copy / ".git/evil").exists()
    assert list(canary_of(place).iterdir()) == []


@pytest.mark.parametrize("name", ["a.txt", "new.txt"])
def test_attributes_hide_no_change_from_the_diff(place: Place, name: str) -> None:
    copy = place.start()
    files = {".gitattributes": "* -diff\n", name: "secretly\n"}
    tip = commit_files(copy, files)
    place.copies.import_work(place.repo, "run_1", "afk/1")
    for diff in (
        place.copies.diff(place.repo, "run_1", base_sha=place.base_sha),
        place.mirrors.diff(place.repo, place.base_sha, tip),
    ):
        assert "+secretly" in diff.text


def test_a_copy_that_became_a_link_is_neither_looked_at_nor_removed(place: Place) -> None:
    copy = place.start()
    elsewhere = place.origin.parent / "elsewhere"
    copy.rename(elsewhere)
    copy.symlink_to(elsewhere)
    for call in (
        lambda: place.copies.inspect(place.repo, "run_1", tip=place.base_sha),
        lambda: place.copies.diff(place.repo, "run_1", base_sha=place.base_sha),
        lambda: place.copies.remove("run_1"),
    ):
        with pytest.raises(CannotRead):
            call()
    assert (elsewhere / "a.txt").exists()
    assert place.copies.exists("run_1")


def test_links_and_pipes_among_the_files_are_not_followed(place: Place) -> None:
    secret = place.origin.parent / "secret"
    secret.write_text("top secret\n")
    copy = place.start()
    (copy / "link").symlink_to(secret)
    os.mkfifo(copy / "pipe")
    assert place.copies.inspect(place.repo, "run_1", tip=place.base_sha).uncommitted_files == 1
    assert "top secret" not in place.copies.diff(place.repo, "run_1", base_sha=place.base_sha).text
    (copy / "a.txt").unlink()
    os.mkfifo(copy / "a.txt")
    assert place.copies.inspect(place.repo, "run_1", tip=place.base_sha).uncommitted_files == 2
    with pytest.raises(CannotRead, match="not a plain file"):
        place.copies.diff(place.repo, "run_1", base_sha=place.base_sha)


def test_a_repository_inside_a_copy_counts_and_is_not_entered(place: Place) -> None:
    copy = place.start()
    nested = make_origin(copy / "nested")
    arm(place, nested / ".git")
    bare = make_origin(copy / "dir/bare", files={}, bare=True)
    arm(place, bare)
    assert not place.copies.inspect(place.repo, "run_1", tip=place.base_sha).is_clean
    place.copies.diff(place.repo, "run_1", base_sha=place.base_sha)
    place.copies.remove("run_1")
    assert list(canary_of(place).iterdir()) == []


def test_submodules_are_never_entered(place: Place, tmp_path: Path) -> None:
    sub = make_origin(tmp_path / "sub")
    copy = place.start()
    write_files(copy, {".gitmodules": modules(tmp_path)})
    run_git(copy, "update-index", "--add", "--cacheinfo", f"160000,{tip_of(sub)},sub")
    run_git(copy, "add", ".gitmodules")
    run_git(copy, "commit", "-q", "-m", "A submodule")
    with pytest.raises(CannotRead):
        # git's own check rejects an update command in .gitmodules
        place.copies.import_work(place.repo, "run_1", "afk/1")
    (copy / "sub").mkdir()
    write_files(copy, {".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\turl = {sub}\n'})
    run_git(copy, "add", ".gitmodules")
    run_git(copy, "commit", "-q", "--amend", "-m", "A submodule")
    tip = place.copies.import_work(place.repo, "run_1", "afk/1")
    assert place.copies.inspect(place.repo, "run_1", tip=tip).is_clean
    run_git(copy, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    arm(place, copy / ".git/modules/sub")
    # work done inside the submodule is not part of our commit
    assert not place.copies.inspect(place.repo, "run_1", tip=tip).is_clean
    place.copies.diff(place.repo, "run_1", base_sha=place.base_sha)
    assert place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge").sha
    later = place.copies.prepare(place.repo, "run_2", branch="afk/1", sha=tip)
    assert list((later / "sub").iterdir()) == []
    assert list(canary_of(place).iterdir()) == []
    assert not (tmp_path / "x").exists()
