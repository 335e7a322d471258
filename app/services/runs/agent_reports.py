"""Progress, usage and final messages of agents, read from their logs as these grow."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

import structlog

from app.domain.agents.liveness import Pulse, Vitals
from app.domain.agents.reports import Report, Tally, Usage, added
from app.domain.words import Status
from app.records.feed import RunReported
from app.records.tables import Run, RunEvent
from app.services.context import Context
from app.services.ports import LogView, OutputReader

log = structlog.get_logger()
CHUNK_BYTES = 256 * 1024
# most bytes read in one go, so that other runs get a turn
LOOK_BYTES = 4 * 1024 * 1024
# at most one usage update of the run's row in this time while the agent works
ROW_SECONDS = 5.0
REMEMBERED = 1024
_MEMBERS = frozenset(one.name for one in fields(Report))


@dataclass
class Reading:
    """Progress of reading one run's log; `position` is a log offset (dropped bytes count).

    `before` are the totals of the agent's earlier turns.
    """

    run: Run
    reader: OutputReader
    pulse: Pulse
    tally: Tally = field(default_factory=Tally)
    before: Report | None = None
    position: int = 0
    written: Usage = field(default_factory=Usage)
    written_at: float = 0.0
    # lower bounds known from parts of the log that have since been dropped
    floor: dict[str, Any] = field(default_factory=dict[str, Any])
    is_whole: bool = False
    # a caller got no vitals; re-check the run once the log is read to its end
    is_awaited: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def report(self) -> Report:
        """The report so far, never below what was known before."""
        told = self.tally.report
        if self.before is not None:
            told = added(self.before, told)
        known = told.usage | self.floor
        least = {name: max(told.usage.get(name, 0), known[name]) for name in known}
        return replace(told, **least)


class Reporter:
    """Reads growing logs on workers; rereading from the start gives the same sums."""

    def __init__(
        self,
        context: Context,
    ) -> None:
        self._runs = context.ledgers.runs
        self._agents = context.adapters.agents
        self._engine = context.adapters.engine
        self._workers = context.workers
        self._publish = context.feed.publish
        self._clock = context.clock
        self._inspect_run = partial(context.workers.submit, context.inspect_run)
        self._guard = threading.Lock()
        self._wanted: set[str] = set()
        self._readings: dict[str, Reading] = {}
        self._concluded: OrderedDict[str, None] = OrderedDict()
        self._quiet: set[str] = set()

    # --- while it works ------------------------------------------------------------------------

    def schedule(self, run_id: str) -> None:
        """Schedule reading a log that has grown, once for any number of notifications."""
        with self._guard:
            is_read = run_id not in self._concluded
            if run_id in self._wanted or (not is_read and run_id not in self._quiet):
                return
            if is_read:
                self._wanted.add(run_id)
        if not is_read:
            # no reader knows this agent's output format: any output may matter
            self._inspect_run(run_id)
            return
        self._workers.submit(self._follow, run_id)

    def of(self, run: Run) -> Report:
        """Return what the agent of a run has reported so far."""
        reading = self._readings.get(run.id)
        if reading is not None:
            return reading.report
        for event in reversed(self._runs.timeline(run.id)):
            if is_report(event):
                return Report(**{name: event.data[name] for name in _MEMBERS & set(event.data)})
        return Report(
            input_tokens=run.input_tokens, output_tokens=run.output_tokens, cost_usd=run.cost_usd
        )

    def vitals(self, run: Run) -> Vitals | None:
        """Return the vitals of a live run's agent, None while part of its log is unread."""
        reading = self._reading_of(run)
        if reading is None:
            began = run.started_at or self._clock()
            written = self._engine.log(run.id).written_at
            at = max(began, min(written, self._clock())) if written else began
            return Vitals(at, at)
        if not reading.lock.acquire(blocking=False):
            return None
        try:
            vitals = reading.pulse.vitals
            is_read = self._engine.log(run.id).size <= reading.position
            reading.is_awaited = not (is_read or reading.is_whole)
        finally:
            reading.lock.release()
        if not is_read:
            self.schedule(run.id)
            return None
        return vitals

    def record_quiet(self, run_id: str, *, is_quiet: bool) -> None:
        """Set whether the next progress of a run's agent triggers an immediate check of the run."""
        if is_quiet:
            self._quiet.add(run_id)
        else:
            self._quiet.discard(run_id)

    def begin_turn(self, run: Run) -> None:
        """Read the further turn of a run's agent, whose earlier turns are concluded."""
        with self._guard:
            self._concluded.pop(run.id, None)
            self._readings.pop(run.id, None)

    def continue_command(self, run: Run, report: Report) -> str:
        """Return the command that continues the agent's session, empty if it has none."""
        session = report.session_id
        return self._agents.continue_command(run.agent, session) if session else ""

    def _follow(self, run_id: str) -> None:
        run = self._runs.find(run_id)
        reading = self._reading_of(run) if run else None
        if reading is None:
            self._wanted.discard(run_id)
            return
        with reading.lock:
            self._wanted.discard(run_id)
            if run_id in self._concluded:
                return
            before, vitals = reading.report, reading.pulse.vitals
            is_more = self._read(reading, LOOK_BYTES)
            self._publish_change(reading, before)
            is_news = not is_more and self._is_news(reading, vitals)
        if is_more:
            self.schedule(run_id)
        elif is_news:
            self._inspect_run(run_id)

    def _is_news(self, reading: Reading, before: Vitals) -> bool:
        """Return True if checking the run again could now give another result."""
        was_awaited, reading.is_awaited = reading.is_awaited, False
        vitals = reading.pulse.vitals
        continues = vitals.progress_at != before.progress_at
        has_said = vitals.word.is_final and not before.word.is_final
        return was_awaited or has_said or (continues and reading.run.id in self._quiet)

    def _reading_of(self, run: Run) -> Reading | None:
        with self._guard:
            if run.id in self._concluded or run.status not in (Status.STARTING, Status.RUNNING):
                return self._readings.get(run.id)
            return self._readings.get(run.id) or self._begin(run)

    def _begin(self, run: Run) -> Reading | None:
        reader = self._agents.reader(run.agent)
        if reader is None:
            self._remember(run.id)  # do not look up its reader at every notification
            return None
        turn = (run.checks or {}).get("turn") if run.turn > 1 else None
        began = datetime.fromisoformat(turn["at"]) if turn else run.started_at or self._clock()
        reading = self._readings[run.id] = Reading(run, reader, Pulse(began))
        if turn:
            reading.before, reading.position = Report(**turn["report"]), turn["from"]
        if self._engine.log(run.id).is_cut:
            known = {name: getattr(run, name) for name in Usage.__annotations__}
            reading.floor = {name: value for name, value in known.items() if value is not None}
        return reading

    def _read(self, reading: Reading, most: int | None) -> bool:
        """Read up to `most` more bytes; return False once everything is read."""
        view = self._engine.log(reading.run.id)
        until = None if most is None else reading.position + most
        while until is None or reading.position < until:
            piece = view.read(reading.position, CHUNK_BYTES)
            if not piece.content:
                reading.is_whole = True
                return False
            reading.position = piece.next_offset
            # one time for a whole chunk errs toward too recent, so no agent is ended too early
            at = self._written_at(view)
            reading.pulse.note_output(at)
            for event in reading.reader.feed(piece.content):
                reading.tally.add(event)
                reading.pulse.take(event, reading.tally.last_word, at)
        return True

    def _written_at(self, view: LogView) -> datetime:
        now = self._clock()
        return min(view.written_at or now, now)

    def _publish_change(self, reading: Reading, before: Report) -> None:
        now, report = monotonic(), reading.report
        if report.usage != reading.written and now - reading.written_at >= ROW_SECONDS:
            self._runs.update_usage(reading.run.id, **report.usage)
            reading.written, reading.written_at = report.usage, now
        if report != before:
            self._publish([RunReported(reading.run.id)])

    # --- its end -------------------------------------------------------------------------------

    def conclude(self, run: Run) -> None:
        """Write the final sums of an ended agent, once; the caller holds the run's lock.

        Errors are logged and never keep the run from ending.
        """
        if run.id in self._concluded:
            return
        if run.started_at is None:
            self._readings.pop(run.id, None)
            return
        try:
            self._conclude(run)
        except Exception:
            log.exception("agent_report_not_read", run_id=run.id)

    def conclude_if_gone(self, run: Run) -> None:
        """Do the same for a run ended from outside, but only once its processes are gone."""
        if run.id in self._concluded:
            return
        if run.started_at is None or self._engine.inspect(run.id, run.supervisor).tree_gone:
            self.conclude(run)

    def _conclude(self, run: Run) -> None:
        with self._guard:
            reading = self._readings.get(run.id)
            if reading is None and not self._is_reported(run):
                reading = self._begin(run)
        if reading is not None:
            with reading.lock:
                self._read(reading, None)
                for event in reading.reader.finish():
                    reading.tally.add(event)
                self._write_last(reading)
        with self._guard:
            self._readings.pop(run.id, None)
            self._quiet.discard(run.id)
            self._remember(run.id)

    def _is_reported(self, run: Run) -> bool:
        """Return True if the timeline has the totals of the agent's newest turn."""
        for event in reversed(self._runs.timeline(run.id)):
            if is_report(event):
                return True
            if event.kind == "followed_up":
                return False
        return False

    def _remember(self, run_id: str) -> None:
        self._concluded[run_id] = None
        while len(self._concluded) > REMEMBERED:
            self._concluded.popitem(last=False)

    def _write_last(self, reading: Reading) -> None:
        run, report = reading.run, reading.report
        if report == Report():
            return
        if report.usage:
            self._runs.update_usage(run.id, **report.usage)
        sentence = report.sentence or "reported its last words"
        self._runs.append_event_once(
            run.id, self._clock(), "progress", sentence, **report.as_data()
        )
        self._publish([RunReported(run.id)])


def is_report(event: RunEvent) -> bool:
    """Return True for the timeline event that holds an agent's sums."""
    return event.kind == "progress" and "tools_used" in event.data
