"""The runs chosen in a list for a bulk action, and what refused it for some of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import RunItem

# requests of one action under way at once
AT_ONCE = 4


class ChosenRuns:
    """The chosen runs of one list; `refused` holds a sentence for each run that was refused.

    A run stays chosen until an action has succeeded for it, so that a refused one can be tried
    again.
    """

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self.refused: dict[str, str] = {}
        # the word of the action under way, such as `Stopping…`
        self.busy = ""

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def choose(self, run_id: str, *, is_chosen: bool) -> None:
        """Choose a run, or no longer."""
        if is_chosen:
            self._ids[run_id] = None
        else:
            self._ids.pop(run_id, None)
            self.refused.pop(run_id, None)

    def choose_all(self, run_ids: Iterable[str]) -> None:
        """Choose these runs as well."""
        self._ids |= dict.fromkeys(run_ids)

    def clear(self) -> None:
        """Choose none, and forget the refusals."""
        self._ids.clear()
        self.refused.clear()

    def keep(self, run_ids: Iterable[str]) -> None:
        """Drop the chosen runs that the list no longer shows."""
        shown = set(run_ids)
        for gone in [one for one in self._ids if one not in shown]:
            self.choose(gone, is_chosen=False)

    def among(self, rows: Iterable[object]) -> list[RunItem]:
        """Return the chosen runs of these rows, top first."""
        return [row for row in rows if isinstance(row, RunItem) and row.id in self._ids]

    async def act(
        self,
        runs: Sequence[RunItem],
        one: Callable[[RunItem], Awaitable[object]],
        *,
        word: str,
        show: Callable[[], object],
    ) -> int:
        """Do something to each of these runs; return for how many it succeeded.

        Does nothing while another action is under way. A refusal concerns its run only: the others
        go on. `show()` is called after each.
        """
        if self.busy:
            return 0
        self.busy, self.refused = word, {}
        show()
        turn = asyncio.Semaphore(AT_ONCE)
        try:
            ends = await asyncio.gather(*(self._each(run, one, turn, show) for run in runs))
        finally:
            self.busy = ""
            show()
        return sum(ends)

    async def _each(
        self,
        run: RunItem,
        one: Callable[[RunItem], Awaitable[object]],
        turn: asyncio.Semaphore,
        show: Callable[[], object],
    ) -> bool:
        async with turn:
            try:
                await one(run)
            except ApiProblem as problem:
                self.refused[run.id] = problem.detail
            except NoAnswer as silence:
                self.refused[run.id] = str(silence)
            else:
                self.choose(run.id, is_chosen=False)
                return True
            finally:
                show()
        return False
