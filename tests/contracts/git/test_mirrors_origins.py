"""The answers of Mirrors about an origin, with real ones."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters.git.command import Git
from app.adapters.git.environment import Identity
from app.adapters.git.mirrors import GitMirrors
from app.services.ports import Mirrors, OriginProblem, Repository
from tests.builders.repositories import (
    commit_file,
    make_origin,
    run_git,
    set_up_place,
    tip_of,
    write_files,
)

IMPLEMENTATIONS: dict[str, Callable[[Path], Mirrors]] = {
    "git": lambda root: GitMirrors(root, git=Git(Identity())),
}


@pytest.fixture(params=list(IMPLEMENTATIONS.values()), ids=list(IMPLEMENTATIONS))
def mirrors(request: pytest.FixtureRequest, tmp_path: Path) -> Mirrors:
    return request.param(tmp_path / "mirrors")


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A bound local port without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def clone(mirrors: Mirrors, origin: Path | str) -> Repository:
    repo = Repository("proj_1", str(origin))
    mirrors.clone(repo, progress=lambda percent, phase: None)
    return repo


# --- reading origin ----------------------------------------------------------------------------


def test_origin_tells_its_branches_and_its_head(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin", branch="trunk")
    run_git(origin, "branch", "feature/größe")
    remote = mirrors.inspect_origin(str(origin), timeout_seconds=10)
    assert remote.head == "trunk"
    assert {branch.name for branch in remote.branches} == {"trunk", "feature/größe"}
    assert {branch.sha for branch in remote.branches} == {tip_of(origin)}


def test_an_empty_or_detached_head_names_no_branch(mirrors: Mirrors, tmp_path: Path) -> None:
    empty = make_origin(tmp_path / "empty", files={})
    assert mirrors.inspect_origin(str(empty), timeout_seconds=10).branches == ()
    detached = make_origin(tmp_path / "detached")
    run_git(detached, "checkout", "-q", "--detach")
    assert mirrors.inspect_origin(str(detached), timeout_seconds=10).head is None


def test_looking_at_a_checkout_does_not_disturb_it(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin")
    write_files(origin, {"README.md": "half done\n"})
    before = {path: path.stat().st_mtime_ns for path in origin.rglob("*")}
    mirrors.fetch(clone(mirrors, origin))
    assert {path: path.stat().st_mtime_ns for path in origin.rglob("*")} == before


def no_folder(tmp_path: Path) -> Path:
    return tmp_path / "missing"


def plain_folder(tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def plain_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("x")
    return tmp_path / "file"


def folder_of_a_repository(tmp_path: Path) -> Path:
    return make_origin(tmp_path / "whole", files={"part/x": "x"}) / "part"


def shallow_clone(tmp_path: Path) -> Path:
    origin = make_origin(tmp_path / "deep")
    commit_file(origin, "more")
    run_git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", "shallow")
    return tmp_path / "shallow"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_folder, "There is no folder"),
        (plain_folder, "is a folder, but not a git repository"),
        (plain_file, "is a file, not a folder"),
        (folder_of_a_repository, "part of the repository"),
        (shallow_clone, "shallow clone"),
    ],
)
def test_a_path_that_cannot_be_used_says_why(
    mirrors: Mirrors, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(OriginProblem, match=words) as problem:
        mirrors.inspect_origin(str(make(tmp_path)), timeout_seconds=10)
    assert problem.value.for_good


@pytest.mark.skipif(os.geteuid() == 0, reason="everything can be read by root")
def test_a_folder_that_may_not_be_read_says_so(mirrors: Mirrors, tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "origin")
    origin.chmod(0)
    with pytest.raises(OriginProblem, match="may not be read"):
        mirrors.inspect_origin(str(origin), timeout_seconds=10)
    origin.chmod(0o700)


def test_a_host_that_refuses_is_not_for_good(mirrors: Mirrors, deaf_port: int) -> None:
    with pytest.raises(OriginProblem) as problem:
        mirrors.inspect_origin(f"https://127.0.0.1:{deaf_port}/x.git", timeout_seconds=10)
    assert not problem.value.for_good


def test_a_host_that_never_answers_costs_only_the_time_out(
    mirrors: Mirrors, silent_port: int
) -> None:
    began = time.monotonic()
    with pytest.raises(OriginProblem, match="in time") as problem:
        mirrors.inspect_origin(f"https://127.0.0.1:{silent_port}/x.git", timeout_seconds=0.5)
    assert not problem.value.for_good
    assert time.monotonic() - began < 20


# --- ssh, replaced by a program that prints what servers print ---------------------------------

SAID_BY_SSH = [
    ("git@host: Permission denied (publickey).", "refused the sign-in", True),
    ("Host key verification failed.", "ssh key of this host is not known", True),
    ("ssh: Could not resolve hostname host: Name or service not known", "not be found", False),
    ("ssh: connect to host host port 22: Connection refused", "did not answer", False),
    ("ERROR: Repository not found.", "no git repository at this address", True),
    ("something nobody foresaw", "could not be reached", False),
]


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that replaces ssh by a program that prints one line and fails.

    The function returns the file in which the program records its arguments.
    """

    def install(line: str) -> Path:
        folder, words = tmp_path / "bin", tmp_path / "words"
        folder.mkdir()
        program = folder / "ssh"
        says = f"printf '%s\\n' \"$@\" > '{words}'; echo '{line}' >&2; exit 255"
        program.write_text(f"#!/bin/sh\n{says}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return words

    return install


@pytest.mark.parametrize(("line", "sentence", "for_good"), SAID_BY_SSH)
def test_what_ssh_says_becomes_a_sentence(
    mirrors: Mirrors, ssh: Callable[[str], Path], line: str, sentence: str, for_good: bool
) -> None:
    words = ssh(line)
    with pytest.raises(OriginProblem, match=sentence) as problem:
        mirrors.inspect_origin("git@host:team/x.git", timeout_seconds=10)
    assert problem.value.for_good is for_good
    assert "-oBatchMode=yes" in words.read_text().splitlines()


@pytest.mark.parametrize(("line", "sentence", "for_good"), SAID_BY_SSH)
def test_a_push_tells_a_refusal_from_silence(
    tmp_path: Path, ssh: Callable[[str], Path], line: str, sentence: str, for_good: bool
) -> None:
    place = set_up_place(tmp_path)
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    far = Repository(place.repo.project_id, "ssh://git@host/team/x.git")
    ssh(line)
    if for_good:
        answer = place.mirrors.push(far, "afk/1")
        assert not answer.accepted
        assert sentence in answer.because
    else:
        with pytest.raises(OriginProblem, match=sentence):
            place.mirrors.push(far, "afk/1")


# --- a folder's own remote ---------------------------------------------------------------------


def with_remote(folder: Path, url: str) -> Path:
    run_git(folder, "remote", "add", "origin", url)
    return folder


@pytest.mark.parametrize("is_bare", [False, True], ids=["a checkout", "a bare repository"])
def test_a_folder_tells_the_remote_of_its_own(
    mirrors: Mirrors, tmp_path: Path, is_bare: bool
) -> None:
    folder = tmp_path / "shop"
    run_git(tmp_path, "init", "-q", *(["--bare"] if is_bare else []), str(folder))
    assert mirrors.remote_of(str(folder)) is None
    with_remote(folder, "git@example.org:me/shop.git")
    assert mirrors.remote_of(str(folder)) == "git@example.org:me/shop.git"


@pytest.mark.parametrize(
    "url",
    [
        *("https://me:secret@example.org/shop.git", "https://token@example.org/shop.git"),
        *("https://example.org/shop.git?token=secret", "ssh://me:secret@example.org/shop.git"),
        *("ext::sh -c touch% /tmp/x", "--upload-pack=touch x", "../shop", "file:///srv/shop"),
        *("http://example.org/shop.git", "git@example.org:a\u202eb", ""),
    ],
)
def test_a_remote_that_carries_a_secret_or_is_not_allowed_is_not_shown(
    mirrors: Mirrors, tmp_path: Path, url: str
) -> None:
    folder = make_origin(tmp_path / "shop")
    run_git(folder, "config", "remote.origin.url", url)
    assert mirrors.remote_of(str(folder)) is None


def test_a_folders_hostile_config_is_only_read(mirrors: Mirrors, tmp_path: Path) -> None:
    folder, mark = make_origin(tmp_path / "shop"), tmp_path / "ran"
    other = tmp_path / "other"
    other.write_text('[remote "origin"]\n\turl = git@example.org:other/shop.git\n')
    config = folder / ".git" / "config"
    config.write_text(
        f"[core]\n\tfsmonitor = touch {mark}\n\tsshCommand = touch {mark}\n\tpager = touch {mark}\n"
        f"[alias]\n\tconfig = !touch {mark}\n[include]\n\tpath = {other}\n"
        '[url "git@evil.example:"]\n\tinsteadOf = git@example.org:\n'
    )
    assert mirrors.remote_of(str(folder)) is None
    with config.open("a") as more:
        more.write('[remote "origin"]\n\turl = git@example.org:me/shop.git\n')
    assert mirrors.remote_of(str(folder)) == "git@example.org:me/shop.git"
    assert not mark.exists()


def test_a_config_that_never_ends_or_lies_elsewhere_is_not_read(
    mirrors: Mirrors, tmp_path: Path
) -> None:
    folder = with_remote(make_origin(tmp_path / "shop"), "git@example.org:me/shop.git")
    config, kept = folder / ".git" / "config", tmp_path / "kept"
    config.rename(kept)
    config.symlink_to(kept)
    assert mirrors.remote_of(str(folder)) is None
    config.unlink()
    os.mkfifo(config)
    assert mirrors.remote_of(str(folder)) is None
    config.unlink()
    config.write_bytes(kept.read_bytes() + b"#" * 2_000_000)
    assert mirrors.remote_of(str(folder)) is None
    assert mirrors.remote_of(str(tmp_path / "nowhere")) is None
