"""A26 and A27: hostile names and addresses never reach git as options, transports or commands."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.git.command import Git, GitFailed, GitTimedOut, read_identity
from app.adapters.git.environment import Identity, UnsafeArgument
from app.adapters.git.layout import head_ref
from app.domain.names import branch_problem
from app.services.ports import OriginProblem, Repository
from tests.builders.repositories import Place, make_origin, run_git, set_up_place, tip_of

NAMES = [
    "-evil",
    "--upload-pack=touch X",
    "$(touch X)/../x",
    "a..b",
    "@{-1}",
    "a@{0}",
    "a b",
    "a\nb",
    "a\0b",
    "a~1",
    "a:b",
    "refs/heads/x",
    "/a",
    "a/",
    "a//b",
    ".a",
    "a.lock",
    "HEAD",
    "@",
    "x" * 300,
    "",
    "*",
    "a\u202eb",
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_branch_name_is_refused_everywhere(place: Place, name: str) -> None:
    mirrors, repo, sha = place.mirrors, place.repo, place.base_sha
    mirrors.claim(repo, "afk/1", sha)
    calls = [
        lambda: mirrors.claim(repo, name, sha),
        lambda: mirrors.release(repo, name, expected_sha=None),
        lambda: mirrors.rename(repo, "afk/1", name),
        lambda: mirrors.rename(repo, name, "afk/2"),
        lambda: mirrors.tip(repo, name),
        lambda: mirrors.origin_tip(repo, name),
        lambda: mirrors.push(repo, name),
        lambda: mirrors.delete_at_origin(repo, name, expected_sha=sha),
        lambda: mirrors.merge(repo, base=name, branch="afk/1", message="x"),
        lambda: mirrors.merge(repo, base="main", branch=name, message="x"),
        lambda: place.copies.prepare(repo, "run_1", branch=name, sha=sha),
    ]
    for call in calls:
        with pytest.raises(UnsafeArgument):
            call()
    assert mirrors.claims(repo) == {"afk/1"}


@pytest.mark.parametrize("name", ["$(touch X)", ";touch X", "`touch${IFS}X`", "a|b", "größe"])
def test_a_name_that_is_only_odd_is_a_name(place: Place, name: str) -> None:
    name = name.replace(" ", "_")
    copy = place.start(branch=name)
    assert run_git(copy, "symbolic-ref", "--short", "HEAD") == name
    assert place.copies.import_work(place.repo, "run_1", name) == place.base_sha
    assert place.mirrors.push(place.repo, name).accepted
    assert tip_of(place.origin, f"refs/heads/{name}")
    assert list(place.origin.parent.glob("**/X")) == []


@pytest.mark.parametrize("sha", ["HEAD", "--all", "", "main", "0" * 39, "g" * 40, "0" * 40 + "\n"])
def test_only_whole_commit_ids_are_commit_ids(place: Place, sha: str) -> None:
    with pytest.raises(UnsafeArgument):
        place.mirrors.claim(place.repo, "afk/1", sha)
    with pytest.raises(UnsafeArgument):
        place.mirrors.stat(place.repo, place.base_sha, sha)
    with pytest.raises(UnsafeArgument):
        place.mirrors.diff(place.repo, sha, place.base_sha)


@pytest.mark.parametrize("most", [15, pytest.param(150, marks=pytest.mark.soak)])
def test_git_agrees_with_every_name_we_allow(most: int) -> None:
    git = Git(Identity())

    @settings(max_examples=most, deadline=None)
    @given(st.text(max_size=30))
    def try_it(name: str) -> None:
        if branch_problem(name) is None:
            assert git.run(["check-ref-format", head_ref(name)], check=False).code == 0
            assert git.run(["check-ref-format", "--branch", name], check=False).code == 0

    try_it()


ADDRESSES = [
    "ext::sh -c touch% {canary}",
    "EXT::sh -c touch% {canary}",
    "Ext::sh",
    "fd::0",
    "file://{origin}",
    "FILE://{origin}",
    "--upload-pack=touch {canary}",
    "-u touch {canary}",
    "ssh://-oProxyCommand=touch {canary}/x",
    "ssh://-oProxyCommand=touch${{IFS}}{canary}/x",
    "-oProxyCommand=touch {canary}:x",
    "host:-oProxyCommand=x",
    "git://127.0.0.1/x",
    "http://127.0.0.1/x",
    "ftp://127.0.0.1/x",
    "https://user:secret@127.0.0.1/x",
    "$HOME/x",
    "~/x",
    "../origin",
    "./origin",
    "",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_hostile_address_runs_nothing(place: Place, address: str) -> None:
    canary = place.origin.parent / "canary"
    origin = address.format(canary=canary, origin=place.origin)
    repo = Repository(place.repo.project_id, origin)
    with pytest.raises(OriginProblem) as problem:
        place.mirrors.inspect_origin(origin, timeout_seconds=10)
    assert problem.value.for_good
    with pytest.raises(OriginProblem):
        place.mirrors.fetch(repo)
    with pytest.raises(OriginProblem):
        place.mirrors.clone(Repository("proj_2", origin), progress=lambda percent, phase: None)
    place.mirrors.claim(repo, "afk/1", place.base_sha)
    assert not place.mirrors.push(repo, "afk/1").accepted
    # the layer below refuses as well, for every caller
    with pytest.raises(UnsafeArgument):
        Git(Identity()).run(["ls-remote", "--", origin], origin=origin)
    assert not canary.exists()


@pytest.mark.parametrize("told", ["{origin}", "https://127.0.0.1/x", None])
def test_a_call_reaches_only_the_kind_of_address_it_was_given(
    place: Place, told: str | None
) -> None:
    canary = place.origin.parent / "canary"
    origin = told.format(origin=place.origin) if told else None
    git = Git(Identity())
    for address in (f"ext::sh -c touch% {canary}", "fd::0", "git://127.0.0.1:1/x"):
        with pytest.raises(GitFailed, match="git ls-remote failed"):
            git.run(["ls-remote", "--", address], origin=origin, timeout=10)
    if origin != str(place.origin):
        with pytest.raises(GitFailed):
            git.run(["ls-remote", "--", str(place.origin)], origin=origin)
    assert not canary.exists()


@pytest.mark.parametrize(
    "project_id", ["..", "../x", "a/b", "", "A", "x" * 81, "a\0", ".git", "a.b"]
)
def test_only_an_id_names_a_mirror(place: Place, project_id: str) -> None:
    repo = Repository(project_id, str(place.origin))
    for call in (place.mirrors.exists, place.mirrors.remove, place.mirrors.fetch):
        with pytest.raises(UnsafeArgument):
            call(repo)


# --- the one function --------------------------------------------------------------------------


def test_git_sees_no_variable_and_no_config_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[alias]\n\tx = !echo alias\n[user]\n\tname = Global\n")
    for name, value in {
        "HOME": str(home),
        "GIT_DIR": str(tmp_path),
        "GIT_CONFIG_PARAMETERS": "'user.name=Evil'",
        "GIT_EXTERNAL_DIFF": "touch x",
        "RUNYARD_SECRET": "s3cret",
        "GIT_SSH_COMMAND": "touch x",
    }.items():
        monkeypatch.setenv(name, value)
    git = Git(Identity())
    told = git.run(["-c", "alias.show-env=!env", "show-env"]).text
    for trace in ("s3cret", "touch x", "Evil", "PYTEST_"):
        assert trace not in told
    assert "GIT_CONFIG_GLOBAL=/dev/null" in told
    assert git.run(["config", "user.name"], check=False).code == 1
    assert git.run(["x"], check=False).code == 1


def test_no_repository_is_found_by_looking_around(place: Place) -> None:
    checkout = make_origin(place.origin.parent / "checkout")
    with pytest.raises(GitFailed, match="not a git repository"):
        Git(Identity()).run(["rev-parse", "HEAD"], cwd=checkout)
    with pytest.raises(GitFailed, match="not a git repository"):
        Git(Identity()).run(["rev-parse", "HEAD"], cwd=place.origin)


def test_a_zero_byte_is_refused() -> None:
    with pytest.raises(UnsafeArgument):
        Git(Identity()).run(["version", "a\0b"])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_call_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sh -c 'trap \"\" TERM; echo $$ > {pids}; while :; do sleep 1; done'"
    # a busy machine may need longer until the script is there
    for seconds in (0.5, 4.0, 20.0):
        with pytest.raises(GitTimedOut):
            Git(Identity()).run(["-c", f"alias.wait=!{script}", "wait"], timeout=seconds)
        if pids.exists() and pids.read_text():
            break
    deadline = time.monotonic() + 30
    while is_running(int(pids.read_text())):
        assert time.monotonic() < deadline


def test_output_beyond_the_cap_ends_the_call() -> None:
    git = Git(Identity())
    answer = git.run(["-c", "alias.pour=!yes", "pour"], check=False, output_cap=1000)
    assert answer.is_cut
    assert len(answer.out) == 1000
    with pytest.raises(GitFailed, match="more than it may"):
        git.run(["-c", "alias.pour=!yes", "pour"], output_cap=1000)


def test_a_full_pipe_on_both_sides_blocks_nobody() -> None:
    content = os.urandom(100_000).hex().encode()
    git = Git(Identity())
    answer = git.run(["-c", "alias.echo=!tee /dev/stderr", "echo"], input=content)
    assert answer.out == content


# --- identity ----------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def test_without_a_config_we_are_runyard(home: Path) -> None:
    assert read_identity() == Identity("Runyard", "runyard@localhost", ())


def test_the_persons_name_and_helpers_are_read_once(home: Path) -> None:
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Ann\n\temail = ann@example.test\n"
        '[credential "https://git.example.test"]\n\thelper =\n\thelper = !echo password=s3cret\n'
    )
    identity = read_identity()
    assert (identity.name, identity.email) == ("Ann", "ann@example.test")
    key = "credential.https://git.example.test.helper"
    assert identity.credentials == ((key, ""), (key, "!echo password=s3cret"))
    assert "s3cret" not in repr(identity)


def test_helpers_are_asked_only_by_calls_that_leave_the_machine(home: Path) -> None:
    git = Git(
        Identity(credentials=(("credential.helper", "!echo password=s3cret; cat >/dev/null"),))
    )
    ask = b"protocol=https\nhost=git.example.test\nusername=ann\n\n"
    fill = ["credential", "fill"]
    away = git.run(fill, input=ask, origin="https://git.example.test/x")
    assert "password=s3cret" in away.text
    assert git.run(fill, input=ask, check=False).code


def test_a_checkout_at_origin_is_written_by_its_owners_filters(home: Path, tmp_path: Path) -> None:
    """Without the owner's config, git would check out their large files as pointers."""
    (home / ".gitconfig").write_text('[filter "big"]\n\tsmudge = sed s/small/BIG/\n\tclean = cat\n')
    place = set_up_place(tmp_path, files={".gitattributes": "*.big filter=big\n"}, bare=False)
    place.deliver({"new.big": "small\n"})
    assert place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge").sha
    assert (place.origin / "new.big").read_text() == "BIG\n"
    assert (place.copies.path("run_afk_1") / "new.big").read_text() == "small\n"
