"""Rows shown before the server has answered, and how they become real or go away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


class OptimisticRows(Generic[Row]):
    """A list in two layers: what the server said, and on it what was asked for meanwhile.

    Rows are values: they are replaced, never changed. `key_of` names a row, `order` sorts rows,
    greatest first. Undoing a mutation takes its layer away and touches nothing else, so other
    people's rows and other submits stay. `version` is another one after every change.
    """

    def __init__(self, key_of: Callable[[Row], str], order: Callable[[Row], Any]) -> None:
        self._key_of = key_of
        self._order = order
        self._settled: dict[str, Row] = {}
        self._pending: list[OptimisticMutation[Row]] = []
        self.version = 0

    def load(self, rows: Iterable[Row]) -> None:
        """Replace everything the server said; what is pending stays."""
        self._settled = {self._key_of(row): row for row in rows}
        self.version += 1

    def put(self, row: Row) -> None:
        """Add a row, or replace the one of the same key."""
        self._settled[self._key_of(row)] = row
        self.version += 1

    def drop(self, key: str) -> None:
        """Take a row out, if it is there."""
        self._settled.pop(key, None)
        self.version += 1

    def get(self, key: str) -> Row | None:
        """What the server last said of a row."""
        return self._settled.get(key)

    def shown(self, key: str) -> Row | None:
        """A row as a person sees it."""
        changing = self._changing(key)
        return changing.row if changing and key in self._settled else self._settled.get(key)

    def word_of(self, key: str) -> str:
        """The busy word of a row that is being changed (`Stopping…`), empty for all others."""
        changing = self._changing(key)
        return changing.word if changing else ""

    def settled(self) -> list[Row]:
        """The server's rows alone, greatest first."""
        return sorted(self._settled.values(), key=self._order, reverse=True)

    def visible(self) -> list[Row]:
        """What a person sees: rows asked for on top, then the server's rows, each once."""
        settled = self.settled()
        on_top = [
            one.row
            for one in reversed(self._pending)
            if one.changes is None and not any(one.is_same(row) for row in settled)
        ]
        instead = {one.changes: one.row for one in self._pending}
        return on_top + [instead.get(self._key_of(row), row) for row in settled]

    def begin(
        self, row: Row, *, word: str = "", is_same: Callable[[Row], bool] = lambda _: False
    ) -> OptimisticMutation[Row]:
        """Show `row` at once: in place of the row of its key, or on top where there is none.

        `is_same` recognises the real row when the feed brings it before the answer does.
        """
        before = self._settled.get(self._key_of(row))
        mutation = OptimisticMutation(self, row, before=before, word=word, is_same=is_same)
        self._pending.append(mutation)
        self.version += 1
        return mutation

    async def attempt(
        self,
        row: Row,
        act: Callable[[], Awaitable[Row | None]],
        *,
        word: str,
        show: Callable[[], object],
    ) -> Row | None:
        """Begin, do it, then confirm or restore; `show()` after each step.

        Does nothing while the same row is being changed. What `act` raises goes through.
        """
        if self.word_of(self._key_of(row)):
            return None
        mutation = self.begin(row, word=word)
        try:
            show()
            answer = await act()
            mutation.confirm(answer)
            return answer
        finally:
            mutation.restore()
            show()

    def settle(self, mutation: OptimisticMutation[Row], answer: Row | None) -> None:
        """End a mutation with the server's row, or with None where nothing is to be shown."""
        if mutation not in self._pending:
            return
        self._pending.remove(mutation)
        self.version += 1
        # The feed may have been faster and know more: its row is not set back.
        if answer is not None and self._settled.get(self._key_of(answer)) == mutation.before:
            self.put(answer)

    def _changing(self, key: str) -> OptimisticMutation[Row] | None:
        return next((one for one in reversed(self._pending) if one.changes == key), None)


class OptimisticMutation(Generic[Row]):
    """One thing asked for: `prior_state` is the list as it was seen before.

    `before` is the row as it was, None for a new one; `word` says what is going on. Ends once,
    by `confirm` or `restore`; ending it again does nothing.
    """

    def __init__(
        self,
        rows: OptimisticRows[Row],
        row: Row,
        *,
        before: Row | None,
        word: str,
        is_same: Callable[[Row], bool],
    ) -> None:
        self.prior_state: tuple[Row, ...] = tuple(rows.visible())
        self.row = row
        self.before = before
        self.changes = rows._key_of(row) if before is not None else None
        self.word = word
        self.is_same = is_same
        self._rows = rows

    def confirm(self, answer: Row | None = None) -> None:
        """The server did it: its row takes the place of the one that was shown."""
        self._rows.settle(self, answer)

    def restore(self) -> None:
        """Nothing happened: the list is `prior_state` and what really came meanwhile."""
        self._rows.settle(self, None)
