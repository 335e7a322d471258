"""Agents' output as the events of a run's report: bytes in pieces of any size in, events out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from app.adapters.agents.formats import JSON_FORMATS, TEXT_FORMATS
from app.adapters.agents.formats.events import (
    Activity,
    AnswerUsage,
    Ended,
    Event,
    FileChanged,
    Final,
    Message,
    Problem,
    SessionName,
    StepUsage,
    ToolBegun,
    ToolCall,
    ToolEnded,
    Usage,
)
from app.adapters.agents.formats.failures import Failures, hide_keys
from app.adapters.agents.formats.fields import (
    MAX_EVIDENCE_CHARS,
    MAX_MESSAGE_CHARS,
    MAX_NAME_CHARS,
    MAX_PATH_CHARS,
    cost_of,
    part_of,
    read_object,
    text_of,
)
from app.domain.agents.final_output import Finished, LimitReached, Progressed, Retrying, Troubled
from app.domain.agents.reports import FileEdited, ReportEvent, Said, SessionNamed, ToolUsed, Used

# longer lines hold a tool's whole output, never anything that is counted here
MAX_LINE_BYTES = 4 * 1024 * 1024
_MAX_TEXT_CHARS = 4_000
_MAX_OPEN_TOOLS = 64
# how many answers may still grow: those of subagents come in between
_OPEN_ANSWERS = 64
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", re.ASCII)
# tools that change a file, by the names of all agents
_EDITORS = frozenset(
    {
        *("Edit", "MultiEdit", "Write", "NotebookEdit"),
        *("edit", "write", "patch", "write_file", "replace", "edit_file", "create_file"),
    }
)
_PATHS = ("file_path", "filePath", "notebook_path", "absolute_path", "path")


class StreamReader:
    """Reads one agent's output in pieces of any size; no content makes it raise."""

    def __init__(self, name: str, limit_messages: Sequence[str]) -> None:
        self._lines = _Lines()
        self._failures = Failures(limit_messages)
        self._parse = JSON_FORMATS.get(name)
        self._reading = _Reading(self._failures)
        self._text = None if self._parse else TEXT_FORMATS[name](self._failures)

    def feed(self, data: bytes) -> list[ReportEvent]:
        """Return the events of the lines that end within `data`."""
        lines = self._lines.split(data)
        return [_without_keys(event) for line in lines for event in self._read(line)]

    def finish(self) -> list[ReportEvent]:
        """Return the events of an unfinished last line."""
        lines = self._lines.rest()
        return [_without_keys(event) for line in lines for event in self._read(line)]

    def _read(self, line: bytes) -> Iterator[ReportEvent]:
        text = line.decode("utf-8", "replace").strip()
        if self._text is not None:
            yield from self._text.read(text_of(text, _MAX_TEXT_CHARS))
        elif self._parse is not None and (data := read_object(text)) is not None:
            for event in self._parse(data):
                yield from self._reading.read(event)
        elif not text.startswith("{"):
            # a line that is no event comes from the program itself; half an event does not
            yield from self._failures.reported_in(text_of(text, _MAX_TEXT_CHARS))


def _without_keys(event: ReportEvent) -> ReportEvent:
    if isinstance(event, Finished | LimitReached | Troubled):
        return replace(event, evidence=hide_keys(event.evidence))
    return event


class _Reading:
    """Turns the events of any format into those of a report; adds up what formats report apart."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._tools = _OpenTools()
        self._usage = _UsageSum()
        self._session: object = None
        self._answer = ""

    def read(self, event: Event) -> Iterator[ReportEvent]:
        match event:
            case SessionName(name):
                yield from self._name(name)
            case Message():
                yield from self._message(event)
            case ToolCall(name, given):
                self._answer = ""
                yield from _called(name, given)
            case Activity() | ToolBegun() | ToolEnded():
                yield from self._tools.read(event)
            case FileChanged(path) if changed := text_of(path, MAX_PATH_CHARS):
                yield FileEdited(changed)
            case Problem(words):
                yield from self._failures.reported_in(words)
            case AnswerUsage() | StepUsage():
                yield from self._usage.read(event)
            case Ended():
                yield from self._end(event)
            case Retrying() | LimitReached() | Troubled():
                yield event
            case _:
                pass

    def _name(self, name: object) -> Iterator[ReportEvent]:
        """Yield a session that is new, if its name is safe in a command line."""
        is_new, self._session = name != self._session, name
        if is_new and isinstance(name, str) and _SESSION.fullmatch(name):
            yield SessionNamed(name)

    def _message(self, event: Message) -> Iterator[ReportEvent]:
        """Yield a message that is final now; keep one that is final only at the agent's end."""
        if event.final is Final.NOW:
            yield from _said(event.text)
        elif event.final is Final.AT_END and isinstance(event.text, str):
            before = self._answer if event.is_piece else ""
            self._answer = (before + event.text[:MAX_MESSAGE_CHARS])[:MAX_MESSAGE_CHARS]

    def _end(self, event: Ended) -> Iterator[ReportEvent]:
        if event.usage is not None and (used := self._usage.total(event.usage)):
            yield used
        yield from _said(text_of(event.problem) or event.answer or self._answer)
        evidence = text_of(event.problem, MAX_EVIDENCE_CHARS)
        evidence = evidence or text_of(event.cause, MAX_EVIDENCE_CHARS)
        if event.failure is not None:
            yield Troubled(event.failure, evidence)
        yield from self._failures.reported_in(event.problem)
        yield Finished(event.is_ok, evidence)


