"""Submits without an answer, shown on every runs list the same person has open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.api.schemas import RunOut
from app.state.page.optimistic import OptimisticMutation
from app.state.runs.run_board import BoardRow, RunBoard, Submitting


@dataclass(frozen=True)
class _Watcher:
    owner: str
    board: RunBoard
    on_change: Callable[[], None]


class Submits:
    """Who is submitting what. `owner` names a person's browser; lists of others see nothing."""

    def __init__(self) -> None:
        self._watchers: list[_Watcher] = []
        self._open: list[Submit] = []

    def watch(
        self, owner: str, board: RunBoard, on_change: Callable[[], None]
    ) -> Callable[[], None]:
        """Show the owner's submits on `board`; returns the function that ends it."""
        watcher = _Watcher(owner, board, on_change)
        self._watchers.append(watcher)
        for submit in self._open:
            submit.show_on(watcher)

        def leave() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)
            for submit in self._open:
                submit.forget(watcher)

        return leave

    def begin(self, owner: str, row: Submitting) -> Submit:
        """Put the row on top of every list of its owner."""
        submit = Submit(self, owner, row)
        self._open.append(submit)
        for watcher in list(self._watchers):
            submit.show_on(watcher)
        return submit

    def close(self, submit: Submit) -> None:
        """Forget a submit that has its answer."""
        if submit in self._open:
            self._open.remove(submit)


class Submit:
    """One submit on all its owner's lists; ends once, by `confirm` or `restore`."""

    def __init__(self, submits: Submits, owner: str, row: Submitting) -> None:
        self._submits = submits
        self._owner = owner
        self._row = row
        self._shown: list[tuple[_Watcher, OptimisticMutation[BoardRow]]] = []

    def show_on(self, watcher: _Watcher) -> None:
        """Begin on one list, where the list is the owner's and its filters let the row in."""
        if watcher.owner == self._owner and watcher.board.filters.show_submit(self._row):
            self._shown.append((watcher, watcher.board.begin(self._row)))
            watcher.on_change()

    def forget(self, watcher: _Watcher) -> None:
        """Leave a list that was closed."""
        self._shown = [pair for pair in self._shown if pair[0] is not watcher]

    def confirm(self, run: RunOut) -> None:
        """The server accepted it: each list shows the real row, once."""
        self._end(lambda watcher, mutation: watcher.board.confirm(mutation, run))

    def restore(self) -> None:
        """The server refused or did not answer: the row goes, everything else stays."""
        self._end(lambda _watcher, mutation: mutation.restore())

    def _end(self, settle: Callable[[_Watcher, OptimisticMutation[BoardRow]], None]) -> None:
        self._submits.close(self)
        shown, self._shown = self._shown, []
        for watcher, mutation in shown:
            settle(watcher, mutation)
            watcher.on_change()
