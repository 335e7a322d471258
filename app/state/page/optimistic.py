"""Rows shown before the server has answered, and how they become real or go away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


class OptimisticRows(Generic[Row]):
    """A list as a person sees it: what the server said, and what was asked for and has no answer.

    Rows are values: they are replaced, never changed. `key_of` names a row, `order` sorts rows,
    greatest first. `version` is another one after every change.
    """

    def __init__(self, key_of: Callable[[Row], str], order: Callable[[Row], Any]) -> None:
        self._key_of = key_of
        self._order = order
        self._settled: dict[str, Row] = {}
        self._seen: dict[str, Row] = {}
        self._pending: list[OptimisticMutation[Row]] = []
        self.version = 0

    def load(self, rows: Iterable[Row]) -> None:
        """Replace everything the server said; what is pending stays."""
        before, self._settled = self._settled, {}
        for row in rows:
            self._settle(row)
        self._note(before | self._settled)

    def put(self, row: Row) -> None:
        """Add a row, or replace the one of the same key."""
        self._settle(row)
        self._note([self._key_of(row)])

    def drop(self, key: str) -> None:
        """Take a row out, if it is there."""
        self._settled.pop(key, None)
        self._note([key])

    def leave_out(self, row: Row) -> None:
        """Take in that a row is real and belongs elsewhere: what asked for it shows no more."""
        for one in self._pending:
            one.is_known = one.is_known or one.is_same(row)
        self.drop(self._key_of(row))

    def get(self, key: str) -> Row | None:
        """What the server last said of a row."""
        return self._settled.get(key)

    def shown(self, key: str) -> Row | None:
        """A row as a person sees it."""
        return self._seen.get(key)

    def word_of(self, key: str) -> str:
        """The busy word of a row that is being changed (`Stopping…`), empty for all others."""
        return next((one.word for one in reversed(self._pending) if one.changes == key), "")

    def settled(self) -> list[Row]:
        """The server's rows alone, greatest first."""
        return sorted(self._settled.values(), key=self._order, reverse=True)

    def visible(self) -> list[Row]:
        """What a person sees: rows asked for on top, then the server's rows, each once."""
        asked = [one.key for one in reversed(self._pending) if one.is_on_top]
        on_top = {key: self._seen[key] for key in asked if key in self._seen}
        rest = (row for key, row in self._seen.items() if key not in on_top)
        return [*on_top.values(), *sorted(rest, key=self._order, reverse=True)]

    def begin(
        self, row: Row, *, word: str = "", is_same: Callable[[Row], bool] = lambda _: False
    ) -> OptimisticMutation[Row]:
        """Show `row` at once: in place of the row of its key, or on top where there is none.

        `is_same` recognises the real row when the feed brings it before the answer does.
        """
        key = self._key_of(row)
        before = self._settled.get(key)
        mutation = OptimisticMutation(self, row, key=key, before=before, word=word, is_same=is_same)
        mutation.is_known = any(is_same(one) for one in self._settled.values())
        self._pending.append(mutation)
        self._note([key])
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

    def confirm(self, mutation: OptimisticMutation[Row], answer: Row | None) -> None:
        """End a mutation with the server's row, or with None where nothing is to be shown."""
        if mutation not in self._pending:
            return
        self._pending.remove(mutation)
        changed = [mutation.key]
        # The feed may have been faster and know more: its row is not set back, nor brought back.
        is_news = mutation.changes is not None or not mutation.is_known
        if (
            is_news
            and answer is not None
            and self._settled.get(self._key_of(answer)) == mutation.before
        ):
            self._settle(answer)
            changed.append(self._key_of(answer))
        self._note(changed)

    def restore(self, mutation: OptimisticMutation[Row]) -> None:
        """Make the list from what it was before a mutation and what has happened since."""
        if mutation not in self._pending:
            return
        self._pending.remove(mutation)
        self._record([mutation.key])
        rows: dict[str, Row | None] = {self._key_of(row): row for row in mutation.prior_state}
        rows |= mutation.since
        self._seen = {key: row for key, row in rows.items() if row is not None}

    def _settle(self, row: Row) -> None:
        key = self._key_of(row)
        self._settled[key] = row
        for one in self._pending:
            one.is_known = one.is_known or one.key == key or one.is_same(row)

    def _note(self, keys: Iterable[str]) -> None:
        """Show these rows as they are now, and tell every mutation under way."""
        keys = self._record(keys)
        for key in keys:
            row = self._seen_without(None, key)
            if row is None:
                self._seen.pop(key, None)
            else:
                self._seen[key] = row

    def _record(self, keys: Iterable[str]) -> set[str]:
        """Tell every mutation under way how these rows are but for itself.

        Returns them, and with them the rows asked for: their real ones may have come.
        """
        changed = {*keys, *(one.key for one in self._pending if one.before is None)}
        for one in self._pending:
            one.since |= {key: self._seen_without(one, key) for key in changed}
        self.version += 1
        return changed

    def _seen_without(self, left_out: OptimisticMutation[Row] | None, key: str) -> Row | None:
        settled = self._settled.get(key)
        for one in reversed(self._pending):
            if one is left_out or one.key != key:
                continue
            if one.is_on_top or (one.before is not None and settled is not None):
                return one.row
        return settled


class OptimisticMutation(Generic[Row]):
    """One thing asked for: `prior_state` is the list as it was seen before.

    `since` holds, by key, what has become of rows from then on: other submits and live changes,
    None for a row that is gone. `before` is the row as it was, None for a new one; `word` says
    what is going on. Ends once, by `confirm` or `restore`; ending it again does nothing.
    """

    def __init__(
        self,
        rows: OptimisticRows[Row],
        row: Row,
        *,
        key: str,
        before: Row | None,
        word: str,
        is_same: Callable[[Row], bool],
    ) -> None:
        self.prior_state: tuple[Row, ...] = tuple(rows.visible())
        self.since: dict[str, Row | None] = {}
        self.row = row
        self.key = key
        self.before = before
        self.word = word
        self.is_same = is_same
        self.is_known = False
        self._rows = rows

    @property
    def changes(self) -> str | None:
        """The key of the row that is being changed, None for a new row."""
        return self.key if self.before is not None else None

    @property
    def is_on_top(self) -> bool:
        """True for a new row whose real one has not come yet."""
        return self.before is None and not self.is_known

    def confirm(self, answer: Row | None = None) -> None:
        """The server did it: its row takes the place of the one that was shown."""
        self._rows.confirm(self, answer)

    def restore(self) -> None:
        """Nothing happened: the list is `prior_state` and what really came meanwhile."""
        self._rows.restore(self)
