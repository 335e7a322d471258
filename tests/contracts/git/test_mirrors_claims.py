"""Claims read from the mirror's files, without a git process, agree with git's own answer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from app.adapters.git import refs
from app.adapters.git.layout import opened
from app.services.ports import CannotRead
from tests.builders.repositories import Place, run_git, set_up_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path)


def told_by_git(place: Place) -> set[str]:
    form = "--format=%(refname:lstrip=2)"
    return set(run_git(place.mirror, "for-each-ref", form, "refs/heads/").splitlines())


def test_loose_packed_nested_and_deleted_claims_are_what_git_says(place: Place) -> None:
    def agree(*wanted: str) -> None:
        assert place.mirrors.claims(place.repo) == told_by_git(place) == set(wanted)

    agree()
    for name in ("afk/1", "afk/2", "parked/afk/3/run_1", "é"):
        place.mirrors.claim(place.repo, name, place.base_sha)
    loose = ("afk/1", "afk/2", "parked/afk/3/run_1", "é")
    agree(*loose)
    run_git(place.mirror, "pack-refs", "--all", "--no-prune")
    agree(*loose)  # loose and packed
    run_git(place.mirror, "pack-refs", "--all", "--prune")
    assert not (place.mirror / "refs" / "heads" / "afk" / "1").exists()
    agree(*loose)  # packed only
    place.mirrors.claim(place.repo, "afk/9", place.base_sha)
    assert place.mirrors.release(place.repo, "afk/1", expected_sha=None)
    assert place.mirrors.release(place.repo, "parked/afk/3/run_1", expected_sha=None)
    agree("afk/2", "é", "afk/9")
    place.mirrors.rename(place.repo, "afk/2", "parked/afk/2/run_2")
    agree("parked/afk/2/run_2", "é", "afk/9")


def test_a_claim_under_way_is_none_yet(place: Place) -> None:
    (place.mirror / "refs" / "heads" / "afk").mkdir()
    (place.mirror / "refs" / "heads" / "afk" / "1.lock").write_text(place.base_sha)
    assert place.mirrors.claims(place.repo) == told_by_git(place) == set()


def test_a_folder_that_goes_with_its_last_claim_is_no_obstacle(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    gone = place.mirror / "refs" / "heads" / "gone"
    gone.mkdir()

    def open_late(above: int | Path, *names: str) -> AbstractContextManager[int]:
        if names == (gone.name,):
            gone.rmdir()
        return opened(above, *names)

    monkeypatch.setattr(refs, "opened", open_late)
    assert place.mirrors.claims(place.repo) == {"afk/1"}
    assert not gone.exists()


def hide(place: Place) -> None:
    place.mirror.rename(place.mirror.with_suffix(".away"))


def behead(place: Place) -> None:
    (place.mirror / "HEAD").unlink()


def link_refs(place: Place) -> None:
    refs = place.mirror / "refs"
    refs.rename(place.mirror / "elsewhere")
    refs.symlink_to(place.mirror / "elsewhere")


def link_a_ref(place: Place) -> None:
    (place.mirror / "refs" / "heads" / "afk").symlink_to("/etc/hostname")


def pack_elsewhere(place: Place) -> None:
    (place.mirror / "packed-refs").symlink_to("/etc/hostname")


def be_another_format(place: Place) -> None:
    # the layout of a mirror with the reftable backend
    (place.mirror / "refs" / "heads").rmdir()
    (place.mirror / "refs" / "heads").write_text("this repository uses the reftable format\n")


@pytest.mark.parametrize(
    "spoil", [hide, behead, link_refs, link_a_ref, pack_elsewhere, be_another_format]
)
def test_what_cannot_be_read_is_not_taken_for_no_claim(
    place: Place, spoil: Callable[[Place], None]
) -> None:
    spoil(place)
    with pytest.raises(CannotRead):
        place.mirrors.claims(place.repo)


def test_claims_are_read_without_a_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert place.mirrors.claims(place.repo) == {"afk/1"}


def test_a_tip_is_what_git_says_however_its_branch_is_stored(place: Place) -> None:
    def tip_by_git() -> str:
        return run_git(place.mirror, "for-each-ref", "--format=%(objectname)", "refs/heads/afk/1")

    def tip() -> str | None:
        return place.mirrors.tip(place.repo, "afk/1")

    assert (tip(), place.mirrors.tip(place.repo, "afk")) == (None, None)
    place.deliver({"new.txt": "new"})
    assert tip() == tip_by_git() != place.base_sha
    assert place.mirrors.tip(place.repo, "afk") is None  # a folder of branches
    run_git(place.mirror, "pack-refs", "--all", "--prune")
    assert not (place.mirror / "refs" / "heads" / "afk" / "1").exists()
    assert tip() == tip_by_git()
    run_git(place.mirror, "symbolic-ref", "refs/heads/afk/1", "refs/remotes/origin/main")
    assert tip() == tip_by_git() == place.base_sha


def test_of_a_mirror_that_git_cannot_read_no_tip_is_told(place: Place) -> None:
    place.mirrors.claim(place.repo, "afk/1", place.base_sha)
    (place.mirror / "HEAD").unlink()
    with pytest.raises(CannotRead):
        place.mirrors.tip(place.repo, "afk/1")


def test_what_is_known_of_a_delivery_is_not_asked_of_git_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = place.deliver({"new.txt": "new"})
    stat = place.mirrors.stat(place.repo, place.base_sha, tip)

    def refuse(*_args: object, **_more: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert place.mirrors.tip(place.repo, "afk/1") == tip
    assert place.mirrors.stat(place.repo, place.base_sha, tip) == stat
