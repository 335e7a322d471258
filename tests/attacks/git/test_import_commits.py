"""A30 and A33: a corrupted git folder is rejected as a whole and leaves nothing in the mirror."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.git import command
from app.adapters.git.command import GitAnswer
from app.adapters.git.import_commits import proves_nothing
from app.services.ports import CannotRead, Tampered
from tests.builders.repositories import Place, commit_file, run_git, set_up_place, tip_of


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\n"})


def replace_copy_by_link(copy: Path, elsewhere: Path) -> None:
    copy.rename(elsewhere)
    copy.symlink_to(elsewhere)


def replace_git_by_link(copy: Path, elsewhere: Path) -> None:
    (copy / ".git").rename(elsewhere)
    (copy / ".git").symlink_to(elsewhere)


def replace_git_by_file(copy: Path, elsewhere: Path) -> None:
    (copy / ".git").rename(elsewhere)
    (copy / ".git").write_text(f"gitdir: {elsewhere}\n")


def replace_objects_by_link(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/objects").rename(elsewhere)
    (copy / ".git/objects").symlink_to(elsewhere)


def link_one_fan(copy: Path, elsewhere: Path) -> None:
    fan = next(path for path in (copy / ".git/objects").iterdir() if len(path.name) == 2)
    fan.rename(elsewhere)
    fan.symlink_to(elsewhere)


def link_one_object(copy: Path, elsewhere: Path) -> None:
    loose = next(path for path in (copy / ".git/objects").glob("??/*"))
    loose.rename(elsewhere)
    loose.symlink_to(elsewhere)


def put_a_pipe_for_an_object(copy: Path, elsewhere: Path) -> None:
    loose = next(path for path in (copy / ".git/objects").glob("??/*"))
    loose.unlink()
    os.mkfifo(loose)


def put_a_pipe_for_the_branch(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/refs/heads/afk/1").unlink()
    os.mkfifo(copy / ".git/refs/heads/afk/1")


def link_the_branch(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/refs/heads/afk/1").rename(elsewhere)
    (copy / ".git/refs/heads/afk/1").symlink_to(elsewhere)


def make_the_branch_symbolic(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/refs/heads/afk/1").write_text("ref: refs/heads/other\n")


def write_nonsense_for_the_branch(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/refs/heads/afk/1").write_text("--upload-pack=touch /tmp/x\n")


def borrow_elsewhere(copy: Path, elsewhere: Path) -> None:
    with (copy / ".git/objects/info/alternates").open("a") as file:
        file.write(f"{elsewhere}\n")


def borrow_relatively(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/objects/info/alternates").write_text("../../../../mirrors/proj_1.git/objects\n")


def link_the_alternates(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/objects/info/alternates").rename(elsewhere)
    (copy / ".git/objects/info/alternates").symlink_to(elsewhere)


def lose_an_object(copy: Path, elsewhere: Path) -> None:
    blob = run_git(copy, "rev-parse", "HEAD:new.txt")
    (copy / ".git/objects" / blob[:2] / blob[2:]).unlink()


def lose_a_parent(copy: Path, elsewhere: Path) -> None:
    parent = tip_of(copy, "HEAD^")
    (copy / ".git/objects" / parent[:2] / parent[2:]).unlink()
    (copy / ".git/shallow").write_text(f"{tip_of(copy)}\n")


def damage_an_object(copy: Path, elsewhere: Path) -> None:
    blob = run_git(copy, "rev-parse", "HEAD:new.txt")
    path = copy / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o600)
    path.write_bytes(b"not zlib at all")


def lie_about_an_object(copy: Path, elsewhere: Path) -> None:
    blob = run_git(copy, "rev-parse", "HEAD:new.txt")
    other = run_git(copy, "hash-object", "-w", "--stdin", stdin="something else")
    path = copy / ".git/objects" / blob[:2] / blob[2:]
    path.unlink()
    shutil.copy(copy / ".git/objects" / other[:2] / other[2:], path)


def point_at_a_tree(copy: Path, elsewhere: Path) -> None:
    tree = run_git(copy, "rev-parse", "HEAD^{tree}")
    (copy / ".git/refs/heads/afk/1").write_text(f"{tree}\n")


def commit_a_tree_that_enters_git(copy: Path, elsewhere: Path) -> None:
    blob = run_git(copy, "hash-object", "-w", "--stdin", stdin="evil")
    entry = b"100644 config\0" + bytes.fromhex(blob)
    inner = write_object(copy, "tree", entry)
    tree = write_object(copy, "tree", b"40000 .git\0" + bytes.fromhex(inner))
    commit = run_git(copy, "commit-tree", "-p", "HEAD", "-m", "evil", tree)
    (copy / ".git/refs/heads/afk/1").write_text(f"{commit}\n")


def write_object(copy: Path, kind: str, content: bytes) -> str:
    (copy / "raw").write_bytes(content)
    return run_git(copy, "hash-object", "-t", kind, "-w", "--literally", "raw")


def remove_the_copy(copy: Path, elsewhere: Path) -> None:
    shutil.rmtree(copy)


def remove_the_git_folder(copy: Path, elsewhere: Path) -> None:
    shutil.rmtree(copy / ".git")


def remove_the_branch(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/refs/heads/afk/1").unlink()


def put_a_socket_for_the_branch(copy: Path, elsewhere: Path) -> None:
    ref = copy / ".git/refs/heads/afk/1"
    ref.unlink()
    with socket.socket(socket.AF_UNIX) as door, contextlib.chdir(ref.parent):
        door.bind(ref.name)


def put_a_folder_for_the_branch(copy: Path, elsewhere: Path) -> None:
    (copy / ".git/refs/heads/afk/1").unlink()
    (copy / ".git/refs/heads/afk/1").mkdir()


HOSTILE: list[Callable[[Path, Path], None]] = [
    remove_the_copy,
    remove_the_git_folder,
    remove_the_branch,
    put_a_socket_for_the_branch,
    put_a_folder_for_the_branch,
    replace_copy_by_link,
    replace_git_by_link,
    replace_git_by_file,
    replace_objects_by_link,
    link_one_fan,
    link_one_object,
    put_a_pipe_for_an_object,
    put_a_pipe_for_the_branch,
    link_the_branch,
    make_the_branch_symbolic,
    write_nonsense_for_the_branch,
    borrow_elsewhere,
    borrow_relatively,
    link_the_alternates,
    lose_an_object,
    lose_a_parent,
    damage_an_object,
    lie_about_an_object,
    point_at_a_tree,
    commit_a_tree_that_enters_git,
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_a_git_folder_that_is_not_sound_is_never_taken(
    place: Place, change: Callable[[Path, Path], None]
) -> None:
    copy = place.start()
    commit_file(copy, "first.txt")
    commit_file(copy, "new.txt", "new\n")
    before = sorted(place.mirror.rglob("*"))
    change(copy, place.origin.parent / "elsewhere")
    with pytest.raises(Tampered):
        place.copies.import_work(place.repo, "run_1", "afk/1")
    assert place.mirrors.tip(place.repo, "afk/1") == place.base_sha
    assert sorted(place.mirror.rglob("*")) == before


def hide_the_copies(place: Place) -> Callable[[], object]:
    copies = place.copies.path("run_1").parent
    away = copies.rename(copies.with_name("away"))
    return lambda: away.rename(copies)


def hide_the_mirror(place: Place) -> Callable[[], object]:
    away = place.mirror.rename(place.mirror.with_name("away"))
    return lambda: away.rename(place.mirror)


def leave_no_room_in_the_mirror(place: Place) -> Callable[[], object]:
    # files can be created, but nothing can be written to them
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def lock_the_claim(place: Place) -> Callable[[], object]:
    lock = place.mirror / "refs/heads/afk/1.lock"
    lock.touch()
    return lock.unlink


@pytest.mark.parametrize(
    "trouble", [hide_the_copies, hide_the_mirror, leave_no_room_in_the_mirror, lock_the_claim]
)
def test_a_machine_in_trouble_is_no_evidence_and_the_next_look_takes_all(
    place: Place, trouble: Callable[[Place], Callable[[], object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = place.start()
    tip = commit_file(copy, "new.txt", "new\n")
    # git waits for another git's lock, by default for five seconds
    monkeypatch.setattr(command, "SETTINGS", (*command.SETTINGS, "core.filesRefLockTimeout=100"))
    repair = trouble(place)
    try:
        with pytest.raises(CannotRead) as problem:
            place.copies.import_work(place.repo, "run_1", "afk/1")
    finally:
        repair()
    assert not isinstance(problem.value, Tampered)
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip
    assert tip_of(place.mirror, "refs/heads/afk/1") == tip


@pytest.mark.parametrize(
    ("code", "err", "proves"),
    [
        (128, "fatal: write error: No space left on device", False),
        (128, "fatal: sha1 file '<stdout>' write error. Out of diskspace", False),
        (128, "fatal: unable to create temporary file: Disk quota exceeded", False),
        (128, "error: unable to open object: Input/output error", False),
        (128, "fatal: unable to create 'x': Read-only file system", False),
        (128, "error: cannot open pack: Too many open files", False),
        (128, "fatal: Out of memory, malloc failed (tried to allocate 9 bytes)", False),
        (128, "fatal: failed to read object: Permission denied", False),
        (-9, "", False),
        (-25, "", False),
        (128, "fatal: bad object 0123", True),
        (128, "fatal: fsck error in packed object", True),
        (128, "fatal: attempting to allocate 9 over limit 1", True),
        (128, "fatal: pack exceeds maximum allowed size (2.00 GiB)", True),
        (1, "", True),
    ],
)
def test_what_git_says_tells_a_machine_in_trouble_from_bad_objects(
    code: int, err: str, proves: bool
) -> None:
    assert proves_nothing(GitAnswer(code, b"", err)) is not proves


ODD_MODULES = '[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'


def test_what_the_base_has_already_is_not_the_agents_fault(tmp_path: Path) -> None:
    place = set_up_place(tmp_path, files={"a.txt": "one\n", ".gitmodules": ODD_MODULES})
    tip = commit_file(place.start(), "new.txt", "new\n")
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip
    assert tip_of(place.mirror, "refs/heads/afk/1") == tip


def test_an_object_of_the_agents_that_is_odd_is_named_with_the_rule_it_breaks(
    place: Place,
) -> None:
    copy = place.start()
    before = tip_of(place.mirror, "refs/heads/afk/1")
    commit_file(copy, ".gitmodules", ODD_MODULES)
    odd = run_git(copy, "rev-parse", "HEAD:.gitmodules").strip()
    with pytest.raises(Tampered, match=f"object {odd[:12]} breaks gitmodulesUrl"):
        place.copies.import_work(place.repo, "run_1", "afk/1")
    assert tip_of(place.mirror, "refs/heads/afk/1") == before
