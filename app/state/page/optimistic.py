"""Rows shown before the server has answered; they become real or are rolled back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


class OptimisticRows(Generic[Row]):
    """A list of server rows with pending changes applied on top.

    Rows are values: they are replaced, never mutated. `key_of` returns a row's key, `order` its
    sort key (greatest first). `version` grows with every change.
    """

    def __init__(self, key_of: Callable[[Row], str], order: Callable[[Row], Any]) -> None:
        self._key_of = key_of
        self._order = order
        self._settled: dict[str, Row] = {}
        self._seen: dict[str, Row] = {}
        self._pending: list[OptimisticMutation[Row]] = []
        self.version = 0
        # as sorted for a version: a page asks many times between two changes
        self._sorted: tuple[int, tuple[Row, ...]] = (0, ())

    def load(self, rows: Iterable[Row]) -> None:
        """Replace all server rows; pending changes stay."""
        before, self._settled = self._settled, {}
        for row in rows:
            self._settle(row)
        self._note(before | self._settled)

    def put(self, row: Row) -> None:
        """Add a server row, or replace the one with the same key."""
        self._settle(row)
        self._note([self._key_of(row)])

    def drop(self, key: str) -> None:
        """Remove a row if it exists."""
        self._settled.pop(key, None)
        self._note([key])

    def leave_out(self, row: Row) -> None:
        """Drop a real row that belongs to another list, and hide its pending placeholder."""
        for one in self._pending:
            one.is_known = one.is_known or one.is_same(row)
        self.drop(self._key_of(row))

    def get(self, key: str) -> Row | None:
        """Return a row as the server last sent it."""
        return self._settled.get(key)

    def shown(self, key: str) -> Row | None:
        """Return a row as it is shown."""
        return self._seen.get(key)

    def word_of(self, key: str) -> str:
        """Return the busy word of a row with a pending change (`Stopping…`), "" otherwise."""
        return next((one.word for one in reversed(self._pending) if one.changes == key), "")

    def settled(self) -> list[Row]:
        """Return only the server's rows, greatest first."""
        return sorted(self._settled.values(), key=self._order, reverse=True)

    def visible(self) -> list[Row]:
        """Return the rows as shown: pending new ones on top, then the rest, each once."""
        if self._sorted[0] != self.version:
            self._sorted = self.version, tuple(self._in_order())
        return list(self._sorted[1])

    def _in_order(self) -> Iterator[Row]:
        asked = [one.key for one in reversed(self._pending) if one.is_on_top]
        on_top = {key: self._seen[key] for key in asked if key in self._seen}
        rest = (row for key, row in self._seen.items() if key not in on_top)
        yield from on_top.values()
        yield from sorted(rest, key=self._order, reverse=True)

    def unsorted(self) -> Iterable[Row]:
        """Return the rows as shown, each once, in no order."""
        return self._seen.values()

    def begin(
        self, row: Row, *, word: str = "", is_same: Callable[[Row], bool] = lambda _: False
    ) -> OptimisticMutation[Row]:
        """Show `row` at once: in place of the row with its key, or on top if it is new.

        `is_same` recognizes the real row if the feed delivers it before the response arrives.
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
        """Apply `row`, run `act`, then confirm or roll back; calls `show()` after each step.

        Does nothing while the same row has a pending change. Raises what `act` raises.
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
        """End a mutation with the server's row, or with None to show no row for it."""
        if mutation not in self._pending:
            return
        self._pending.remove(mutation)
        changed = [mutation.key]
        # the feed may have been faster and newer: never reset or revive its row
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
        """Roll back a mutation: its prior list, plus all changes since."""
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
        """Recompute the shown rows of these keys and record them in all pending mutations."""
        keys = self._record(keys)
        for key in keys:
            row = self._seen_without(None, key)
            if row is None:
                self._seen.pop(key, None)
            else:
                self._seen[key] = row

    def _record(self, keys: Iterable[str]) -> set[str]:
        """Record these rows in each pending mutation, as they are without it.

        Returns the keys with those of pending new rows added, whose real rows may have arrived.
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
    """One pending change; `prior_state` is the list as it was shown before.

    `since` maps keys to rows changed after that by other submits and live events, None for a
    removed row. `before` is the row before the change, None for a new one; `word` is its busy word.
    Ends once, by `confirm` or `restore`; further calls do nothing.
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
        """The key of the row being changed, None for a new row."""
        return self.key if self.before is not None else None

    @property
    def is_on_top(self) -> bool:
        """True for a new row whose real row has not arrived yet."""
        return self.before is None and not self.is_known

    def confirm(self, answer: Row | None = None) -> None:
        """End the mutation with the server's row in place of the pending one."""
        self._rows.confirm(self, answer)

    def restore(self) -> None:
        """Roll the mutation back: `prior_state` plus everything that changed since."""
        self._rows.restore(self)
