"""A29, A32: Runyard's calls are unaffected by what an agent writes into one of its git folders."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.adapters.git import config_guard
from app.services.ports import CannotRead, OriginProblem
from tests.builders.repositories import (
    Place,
    commit_files,
    make_origin,
    run_git,
    set_up_place,
    tip_of,
    write_hook,
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\n"})


def attacker_of(place: Place) -> Path:
    return place.origin.parent / "attacker"


def canaries_of(place: Place) -> Path:
    return place.origin.parent / "canaries"


def append(file: Path, text: str) -> None:
    with file.open("a") as config:
        config.write(text)


def include(place: Place) -> None:
    more = place.origin.parent / "more"
    more.write_text(f'[url "{attacker_of(place)}"]\n\tpushInsteadOf = {place.origin}\n')
    append(place.mirror / "config", f"[include]\n\tpath = {more}\n")


def worktree_config(place: Place) -> None:
    append(place.mirror / "config", "[extensions]\n\tworktreeConfig = true\n")
    text = f'[url "{attacker_of(place)}"]\n\tpushInsteadOf = {place.origin}\n'
    (place.mirror / "config.worktree").write_text(text)


def another_config(place: Place) -> None:
    """Borrow the config and refs of another folder."""
    lent = place.origin.parent / "lent"
    shutil.copytree(place.mirror, lent, dirs_exist_ok=True)
    append(lent / "config", f'[url "{attacker_of(place)}"]\n\tpushInsteadOf = {place.origin}\n')
    (place.mirror / "commondir").write_text(f"{lent}\n")


def config_behind_a_link(place: Place) -> None:
    mine = place.origin.parent / "mine"
    shutil.copy(place.mirror / "config", mine)
    append(mine, f'[url "{attacker_of(place)}"]\n\tpushInsteadOf = {place.origin}\n')
    (place.mirror / "config").unlink()
    (place.mirror / "config").symlink_to(mine)


def everything_behind_links(place: Place) -> None:
    config_behind_a_link(place)
    shutil.rmtree(place.mirror / "info")
    (place.mirror / "info").symlink_to(place.origin.parent)
    shutil.rmtree(place.mirror / "objects/info")
    (place.mirror / "objects/info").symlink_to(place.origin.parent)


def setting(text: str) -> Callable[[Place], None]:
    def write(place: Place) -> None:
        names = {
            "attacker": attacker_of(place),
            "origin": place.origin,
            "canaries": canaries_of(place),
        }
        append(place.mirror / "config", text.format(**names))

    return write


SETTINGS = {
    "pushInsteadOf": setting('[url "{attacker}"]\n\tpushInsteadOf = {origin}\n'),
    "insteadOf": setting('[url "{attacker}"]\n\tinsteadOf = {origin}\n'),
    "a part of the address": setting('[url "{attacker}"]\n\tpushInsteadOf = /\n'),
    "pushurl": setting('[remote "{origin}"]\n\turl = {origin}\n\tpushurl = {attacker}\n'),
    "pushurl of origin": setting('[remote "origin"]\n\turl = {origin}\n\tpushurl = {attacker}\n'),
    "pushDefault": setting("[remote]\n\tpushDefault = {attacker}\n"),
    "sshCommand": setting('[core]\n\tsshCommand = "touch {canaries}/ssh"\n'),
    "credential.helper": setting('[credential]\n\thelper = "!touch {canaries}/credential"\n'),
    "hooksPath": setting("[core]\n\thooksPath = {canaries}/hooks\n"),
    "merge driver": setting('[merge "x"]\n\tdriver = "touch {canaries}/merge; cat"\n'),
    "another object format": setting('[extensions]\n\tobjectFormat = "sha256"\n'),
}
TRICKS = {
    "every setting": lambda place: [write(place) for write in SETTINGS.values()],
    "no config at all": lambda place: (place.mirror / "config").unlink(),
    "an empty config": lambda place: (place.mirror / "config").write_text(""),
    "a folder": lambda place: [
        (place.mirror / "config").unlink(),
        (place.mirror / "config").mkdir(),
    ],
    "a pipe": lambda place: [
        (place.mirror / "config").unlink(),
        os.mkfifo(place.mirror / "config"),
    ],
    "include": include,
    "worktree config": worktree_config,
    "commondir": another_config,
    "links": config_behind_a_link,
    "many links": everything_behind_links,
    "attributes": lambda place: (place.mirror / "info/attributes").write_text("* merge=x\n"),
    "HEAD": lambda place: (place.mirror / "HEAD").write_text("ref: refs/heads/afk/1\n"),
    "a shallow mark": lambda place: (place.mirror / "shallow").write_text(f"{place.base_sha}\n"),
}


@pytest.mark.parametrize(
    "trick",
    [
        *(pytest.param(trick, id=name) for name, trick in TRICKS.items()),
        # each alone: the file is compared as a whole
        *(pytest.param(write, id=name, marks=pytest.mark.soak) for name, write in SETTINGS.items()),
    ],
)
def test_a_delivery_reaches_origin_whatever_stands_in_the_mirrors_settings(
    place: Place, trick: Callable[[Place], None], caplog: pytest.LogCaptureFixture
) -> None:
    attacker = make_origin(attacker_of(place), files={"a.txt": "one\n"}, bare=True)
    canaries_of(place).mkdir()
    write_hook(canaries_of(place), "reference-transaction", f"touch {canaries_of(place)}/hook")
    (canaries_of(place) / "hook").unlink(missing_ok=True)
    ours = {name: (place.mirror / name).read_bytes() for name in ("config", "info/attributes")}
    commit_files(place.start(), {"new.txt": "x\n"})
    trick(place)
    tip = place.copies.import_work(place.repo, "run_1", "afk/1")
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert tip_of(place.origin, "afk/1") == tip
    trick(place)
    merged = place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge").sha
    assert merged == tip_of(place.origin, "main")
    assert not tip_of(attacker, "afk/1")
    assert [path.name for path in canaries_of(place).iterdir()] == ["hooks"]
    assert {name: (place.mirror / name).read_bytes() for name in ours} == ours
    first = caplog.records[0]
    assert first.getMessage() == "git_settings_put_back"
    assert vars(first)["repository"] == "proj_1.git"


def test_an_address_that_looks_like_a_name_is_not_looked_up_in_the_mirror(place: Place) -> None:
    """Git would read `remotes/<name>` for an address without a slash, as an ssh address may be."""
    attacker = make_origin(attacker_of(place), files={"a.txt": "one\n"}, bare=True)
    for folder in ("remotes", "branches"):
        (place.mirror / folder).mkdir()
        (place.mirror / folder / "git@host:repo").write_text(f"URL: {attacker}\n")
    assert place.mirrors.claims(place.repo) == set()
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    assert not (place.mirror / "remotes").exists()
    assert not (place.mirror / "branches").exists()


def test_commits_borrowed_from_an_agents_folder_are_not_taken_for_ours(place: Place) -> None:
    copy = place.start()
    tip = commit_files(copy, {"new.txt": "x\n"})
    (place.mirror / "objects/info/alternates").write_text(f"{copy}/.git/objects\n")
    assert place.copies.import_work(place.repo, "run_1", "afk/1") == tip
    shutil.rmtree(copy)
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert tip_of(place.origin, "afk/1") == tip


def test_parents_written_by_an_agent_are_not_believed(place: Place) -> None:
    tip = place.deliver({"new.txt": "x\n"})
    (place.mirror / "info/grafts").write_text(f"{tip}\n")
    assert place.mirrors.stat(place.repo, place.base_sha, tip).commits == 1
    assert place.mirrors.merge(place.repo, base="main", branch="afk/1", message="Merge").sha


@pytest.mark.parametrize("key", ["clean", "process"])
def test_a_look_at_a_copy_runs_nothing_that_stands_in_our_folder_of_it(
    place: Place, key: str
) -> None:
    canary = place.origin.parent / "canary"
    copy = place.start()
    look = place.copies.path("run_1").parent.parent / "looks" / "run_1.git"
    append(look / "config", f'[filter "x"]\n\t{key} = "touch {canary}; cat"\n')
    append(look / "config", f'[core]\n\tfsmonitor = "touch {canary}"\n')
    (look / "info/attributes").write_text("* filter=x\n")
    (copy / "a.txt").write_text("changed\n")
    assert place.copies.inspect(place.repo, "run_1", tip=place.base_sha).uncommitted_files == 1
    diff = place.copies.diff(place.repo, "run_1", base_sha=place.base_sha)
    assert "+changed" in diff.text
    assert not canary.exists()


def test_a_mirror_that_cannot_be_compared_is_not_used(place: Place) -> None:
    place.deliver({"new.txt": "x\n"})
    elsewhere = place.origin.parent / "elsewhere"
    place.mirror.rename(elsewhere)
    place.mirror.symlink_to(elsewhere)
    for call in (
        lambda: place.mirrors.tip(place.repo, "afk/1"),
        lambda: place.mirrors.branches(place.repo),
        lambda: place.copies.import_work(place.repo, "run_afk_1", "afk/1"),
    ):
        with pytest.raises(CannotRead):
            call()
    assert not tip_of(place.origin, "afk/1")
    place.mirror.unlink()
    elsewhere.rename(place.mirror)
    assert place.mirrors.push(place.repo, "afk/1").accepted


def test_a_mirror_that_cannot_be_put_back_is_not_used(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent may hold the lock forever: the call then refuses instead of waiting."""
    monkeypatch.setattr(config_guard, "_LOCK_SECONDS", 0.1)
    place.deliver({"new.txt": "x\n"})
    SETTINGS["pushInsteadOf"](place)
    held = os.open(place.mirror / "objects", os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises((CannotRead, OriginProblem)):
            place.mirrors.push(place.repo, "afk/1")
    finally:
        os.close(held)
    monkeypatch.undo()
    assert not tip_of(place.origin, "afk/1")
    assert place.mirrors.push(place.repo, "afk/1").accepted


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_a_mirror_of_an_earlier_version_still_works(tmp_path: Path, object_format: str) -> None:
    place = set_up_place(tmp_path, object_format=object_format)
    ours = (place.mirror / "config").read_text()
    # as plain git would have written it, without the attributes file
    (place.mirror / "config").write_text(ours.replace('"', "") + "[gc]\n\tauto = 0\n")
    (place.mirror / "info/attributes").unlink()
    tip = place.deliver({"new.txt": "x\n"})
    assert place.mirrors.push(place.repo, "afk/1").accepted
    assert tip_of(place.origin, "afk/1") == tip
    run_git(place.mirror, "--git-dir=.", "pack-refs", "--all")
    (place.mirror / "config").write_text("")
    assert place.mirrors.tip(place.repo, "afk/1") == tip
    assert (place.mirror / "config").read_text() == ours
