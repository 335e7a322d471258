"""The bar of a list of runs while some are chosen: run them again, stop or export them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlencode

from nicegui import ui

from app.api.schemas import RunItem
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.icons import icon
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.run_list.row import may_retry, may_stop
from app.pages.shell.page_session import PageSession
from app.state.runs.chosen_runs import ChosenRuns
from app.state.runs.retries import Retries, Source
from app.state.runs.run_board import RunBoard

NONE_TO_RETRY = "None of these runs can run again: they have not ended."
NONE_TO_CONTINUE = "None of these runs left work to continue."
NONE_TO_STOP = "None of these runs can be stopped: they have ended."


class BulkBar:
    """Actions on the chosen runs; a run that refuses one stays chosen, with the reason in its row.

    `show_all` brings the table in line.
    """

    def __init__(
        self,
        session: PageSession,
        board: RunBoard,
        chosen: ChosenRuns,
        retries: Retries,
        show_all: Callable[[], None],
    ) -> None:
        self._session, self._board, self._chosen = session, board, chosen
        self._retries, self._show_all = retries, show_all

    def draw(self) -> None:
        """Draw the bar, hidden until a run is chosen."""
        with ui.element("div").classes("bulk-bar").props("role=region") as self._bar:
            testid(self._bar, "bulk-bar").props["aria-label"] = "Selected runs"
            self._count = testid(ui.html("", sanitize=clean, tag="span"), "bulk-count")
            self._count.props("role=status")
            offer = self._session.offer_somewhere
            self._again = offer("retry", self._again_button)
            self._continue = offer("retry", self._continue_button)
            self._stop = offer("stop", self._stop_button)
            self._export = ui.html("", sanitize=clean, tag="span")
            clear = button("Clear", self._clear, kind="bare", mark="bulk-clear")
            clear.props("data-key=Escape aria-keyshortcuts=Escape")
            with clear:
                ui.html("Esc", sanitize=clean, tag="kbd").props("aria-hidden=true")

    def _again_button(self) -> ui.button:
        made = button("", self._run_again, mark="bulk-retry")
        with made:
            ui.html(f"{icon('rotate-cw')} Run again", sanitize=clean, tag="span")
        return made

    def _continue_button(self) -> ui.button:
        return button("Continue on branch", self._continue_all, mark="bulk-continue")

    def _stop_button(self) -> ConfirmButton:
        return ConfirmButton("Stop", "Stop now?", self._stop_all, kind="danger", mark="bulk-stop")

    def end(self) -> None:
        """Let go of what knows this bar, when its page is closed."""
        vars(self).pop("_stop", None)

    def show(self) -> None:
        """Show how many runs are chosen, and what can be done with them."""
        runs, chosen = self._runs(), self._chosen
        self._bar.set_visibility(bool(runs))
        if not runs:
            self._stop.disarm()
            return
        refused = f" · {len(chosen.refused)} refused" if chosen.refused else ""
        self._count.set_content(text(chosen.busy or f"{len(runs):,} selected{refused}"))
        _offer(self._again, any(may_retry(run, self._session) for run in runs))
        _offer(self._continue, any(self._may_continue(run) for run in runs))
        _offer(self._stop.element, any(may_stop(run, self._session) for run in runs))
        href = f"/api/v1/runs/export?{urlencode([('run_id', run.id) for run in runs])}"
        self._export.set_content(
            f'<a class="btn" href="{text(href)}" download="runs.zip" data-testid="bulk-export"'
            f' title="One zip file with a folder for each run">Export</a>'
        )

    def _runs(self) -> list[RunItem]:
        return self._chosen.among(self._board.rows())

    def _may_continue(self, run: RunItem) -> bool:
        return run.parked and self._session.may("retry", run.project_id)

    async def _run_again(self) -> None:
        runs = self._runs()
        if not any(may_retry(run, self._session) for run in runs):
            self._session.notify(NONE_TO_RETRY)
            return

        async def again(run: RunItem) -> None:
            # what an earlier try has kept is set aside, not lost
            await self._press(run, "fresh" if run.parked else None)

        await self._act(runs, again, word="Retrying…", done="run again")

    async def _continue_all(self) -> None:
        runs = self._runs()
        if not any(self._may_continue(run) for run in runs):
            self._session.notify(NONE_TO_CONTINUE)
            return
        on_branch = partial(self._press, source="parked")
        await self._act(runs, on_branch, word="Retrying…", done="continue on their branches")

    async def _press(self, run: RunItem, source: Source | None) -> None:
        await self._retries.press(run, source, show=self._show_all)

    async def _stop_all(self) -> None:
        runs, api = self._runs(), self._session.api
        if not any(may_stop(run, self._session) for run in runs):
            self._session.notify(NONE_TO_STOP)
            return

        async def stop(run: RunItem) -> None:
            ask = partial(api.stop, run.id, "stopped from the runs list")
            await self._board.stop(run.id, ask, self._show_all)

        await self._act(runs, stop, word="Stopping…", done="stopped")

    async def _act(
        self,
        runs: list[RunItem],
        one: Callable[[RunItem], Awaitable[object]],
        *,
        word: str,
        done: str,
    ) -> None:
        count = await self._chosen.act(runs, one, word=word, show=self._show_all)
        refused = len(self._chosen.refused)
        words = [f"{count:,} {done}"] if count else []
        words += [f"{refused:,} refused: the reason is in its row"] if refused else []
        if words and not self._session.client.is_deleted:
            with self._session.client:
                self._session.notify(f"{', '.join(words)}.")

    def _clear(self) -> None:
        self._chosen.clear()
        self._show_all()


def _offer(made: ui.button, can: bool) -> None:
    """Show if an action is possible; a press on one that is not says why."""
    made.classes(add="" if can else "off", remove="off" if can else "")
    made.props(f"aria-disabled={'false' if can else 'true'}")
