"""The comments at one place of a diff, with the box in which a person writes another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from nicegui import background_tasks, ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas.review import ChangeCommentOut
from app.pages.components.buttons import button
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, format_markdown, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.review.files_board import FilesBoard, Spot, spot_of

MAX_CHARS = 16_000
SAVED_BY = "<kbd>Ctrl</kbd><kbd>↵</kbd>"


class CommentBox:
    """A text being written, for a new comment or in place of a draft; it stays until it is sent."""

    def __init__(
        self,
        about: str,
        *,
        value: str = "",
        verb: str = "Add to review",
        mark: str = "line-comment",
        typed: str,
        submit: Callable[[str], Awaitable[bool]],
        close: Callable[[], None],
    ) -> None:
        self._submit, self._close = submit, close
        with ui.element("div").classes("write").props("data-comment-box") as self.element:
            self._field = testid(ui.textarea(value=value, placeholder="Write a comment"), mark)
            self._field.props(
                f'borderless autogrow autofocus maxlength={MAX_CHARS} aria-label="{about}"'
            )
            self._field.props["data-typed"] = typed
            with ui.element("div").classes("foot"):
                ui.html(f"{text(about)} · Markdown", sanitize=clean, tag="span").classes("sub")
                ui.element("span").classes("sp")
                cancel = button("Cancel", self._close, kind="small bare", mark="cancel-comment")
                cancel.props("data-cancel")
                self._add = button(verb, self._send, kind="small", mark="add-to-review")
                with self._add:
                    ui.html(SAVED_BY, sanitize=clean, tag="span").props("aria-hidden=true")

    @property
    def text(self) -> str:
        """The text in it."""
        return str(self._field.value or "").strip()

    def focus(self) -> None:
        """Move the focus here."""
        self._field.run_method("focus")

    async def _send(self) -> None:
        words = self.text
        if not words:
            self.focus()
            return
        if not self._add.enabled:
            return
        self._add.disable()
        # it is shown as a comment at once; if that fails, the text is still here
        self.element.set_visibility(False)
        if await self._submit(words):
            self._close()
        else:
            self.element.set_visibility(True)
            self._add.enable()


@dataclass
class _Card:
    element: ui.element
    seen: tuple[ChangeCommentOut, str]
    box: CommentBox | None = None


class Thread:
    """The comments of one place, in the order of their age; cards are updated in place."""

    def __init__(self, book: ThreadBook, spot: Spot, *, names_place: bool = False) -> None:
        self._book, self.spot, self._names_place = book, spot, names_place
        self._cards: dict[int, _Card] = {}
        self._box: CommentBox | None = None
        self.element = ui.element("div").classes("cm")
        testid(self.element, "comment-thread")
        with self.element:
            self._list = ui.element("div").classes("cards")

    @property
    def boxes(self) -> list[CommentBox]:
        """The boxes in which somebody writes."""
        found = [self._box, *(card.box for card in self._cards.values())]
        return [one for one in found if one is not None]

    @property
    def is_needed(self) -> bool:
        """True while it has a comment or a box."""
        return bool(self._cards) or self._box is not None

    def show(self, comments: Sequence[ChangeCommentOut]) -> None:
        """Show these comments; cards that have not changed stay as they are."""
        ids = [one.id for one in comments]
        for gone in [id_ for id_ in self._cards if id_ not in ids]:
            self._cards.pop(gone).element.delete()
        for one in comments:
            seen = (one, self._book.board.word_of(one))
            card = self._cards.get(one.id)
            if card is None:
                with self._list:
                    self._cards[one.id] = card = _Card(ui.element("div").classes("card one"), seen)
                self._draw(card)
            elif card.seen != seen and card.box is None:
                card.seen = seen
                self._draw(card)

    def write(self) -> None:
        """Open the box for a new comment, or go to it."""
        if self._box is None:
            mark = "comment-box" if self.spot.line is None else "line-comment"
            with self.element:
                self._box = CommentBox(
                    self.spot.words,
                    mark=mark,
                    typed=self.spot.address,
                    submit=self._add,
                    close=self._end,
                )
        self._box.focus()

    async def _add(self, words: str) -> bool:
        return await self._book.add(self.spot, words)

    def _end(self) -> None:
        if self._box is not None:
            self._box.element.delete()
            self._box = None
        self._book.closed(self)

    def _draw(self, card: _Card) -> None:
        comment, word = card.seen
        card.element.clear()
        testid(card.element, "review-comment", comment=str(comment.id))
        with card.element:
            with ui.element("div").classes("by"):
                head = self._book.head_html(comment, names_place=self._names_place)
                ui.html(head, sanitize=clean, tag="span").classes("who")
                ui.element("span").classes("sp")
                if word:
                    ui.html(text(word), sanitize=clean, tag="span").classes("sub")
                elif comment.draft:
                    edit, delete = partial(self._edit, card), partial(self._delete, card)
                    button("Edit", edit, kind="small bare", mark="edit-comment")
                    button("Delete", delete, kind="small bare", mark="delete-comment")
            body = ui.html("", sanitize=clean)
        self._book.format(comment.text, body)

    def _edit(self, card: _Card) -> None:
        comment = card.seen[0]

        def close() -> None:
            if card.box is not None:
                card.box = None
                self._draw(card)
                self._book.refresh()

        async def save(words: str) -> bool:
            return words == comment.text or await self._book.edit(comment, words)

        card.element.clear()
        with card.element:
            card.box = CommentBox(
                self.spot.words,
                value=comment.text,
                verb="Save",
                typed=f"comment {comment.id}",
                submit=save,
                close=close,
            )
        card.box.focus()

    async def _delete(self, card: _Card) -> None:
        await self._book.remove(card.seen[0])


class ThreadBook:
    """Adds, edits and deletes comments for all threads of a page."""

    def __init__(
        self, session: PageSession, project_id: str, number: int, board: FilesBoard
    ) -> None:
        self._session, self.at, self.board = session, (project_id, number), board
        self.refresh: Callable[[], None] = lambda: None
        self.closed: Callable[[Thread], None] = lambda _: None

    def format(self, words: str, body: ui.html) -> None:
        """Show a comment's text as Markdown, formatted in a thread."""

        async def show() -> None:
            html = await format_markdown(words)
            if not body.is_deleted:
                body.set_content(html)

        cast("Any", background_tasks).create(show(), name="format a comment")

    def head_html(self, comment: ChangeCommentOut, *, names_place: bool) -> str:
        """Return the line above a comment: author, round, and what is special about it."""
        parts = ["<b>You</b>" if comment.draft else f"<b>{text(comment.author)}</b>"]
        if comment.draft:
            parts.append('<span class="lab wait">Not sent yet</span>')
        if comment.round is not None:
            parts.append(f'<span class="sub">round {comment.round}</span>')
        if names_place and comment.line is not None:
            parts.append(f'<span class="sub">{text(spot_of(comment).words)}</span>')
        if comment.outdated:
            parts.append('<span class="lab" title="Its line has changed since">outdated</span>')
        if not comment.draft:
            ago = ago_html(comment.created_at, self._session.now())
            parts.append(f'<span class="sub">{ago}</span>')
        return " ".join(parts)

    async def add(self, spot: Spot, words: str) -> bool:
        """Save a draft; return whether it was saved."""
        api, session = self._session.api, self._session
        side = spot.side if spot.line is not None else None
        return await self._try(
            self.board.add(
                spot,
                words,
                (session.system.person, session.now()),
                lambda: api.comment_on_change(*self.at, words, spot.file, spot.line, side),
                self.refresh,
            )
        )

    async def edit(self, comment: ChangeCommentOut, words: str) -> bool:
        """Give a draft another text; return whether it was saved."""
        edit = partial(self._session.api.edit_comment, *self.at, comment.id, words)
        return await self._try(self.board.edit(comment, words, edit, self.refresh))

    async def remove(self, comment: ChangeCommentOut) -> bool:
        """Delete a draft; return whether it is gone."""
        delete = partial(self._session.api.delete_comment, *self.at, comment.id)
        return await self._try(self.board.remove(comment, delete, self.refresh))

    async def remove_all(self, drafts: Iterable[ChangeCommentOut]) -> bool:
        """Delete drafts one by one; return False at the first that stays."""
        for one in drafts:
            if not await self.remove(one):
                return False
        return True

    async def _try(self, attempt: Awaitable[object]) -> bool:
        try:
            await attempt
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return False
        return True
