"""Submits without a response yet, shown on all runs lists that the same person has open."""

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
    """The pending submits. `owner` identifies a person's browser; only its lists show them."""

    def __init__(self) -> None:
        self._watchers: list[_Watcher] = []
        self._open: list[Submit] = []

    def watch(
        self, owner: str, board: RunBoard, on_change: Callable[[], None]
    ) -> Callable[[], None]:
        """Show the owner's submits on `board`; return the function that stops this."""
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
        """Show the row on top of every list of its owner."""
        submit = Submit(self, owner, row)
        self._open.append(submit)
        for watcher in list(self._watchers):
            submit.show_on(watcher)
        return submit

    def close(self, submit: Submit) -> None:
        """Remove a submit that has its response."""
        if submit in self._open:
            self._open.remove(submit)


class Submit:
    """One submit on all lists of its owner; ends once, by `confirm` or `restore`."""

    def __init__(self, submits: Submits, owner: str, row: Submitting) -> None:
        self._submits = submits
        self._owner = owner
        self._row = row
        self._shown: list[tuple[_Watcher, OptimisticMutation[BoardRow]]] = []

    def show_on(self, watcher: _Watcher) -> None:
        """Show the submit on one list, if the list is the owner's and its filters match."""
        if watcher.owner == self._owner and watcher.board.filters.show_submit(self._row):
            self._shown.append((watcher, watcher.board.begin(self._row)))
            watcher.on_change()

    def forget(self, watcher: _Watcher) -> None:
        """Remove a list that was closed."""
        self._shown = [pair for pair in self._shown if pair[0] is not watcher]

    def confirm(self, run: RunOut) -> None:
        """Replace the pending row by the accepted run on each list, once."""
        self._end(lambda watcher, mutation: watcher.board.confirm(mutation, run))

    def restore(self) -> None:
        """Remove the pending row after a refusal or a missing response."""
        self._end(lambda _watcher, mutation: mutation.restore())

    def _end(self, settle: Callable[[_Watcher, OptimisticMutation[BoardRow]], None]) -> None:
        self._submits.close(self)
        shown, self._shown = self._shown, []
        for watcher, mutation in shown:
            settle(watcher, mutation)
            watcher.on_change()
