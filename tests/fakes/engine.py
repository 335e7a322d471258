"""An in-memory fake of the engine: processes and their supervisors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from app.domain.end_causes import ExitReason
from app.services.ports import (
    Kept,
    Launched,
    LaunchFailed,
    LaunchOrder,
    LogPiece,
    Observation,
    ProcessMark,
    Refusal,
)
from tests.fakes.world import BOOT, Process, World


class FakeLog:
    """A log that holds the output a test gave the agent."""

    is_cut = False
    is_replaced = False
    written_at: datetime | None = None

    def __init__(self, words: bytes) -> None:
        self._words = words

    @property
    def size(self) -> int:
        return len(self._words)

    def read(self, offset: int = 0, limit: int | None = None) -> LogPiece:
        end = self.size if limit is None else offset + limit
        piece = self._words[offset:end]
        return LogPiece(piece, offset + len(piece))


class FakeEngine:
    """Processes in memory; they end only when a test ends them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def launch(self, order: LaunchOrder, keep: Callable[[Kept], None]) -> Launched:
        if self._world.launch_problem:
            raise LaunchFailed(self._world.launch_problem)
        with self._world.lock:
            if order.run_id in self._world.processes:
                raise LaunchFailed("this run has been started before")
            pid = 1000 + len(self._world.processes)
        keep({"pid": pid})
        with self._world.lock:
            self._world.processes[order.run_id] = Process(pid)
            self._world.launches.append(order.run_id)
            self._world.orders[order.run_id] = order
        return Launched(self._mark(pid), {"pid": pid})

    def prompt_file(self, run_id: str, turn: int = 1) -> Path:
        return Path("/nowhere") / run_id / "prompt"

    def inspect(self, run_id: str, kept: Kept | None) -> Observation:
        process = self._world.processes.get(run_id)
        if self._world.is_silent:
            return Observation(None, None, None, tree_gone=False)
        if process is None:
            return Observation(False, None, None, tree_gone=True, is_untouched=True)
        gone = not process.is_alive and process.is_proved_gone
        return Observation(process.is_alive, process.exit, self._mark(process.pid), tree_gone=gone)

    def kill(self, run_id: str, kept: Kept | None) -> bool:
        process = self._world.processes.get(run_id)
        if process is None:
            return True
        if self._world.is_silent or not process.can_be_killed:
            return False
        if not process.is_alive:
            return process.is_proved_gone
        self._world.end(run_id, None, signal=15, reason=ExitReason.STOPPED)
        return True

    def log(self, run_id: str) -> FakeLog:
        return FakeLog(self._world.words.get(run_id, b""))

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
    def _mark(pid: int) -> ProcessMark:
        return ProcessMark(pid, pid, BOOT)
