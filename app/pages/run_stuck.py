"""The banner of a run that Runyard cannot continue: why, and a way to try again."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.buttons import button
from app.pages.components.marks import testid
from app.pages.components.markup import clean
from app.pages.components.plain_sight import plain_html
from app.pages.visit import Visit
from app.state.wire import ApiProblem, NoAnswer, RunOut, StuckOut


def stuck_html(stuck: StuckOut) -> str:
    """`Runyard could not continue this run: it failed 5 times (KeyError: 'x'). …`."""
    why = plain_html(stuck.because)
    return (
        f"<span>Runyard could not continue this run: it failed {stuck.tries} times ({why}). "
        "Your work is kept. Check the log, then try again.</span>"
    )


class StuckBanner:
    """A sentence and `Try again`, for as long as the run is left to a person."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._keys: list[str] = []
        self._banner = testid(ui.element("div"), "stuck-banner")
        with self._banner:
            self._why = ui.html("", sanitize=clean)
            self._button = button("Try again", self._try_again, kind="small", mark="try-again")

    def show(self, run: RunOut) -> None:
        """Say what is left to a person of this run; nothing where nothing is."""
        project = self._visit.board.get(run.project_id)
        stuck = [one for one in (project.stuck if project else []) if one.run_id == run.id]
        self._keys = [one.key for one in stuck]
        self._banner.set_visibility(bool(stuck))
        self._banner.classes(replace="banner stop" if stuck else "hidden")
        if stuck:
            self._why.set_content(stuck_html(stuck[0]))

    async def _try_again(self) -> None:
        self._button.set_enabled(False)
        try:
            for key in self._keys:
                await self._visit.api.try_again(key)
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)
        else:
            self._visit.say("It is tried again.")
        finally:
            self._button.set_enabled(True)
