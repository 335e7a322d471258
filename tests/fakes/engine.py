"""An in-memory fake of the engine: processes and their supervisors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from app.domain.end_causes import ExitReason
from app.domain.words import Cause
from app.services.ports import (
    Kept,
    Launched,
    LaunchFailed,
    LaunchOrder,
    LogPiece,
    NotYet,
    Observation,
    ProcessMark,
    Refusal,
    Step,
    is_ended,
    step_of,
)
from tests.fakes.world import Process, World


class FakeLog:
    """A log that holds the output a test gave the agent."""

    is_cut = False
    is_replaced = False
    written_at: datetime | None = None

    def __init__(self, words: bytes, arrivals: Sequence[tuple[int, datetime]] = ()) -> None:
        self._words, self._arrivals = words, arrivals

    @property
    def size(self) -> int:
        return len(self._words)

    def times(self, positions: Sequence[int]) -> list[datetime | None]:
        found: list[datetime | None] = []
        for position in positions:
            past = [time for begin, time in self._arrivals if begin <= position]
            found.append(past[-1].replace(microsecond=0) if past else None)
        return found

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        offset = offset if offset >= 0 else max(0, self.size + offset)
        end = self.size if limit is None else offset + limit
        piece = self._words[offset:end]
        return LogPiece(piece, offset + len(piece))


class FakeEngine:
    """Processes in memory; they end only when a test ends them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def launch(self, order: LaunchOrder, keep: Callable[[Kept], None]) -> Launched:
        if self._world.launch_problem:
            raise LaunchFailed(self._world.launch_problem, cause=self._world.launch_cause)
        step = order.step
        with self._world.lock:
            self._must_be_new(order.run_id, step)
            pid = 1000 + len(self._world.steps)
        kept = {"pid": pid, "turn": step.turn, "check": step.check}
        keep(kept)
        with self._world.lock:
            begins = self._begin_log(order)
            process = Process(pid, step, begins, self._world.boot)
            self._world.processes[order.run_id] = process
            self._world.steps[order.run_id, step.suffix] = process
            self._world.orders[order.run_id] = order
            self._refuse_missing(order)
            self._world.launches.append(order.run_id)
        return Launched(self._mark(process), kept)

    def _must_be_new(self, run_id: str, step: Step) -> None:
        known = self._world.steps.get((run_id, step.suffix))
        if known is not None and (step.is_first or known.has_begun):
            raise LaunchFailed("This run was started before.")
        if not step.is_first and self._world.not_yet:
            raise NotYet(self._world.not_yet)

    def _begin_log(self, order: LaunchOrder) -> int:
        words = self._world.words.get(order.run_id, b"")
        if label := order.step.label:
            self._world.arrive(order.run_id)
            words += b"\n" * (words[-1:] not in (b"", b"\n")) + f"--- {label} ---\n".encode()
            self._world.words[order.run_id] = words
        return len(words)

    def _refuse_missing(self, order: LaunchOrder) -> None:
        command = order.argv[0]
        if command.startswith("/") and not Path(command).exists():
            self._world.end(order.run_id, None, reason=ExitReason.NOT_SPAWNED)
            sentence = f"The command was not found: {command}."
            raise LaunchFailed(sentence, cause=Cause.AGENT_MISSING)

    def prompt_file(self, run_id: str, turn: int = 1) -> Path:
        return Path("/nowhere") / run_id / ("prompt" if turn == 1 else f"prompt.{turn}")

    def inspect(self, run_id: str, kept: Kept | None) -> Observation:
        step = step_of(kept) or Step()
        process = self._world.steps.get((run_id, step.suffix))
        if self._world.is_silent:
            return Observation(None, None, None, tree_gone=False)
        if process is None:
            return Observation(False, None, None, tree_gone=True, is_untouched=True)
        is_rebooted = process.boot != self._world.boot
        is_gone = is_rebooted or (not process.is_alive and process.is_proved_gone)
        return Observation(
            process.is_alive,
            process.exit,
            self._mark(process) if process.has_begun else None,
            tree_gone=is_gone or is_ended(kept),
            host_restarted=is_rebooted and not is_ended(kept),
            overrun=process.overrun,
            log_from=process.log_from,
        )

    def kill(self, run_id: str, kept: Kept | None) -> bool:
        process = self._world.processes.get(run_id)
        if process is None or is_ended(kept):
            return True
        self._world.while_killing()
        if self._world.is_silent or not process.can_be_killed:
            return False
        if not process.is_alive:
            return process.is_proved_gone
        self._world.end(run_id, None, signal=15, reason=ExitReason.STOPPED)
        return True

    def log(self, run_id: str) -> FakeLog:
        arrivals = self._world.arrivals.get(run_id, [])
        return FakeLog(self._world.words.get(run_id, b""), arrivals)

    def refusals(self, run_id: str) -> list[Refusal]:
        return self._world.refusals.get(run_id, [])

    def watch(self, run_id: str, kept: Kept | None) -> None:
        """Do nothing: tests inspect runs themselves."""

    def unwatch(self, run_id: str) -> None:
        """Do nothing."""

    def listen(self, on_change: Callable[[str, str], None]) -> None:
        """Do nothing: this engine never reports a change."""

    def owned(self) -> set[str]:
        return {run_id for run_id, one in self._world.processes.items() if one.is_alive}

    def close(self) -> None:
        """Do nothing: no thread or process is open."""

    @staticmethod
    def _mark(process: Process) -> ProcessMark:
        return ProcessMark(process.pid, process.pid, process.boot)
