"""Rows shown before the server has answered, and how they become real or go away."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


class OptimisticRows(Generic[Row]):
    """A list in two layers: what the server said, and on it what was asked for meanwhile.

    Rows are values: they are replaced, never changed. `key_of` names a row, `order` sorts rows,
    greatest first. Undoing a mutation takes its layer away and touches nothing else, so other
    people's rows and other submits stay.
    """

    def __init__(self, key_of: Callable[[Row], str], order: Callable[[Row], Any]) -> None:
        self._key_of = key_of
        self._order = order
        self._settled: dict[str, Row] = {}
        self._pending: list[OptimisticMutation[Row]] = []
        self._confirmed: set[str] = set()

    def load(self, rows: Iterable[Row]) -> None:
        """Replace everything the server said; what is pending stays."""
        self._settled = {self._key_of(row): row for row in rows}

    def put(self, row: Row) -> None:
        """Add a row, or replace the one of the same key."""
        self._settled[self._key_of(row)] = row

    def drop(self, key: str) -> None:
        """Take a row out, if it is there."""
        self._settled.pop(key, None)

    def get(self, key: str) -> Row | None:
        """What the server last said of a row."""
        return self._settled.get(key)

    def settled(self) -> list[Row]:
        """The server's rows alone, greatest first."""
        return sorted(self._settled.values(), key=self._order, reverse=True)

    def visible(self) -> list[Row]:
        """What a person sees: rows asked for on top, then the server's rows, each once."""
        on_top: list[Row] = []
        instead: dict[str, Row] = {}
        taken = set(self._confirmed)
        settled = self.settled()
        for mutation in self._pending:
            if mutation.changes is not None:
                instead[mutation.changes] = mutation.row
            elif (twin := self._twin_of(mutation, settled, taken)) is not None:
                taken.add(twin)
            else:
                on_top.insert(0, mutation.row)
        return on_top + [instead.get(self._key_of(row), row) for row in settled]

    def begin(
        self, row: Row, *, is_same: Callable[[Row], bool] | None = None
    ) -> OptimisticMutation[Row]:
        """Show `row` at once: in place of the row of its key, or on top where there is none.

        `is_same` recognises the real row when the feed brings it before the answer does.
        """
        key = self._key_of(row)
        mutation = OptimisticMutation(
            self, row, changes=key if key in self._settled else None, is_same=is_same
        )
        self._pending.append(mutation)
        return mutation

    def settle(self, mutation: OptimisticMutation[Row], answer: Row | None) -> None:
        """End a mutation with the server's row, or with None where nothing happened."""
        if mutation not in self._pending:
            return
        self._pending.remove(mutation)
        if answer is not None:
            key = self._key_of(answer)
            self._confirmed.add(key)
            # The feed may have been faster and know more: its row is not set back.
            if mutation.changes is not None or key not in self._settled:
                self.put(answer)
        if not self._pending:
            self._confirmed.clear()

    def _twin_of(
        self, mutation: OptimisticMutation[Row], settled: list[Row], taken: set[str]
    ) -> str | None:
        if mutation.is_same is None:
            return None
        for row in settled:
            key = self._key_of(row)
            if key not in mutation.known and key not in taken and mutation.is_same(row):
                return key
        return None


class OptimisticMutation(Generic[Row]):
    """One thing asked for: `prior_state` is the list as it was seen before.

    Ends once, by `confirm` or `restore`; ending it again does nothing.
    """

    def __init__(
        self,
        rows: OptimisticRows[Row],
        row: Row,
        *,
        changes: str | None,
        is_same: Callable[[Row], bool] | None,
    ) -> None:
        self.prior_state: tuple[Row, ...] = tuple(rows.visible())
        self.known = frozenset(rows._settled)
        self.row = row
        self.changes = changes
        self.is_same = is_same
        self._rows = rows

    def confirm(self, answer: Row | None = None) -> None:
        """The server did it: its row takes the place of the one that was shown."""
        self._rows.settle(self, answer)

    def restore(self) -> None:
        """Nothing happened: the list is `prior_state` and what really came meanwhile."""
        self._rows.settle(self, None)