def _said(value: Any) -> Iterator[ReportEvent]:
    if text := text_of(value):
        yield Said(text)


def _called(name: Any, given: Any) -> Iterator[ReportEvent]:
    """Yield a tool call, and the file that it edits."""
    tool = text_of(name, MAX_NAME_CHARS)
    if not tool:
        return
    yield ToolUsed(tool)
    if tool in _EDITORS:
        paths = (text_of(part_of(given).get(key), MAX_PATH_CHARS) for key in _PATHS)
        if path := next(filter(None, paths), ""):
            yield FileEdited(path)


class _OpenTools:
    """The running tools, by the ids of their calls."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    def read(self, event: Activity | ToolBegun | ToolEnded) -> Iterator[Progressed]:
        """Record a tool's beginning or end; at any activity yield the tool that began last."""
        match event:
            case ToolBegun(call, name):
                self._begin(call, name)
            case ToolEnded(call):
                self._open.pop(text_of(call, MAX_NAME_CHARS), None)
            case Activity():
                yield Progressed(next(reversed(self._open.values()), ""))

    def _begin(self, call: Any, name: Any) -> None:
        # a call without an id could never be ended
        if key := text_of(call, MAX_NAME_CHARS):
            self._open[key] = text_of(name, MAX_NAME_CHARS)
            if len(self._open) > _MAX_OPEN_TOOLS:
                del self._open[next(iter(self._open))]


class _UsageSum:
    """Adds up the usage of answers or of steps, until a total replaces it."""

    def __init__(self) -> None:
        self._answers: dict[str, tuple[int, int]] = {}
        self._before = (0, 0)
        self._cost: float | None = None

    def read(self, event: AnswerUsage | StepUsage) -> Iterator[Used]:
        """Yield the new sum; an answer that reports no tokens does not change it."""
        match event:
            case AnswerUsage(answer, usage) if usage.has_tokens:
                yield self._of_answer(text_of(answer, 100), usage)
            case StepUsage(usage):
                yield self._with_step(usage)
            case AnswerUsage():
                pass

    def _of_answer(self, answer: str, usage: Usage) -> Used:
        """Return the sum with this answer's tokens so far, which come in several events."""
        self._answers.pop(answer, None)
        self._answers[answer] = (usage.input_tokens or 0, usage.output_tokens or 0)
        if not answer or len(self._answers) > _OPEN_ANSWERS:
            self._add(self._answers.pop(answer and next(iter(self._answers))))
        return Used(*self._sums())

    def _with_step(self, usage: Usage) -> Used:
        """Return the sum with one more step."""
        self._add((usage.input_tokens or 0, usage.output_tokens or 0))
        if usage.cost_usd is not None:
            self._cost = cost_of(round((self._cost or 0.0) + usage.cost_usd, 6))
        return Used(*self._before, self._cost)

    def total(self, usage: Usage) -> Used | None:
        """Return the total that the agent reports; None if it reports none."""
        if usage.has_tokens:
            self._before = (usage.input_tokens or 0, usage.output_tokens or 0)
            self._answers = {}
            return Used(usage.input_tokens, usage.output_tokens, usage.cost_usd)
        return None if usage.cost_usd is None else Used(*self._sums(), usage.cost_usd)

    def _add(self, tokens: tuple[int, int]) -> None:
        self._before = (self._before[0] + tokens[0], self._before[1] + tokens[1])

    def _sums(self) -> tuple[int, int]:
        counted = [self._before, *self._answers.values()]
        return sum(one[0] for one in counted), sum(one[1] for one in counted)


class _Lines:
    """Splits bytes into lines in bounded memory; skips each line that is too long."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._is_too_long = False

    def split(self, data: bytes) -> Iterator[bytes]:
        """Yield every line that ends within `data`, without its newline."""
        begin = 0
        while (end := data.find(b"\n", begin)) >= 0:
            self._hold(data[begin:end])
            yield from self.rest()
            begin = end + 1
        self._hold(data[begin:])

    def rest(self) -> Iterator[bytes]:
        """Yield the unfinished line, if there is one."""
        if self._held:
            yield bytes(self._held)
        self._held.clear()
        self._is_too_long = False

    def _hold(self, part: bytes) -> None:
        if self._is_too_long or len(self._held) + len(part) > MAX_LINE_BYTES:
            self._is_too_long = True
            self._held.clear()
        else:
            self._held += part
