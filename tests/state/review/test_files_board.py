"""Files and comments of a change as one page shows them: tree, marks, drafts, places."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.api.client.client import NoAnswer
from app.api.schemas.review import ChangeCommentOut, ChangeFile
from app.domain.words import FileStatus, Side
from app.state.review.files_board import FilesBoard, Spot

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def file(path: str, **more: Any) -> ChangeFile:
    """Return a file with two added lines."""
    given = {"additions": 2, "deletions": 1, "folded": False, "viewed": False} | more
    return ChangeFile(path=path, status=FileStatus.MODIFIED, **given)


def comment(id_: int, place: str | None = None, line: int | None = None, **more: Any) -> Any:
    """Return a comment that was sent."""
    given = {"side": Side.NEW, "draft": False, "outdated": False, "round": 1} | more
    return ChangeCommentOut(
        id=id_, file=place, line=line, text="Why?", author="ada", created_at=NOON, **given
    )


def board(*files: ChangeFile, comments: tuple[Any, ...] = ()) -> FilesBoard:
    made = FilesBoard()
    made.load_files(files)
    made.load_comments(comments)
    return made


def test_the_tree_has_the_files_of_a_folder_together_and_the_top_folder_first() -> None:
    shown = board(file("src/b/z.py"), file("src/a.py"), file("README.md"), file("src/b/c.py"))
    assert [(one.name, [f.path for f in one.files]) for one in shown.tree()] == [
        ("", ["README.md"]),
        ("src", ["src/a.py"]),
        ("src/b", ["src/b/c.py", "src/b/z.py"]),
    ]
    assert shown.files()[0].path == "README.md"


@pytest.mark.parametrize(
    ("words", "found"),
    [("", 3), ("PY", 2), ("src .py", 1), ("a. src", 1), ("nothing", 0)],
)
def test_the_filter_looks_for_each_word_anywhere_in_the_path(words: str, found: int) -> None:
    shown = board(file("src/a.py"), file("lib/b.py"), file("src/c.txt"))
    shown.filter = words
    assert sum(len(one.files) for one in shown.tree()) == found


def test_a_mark_shows_at_once_and_is_taken_back_if_nobody_answers() -> None:
    shown = board(file("a.py"), file("b.py", viewed=True))
    seen: list[tuple[int, int]] = []

    async def fails() -> None:
        raise NoAnswer("x")

    async def press() -> None:
        with pytest.raises(NoAnswer):
            await shown.mark("a.py", fails, lambda: seen.append(shown.viewed()), viewed=True)

    asyncio.run(press())
    assert seen == [(2, 2), (1, 2)]


def test_a_draft_shows_at_once_and_becomes_the_servers_one() -> None:
    shown = board(file("a.py"))
    spot = Spot("a.py", 3)
    seen: list[list[tuple[bool, str]]] = []

    def note() -> None:
        seen.append([(one.id < 0, shown.word_of(one)) for one in shown.drafts()])

    async def act() -> Any:
        return comment(7, "a.py", 3, draft=True, round=None)

    async def write(answer: Any) -> None:
        await shown.add(spot, "Why?", ("ada", NOON), answer, note)

    asyncio.run(write(act))
    assert seen == [[(True, "Saving…")], [(False, "")]]

    async def fails() -> Any:
        raise NoAnswer("x")

    with pytest.raises(NoAnswer):
        asyncio.run(write(fails))
    assert [one.id for one in shown.drafts()] == [7]


def test_a_comment_on_a_renamed_file_is_at_its_new_path_and_one_on_a_lost_file_on_the_whole() -> (
    None
):
    shown = board(
        file("new.py", previous="old.py"),
        comments=(comment(1, "old.py", 3, side=Side.OLD), comment(2, "gone.py", 9), comment(3)),
    )
    assert {spot: [one.id for one in found] for spot, found in shown.by_spot().items()} == {
        Spot("new.py", 3, Side.OLD): [1],
        Spot(): [2, 3],
    }
    assert shown.counts() == {"new.py": 1}


def test_a_deleted_draft_is_gone_and_stays_if_nobody_answers() -> None:
    shown = board(file("a.py"), comments=(comment(1, draft=True, round=None),))
    (draft,) = shown.drafts()

    async def done() -> None: ...

    async def fails() -> None:
        raise NoAnswer("x")

    with pytest.raises(NoAnswer):
        asyncio.run(shown.remove(draft, fails, lambda: None))
    assert shown.drafts() == [draft]
    asyncio.run(shown.remove(draft, done, lambda: None))
    assert not shown.drafts()
