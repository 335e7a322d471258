"""In-memory agents whose account reaches its usage limit, and a clock that passes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from app.domain.words import Depth
from app.records.tables import AccountHold, Project, Run
from app.services.runs.requests import RunRequest
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

SESSION = "5f0c3a66-5f0e-4a55-8d53-0f6f8f2b9a10"
HOUR = timedelta(hours=1)


class Limited:
    """A Runyard over a fake world, with projects that use claude."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.plane = FakePlane(folder, self.world, max_live_runs=10)

    @property
    def now(self) -> datetime:
        """Return the current time of the plane's fixed clock."""
        return self.plane.clock()

    def project(self, **settings: object) -> Project:
        """Add a project that uses claude."""
        return self.plane.add_project(self.world, agent="claude", agent_command=None, **settings)

    def order(self, project: Project, **wishes: object) -> Run:
        """Accept a plain run and launch it if allowed."""
        order = RunRequest(project.id, Depth.QUICK, "auto", **{"task": f"at {self.now}"} | wishes)  # type: ignore[arg-type]
        now = self.plane.clock.advance(1)
        run = self.plane.services.accept.accept(order, self.plane.requester(), now).run
        self.plane.rest()
        return self.run(run.id)

    def run(self, run_id: str) -> Run:
        """Return the run's current row."""
        found = self.plane.ledgers.runs.find(run_id)
        assert found is not None
        return found

    def work(self, run: Run) -> None:
        """Let the agent use a tool, and process its output."""
        content = [{"type": "tool_use", "name": "Bash", "input": {}}]
        self._say(run, {"type": "assistant", "message": {"content": content}})
        self.plane.services.reporter.schedule(run.id)
        self.plane.rest()

    def meet_limit(
        self,
        run: Run,
        resets_in: timedelta | None = HOUR,
        family: str = "",
        *,
        waits: bool = True,
    ) -> Run:
        """Let the agent report its usage limit and end; `waits` for the consequences."""
        self._say(run, {"type": "system", "subtype": "init", "session_id": SESSION})
        window = f"seven_day_{family}" if family else "five_hour"
        info = {"status": "rejected", "rateLimitType": window}
        if resets_in is not None:
            info["resetsAt"] = int((self.now + resets_in).timestamp())  # type: ignore[assignment]
        self._say(run, {"type": "rate_limit_event", "rate_limit_info": info})
        words = {"subtype": "success", "is_error": True, "result": "You've hit your limit"}
        self._say(run, {"type": "result", **words})
        return self.end(run, 1, waits=waits)

    def end(self, run: Run, code: int = 0, *, waits: bool = True) -> Run:
        """End the agent and reap its run."""
        self.world.end(run.id, code)
        assert self.plane.reaper.reap_once(run.id)
        if waits:
            self.plane.rest()
        return self.run(run.id)

    def deliver(self, run: Run) -> Run:
        """Let the agent commit and end with success."""
        self.world.commit(run.id)
        return self.end(run)

    def tick(self, *, after: timedelta | float = 1) -> None:
        """Advance the clock by `after` (seconds if a number) and run one full sweep."""
        seconds = after if isinstance(after, float | int) else after.total_seconds()
        self.plane.clock.advance(seconds)
        self.plane.services.sweep.tick_once(self.now)
        self.plane.rest()

    def hold(self) -> AccountHold:
        """Return the only account hold."""
        (hold,) = self.plane.services.limits.ledger.all()
        return hold

    def pass_limit(self) -> None:
        """Advance the clock to the end of the only hold and sweep once."""
        until = self.hold().until
        assert until is not None
        self.tick(after=until - self.now)

    def heirs(self, run: Run) -> list[Run]:
        """Return the chain of runs that resumed a run, in order."""
        found: list[Run] = []
        while (heir := self.run(run.id).retried_by) is not None:
            run = self.run(heir)
            found.append(run)
        return found

    def lines(self, run: Run) -> list[str]:
        """Return the sentences of a run's timeline."""
        return [event.sentence for event in self.plane.ledgers.runs.timeline(run.id)]

    def _say(self, run: Run, event: dict[str, object]) -> None:
        self.world.say(run.id, json.dumps(event))


def install_claude(folder: Path) -> dict[str, str]:
    """Install a fake agent that is signed in, and return its environment."""
    folder.mkdir(exist_ok=True)
    program = folder / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "ANTHROPIC_API_KEY": "one"}


@contextmanager
def limited(folder: Path) -> Iterator[Limited]:
    """Yield a `Limited` for the length of a test."""
    yard = Limited(folder)
    try:
        yield yard
    finally:
        yard.plane.rest()
        yard.plane.stop()
