"""Secrets in commits about to be pushed, found in real repositories."""

from __future__ import annotations

import base64
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.secret_masks import Secret, SecretMask
from app.services.ports import CannotRead, Leak
from tests.builders.repositories import (
    Place,
    commit_file,
    commit_files,
    run_git,
    set_up_place,
    tip_of,
)

KEY = "sk-test-0123456789abcdefghijKLMNOPQRSTUVWXYZ"
OTHER = "another-T0ken-of-4711-somewhere"
MASK = SecretMask([Secret("OPENAI_API_KEY", KEY), Secret("Runyard's token", OTHER)])
MB = 1024**2


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return set_up_place(tmp_path, files={"a.txt": "one\ntwo\n", "known.env": f"KEY={OTHER}\n"})


def leak_of(place: Place, work: Callable[[Path], object]) -> tuple[Leak | None, Path]:
    """Commit work as an agent would; return the leak found in it, if any, and the working copy."""
    copy = place.start()
    work(copy)
    tip = place.copies.import_work(place.repo, "run_1", "afk/1")
    return place.mirrors.find_leak(place.repo, place.base_sha, tip, MASK), copy


@pytest.mark.parametrize(
    "held",
    [KEY, base64.b64encode(f"user:{KEY}".encode()).decode(), KEY.encode().hex()],
    ids=["raw", "base64", "hex"],
)
def test_a_file_is_named_with_the_line_that_holds_it(place: Place, held: str) -> None:
    leak, copy = leak_of(place, lambda it: commit_file(it, "src/a b.py", f"1\n2\nk = '{held}'\n"))
    assert leak == Leak("OPENAI_API_KEY", tip_of(copy), "src/a b.py", 3)


def test_one_that_a_later_commit_takes_away_again_is_found(place: Place) -> None:
    shas: list[str] = []

    def work(copy: Path) -> None:
        commit_file(copy, "fine.txt", "fine\n")
        shas.append(commit_file(copy, "a.txt", f"one\ntwo\n{KEY}\n"))
        commit_file(copy, "a.txt", "one\ntwo\nthree\n")

    leak, _ = leak_of(place, work)
    assert leak == Leak("OPENAI_API_KEY", shas[0], "a.txt", 3)


def test_one_in_the_message_or_the_author_of_a_commit_is_found(place: Place) -> None:
    leak, copy = leak_of(place, lambda it: commit_file(it, "x", message=f"Use\n\n{KEY}"))
    assert leak == Leak("OPENAI_API_KEY", tip_of(copy))
    run_git(copy, "commit", "-q", "--amend", "-m", "Use it", f"--author={KEY} <a@example.test>")
    tip = place.copies.import_work(place.repo, "run_1", "afk/1")
    found = place.mirrors.find_leak(place.repo, place.base_sha, tip, MASK)
    assert found == Leak("OPENAI_API_KEY", tip)


def test_one_in_the_name_of_a_file_is_found_and_not_repeated(place: Place) -> None:
    leak, copy = leak_of(place, lambda it: commit_file(it, f"keys/{KEY}/x.txt"))
    assert leak is not None
    assert (leak.name, leak.commit, leak.line) == ("OPENAI_API_KEY", tip_of(copy), 0)
    assert leak.path.startswith("keys/•••")
    assert KEY not in leak.path


def test_one_that_only_a_merge_adds_is_found(place: Place) -> None:
    def work(copy: Path) -> None:
        run_git(copy, "checkout", "-qb", "side")
        commit_file(copy, "side.txt", "side\n")
        run_git(copy, "checkout", "-q", "afk/1")
        commit_file(copy, "mine.txt", "mine\n")
        run_git(copy, "merge", "-q", "--no-commit", "side")
        commit_file(copy, "side.txt", f"side\n{KEY}\n", message="Merge")

    leak, copy = leak_of(place, work)
    assert leak == Leak("OPENAI_API_KEY", tip_of(copy), "side.txt", 2)


def test_one_that_the_file_held_before_is_no_reason_to_keep_work_here(place: Place) -> None:
    leak, _ = leak_of(place, lambda it: commit_file(it, "known.env", f"A=1\nKEY={OTHER}\n"))
    assert leak is None


def test_one_in_a_second_file_with_content_that_was_seen_is_found_once(place: Place) -> None:
    text = f"{KEY}\n"
    leak, copy = leak_of(place, lambda it: commit_files(it, {"b.txt": text, "c.txt": text}))
    assert leak == Leak("OPENAI_API_KEY", tip_of(copy), "b.txt", 1)


def test_binary_files_are_searched_and_large_ones_in_little_memory(place: Place) -> None:
    # the key is at the very end, beyond the search buffer
    content = bytes(40 * MB) + b"\n" + KEY.encode()

    def work(copy: Path) -> None:
        commit_files(copy, {"image.bin": content})

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    leak, _ = leak_of(place, work)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert leak is not None
    assert (leak.path, leak.line) == ("image.bin", 2)
    assert grown < 30 * 1024


def test_many_files_are_read_and_links_and_submodules_are_no_obstacle(place: Place) -> None:
    def work(copy: Path) -> None:
        # to ask for as many fills a pipe
        commit_files(copy, {f"many/{at}.txt": f"{at}\n" for at in range(2000)})
        (copy / "link").symlink_to(KEY)
        run_git(copy, "add", "link")
        gitlink = f"160000,{'1' * 40},module"
        run_git(copy, "update-index", "--add", "--cacheinfo", gitlink)
        run_git(copy, "commit", "-qm", "Link")

    leak, copy = leak_of(place, work)
    assert leak == Leak("OPENAI_API_KEY", tip_of(copy), "link", 1)


def test_what_could_not_be_read_is_no_answer(place: Place) -> None:
    tip = place.deliver({"a.txt": "three\n"}, branch="afk/2")
    with pytest.raises(CannotRead):
        place.mirrors.find_leak(place.repo, "1" * 40, tip, MASK)
    blob = run_git(place.mirror, "--git-dir=.", "rev-parse", f"{tip}:a.txt")
    run_git(place.mirror, "--git-dir=.", "unpack-objects", check=False)
    for pack in (place.mirror / "objects" / "pack").glob("*"):
        pack.unlink()
    (place.mirror / "objects" / blob[:2] / blob[2:]).unlink(missing_ok=True)
    with pytest.raises(CannotRead):
        place.mirrors.find_leak(place.repo, place.base_sha, tip, MASK)
