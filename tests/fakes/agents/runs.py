"""Helpers to run scripted agents: commands, orders, engines and a recorder of their events."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from app.adapters.engine.local import LocalEngine
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.domain.sandbox.levels import Means, SandboxLevel
from app.services.ports import Engine, Kept, Launched, LaunchOrder, Observation, ProcessMark, ended

AGENTS = Path(__file__).parent
RUN = "run_c0001"
PYTHON = (sys.executable, "-I", "-S")
SECONDS = 30.0


def script(name: str, *args: object) -> list[str]:
    """Return the argv of a scripted agent."""
    return [*PYTHON, str(AGENTS / f"{name}.py"), *map(str, args)]


def shell(text: str) -> list[str]:
    """Return the argv of an agent that is a line of shell."""
    return ["/bin/sh", "-c", text]


def order(run_id: str, workdir: Path, argv: list[str], **other: Any) -> LaunchOrder:
    """Return a launch order with short times."""
    settings: dict[str, Any] = {
        "env": {"PATH": "/usr/bin:/bin"},
        "budget_seconds": 60.0,
        "grace_seconds": 0.3,
        "log_cap_bytes": 1_000_000,
        "prompt": "Do it.",
    }
    return LaunchOrder(run_id=run_id, argv=argv, workdir=workdir, **{**settings, **other})


def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait until `condition` holds, `seconds` at most; return its value."""
    began = monotonic()
    pause = threading.Event()
    while not (value := condition()):
        waited = monotonic() - began
        assert waited < seconds, f"not within {seconds} s: {what}"
        # what takes long is looked at less often: a look may cost as much as the work itself
        pause.wait(min(max(0.005, waited / 20), 0.1))
    return value


def carrying(word: str) -> list[int]:
    """Return the pids of this machine's live processes with `word` in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            has_word = word.encode() in (place / "cmdline").read_bytes()
        except OSError:
            continue
        if has_word and is_living(int(place.name)):
            found.append(int(place.name))
    return found


def is_living(pid: int) -> bool:
    """Return False if the process is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


class KeepingEngine(LocalEngine):
    """An engine that keeps its callers' facts of a run in files, beside the folder of its runs.

    With a `level` it launches every order at that level, whatever the order says.
    """

    def __init__(self, root: Path, *, level: SandboxLevel | None = None, **other: Any) -> None:
        super().__init__(root, **other)
        self._level = level
        self._rows = root.with_name(f"{root.name}-rows")
        self._rows.mkdir(exist_ok=True)

    def kept(self, run_id: str) -> Kept | None:
        """Return the kept facts of a run, or None."""
        row = self._rows / run_id
        return json.loads(row.read_text()) if row.exists() else None

    def keep(self, run_id: str, kept: Kept) -> None:
        """Keep a run's facts, as its row would."""
        (self._rows / run_id).write_text(json.dumps(kept))

    def launch(self, order: LaunchOrder, keep: Callable[[Kept], None]) -> Launched:
        if self._level is not None:
            policy = replace(order.policy, level=self._level, toolchains=(str(AGENTS), sys.prefix))
            order = replace(order, policy=policy)
        return super().launch(order, keep)

    def start(self, order: LaunchOrder) -> ProcessMark:
        """Launch a run and keep its facts; return the supervisor's mark."""
        launched = self.launch(order, partial(self.keep, order.run_id))
        self.keep(order.run_id, launched.kept)
        return launched.mark

    def see(self, run_id: str) -> Observation:
        """Inspect a run with its kept facts."""
        return self.inspect(run_id, self.kept(run_id))

    def end(self, run_id: str) -> bool:
        """Kill a run with its kept facts, and keep the proof; True once it is proved."""
        kept = self.kept(run_id)
        is_proved = self.kill(run_id, kept)
        if is_proved:
            self.keep(run_id, ended(kept))
        return is_proved

    def follow(self, run_id: str) -> None:
        """Watch a run with its kept facts."""
        self.watch(run_id, self.kept(run_id))


@contextmanager
def local_engine(
    root: Path,
    instance: str,
    level: SandboxLevel = SandboxLevel.NONE,
    means: Means | None = None,
) -> Iterator[KeepingEngine]:
    """Run an engine whose runs end with the test."""
    by = [means] if means else list(Means)
    sandbox = MachineSandbox(OwnPlaces((root,)), os.environ, by)
    engine = KeepingEngine(root, level=level, instance=instance, sandbox=sandbox)
    yield engine
    for run_id in engine.owned():
        engine.end(run_id)
    assert engine.owned() == set()
    engine.close()


class Ears:
    """Records an engine's events, and waits for them."""

    def __init__(self, engine: Engine, kept: Callable[[str], Kept | None]) -> None:
        self._engine = engine
        self._kept = kept
        self._heard: list[tuple[str, str]] = []
        self._news = threading.Condition()
        engine.listen(self._hear)

    def of(self, run_id: str) -> list[str]:
        """Return the events of a run, in order."""
        with self._news:
            return [what for who, what in self._heard if who == run_id]

    def wait_for(self, run_id: str, what: str) -> None:
        """Wait for an event of a run."""
        with self._news:
            told = self._news.wait_for(lambda: (run_id, what) in self._heard, SECONDS)
        assert told, f"{what} of {run_id} was not told; {self._heard}"

    def wait_for_text(self, run_id: str, text: bytes) -> None:
        """Watch the run until its log holds `text`; the log is read on every event."""
        self._engine.watch(run_id, self._kept(run_id))

        def is_there() -> bool:
            return text in self._engine.log(run_id).read().content

        with self._news:
            assert self._news.wait_for(is_there, SECONDS), f"{text!r} is not in the log"

    def _hear(self, run_id: str, what: str) -> None:
        with self._news:
            self._heard.append((run_id, what))
            self._news.notify_all()


def run_to_end(
    engine: KeepingEngine, ears: Ears, workdir: Path, argv: list[str], **other: Any
) -> Observation:
    """Run an agent until nothing of it is left; return how the engine sees it then."""
    engine.start(order(RUN, workdir, argv, **other))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    return engine.see(RUN)
