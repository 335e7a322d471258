"""The events in agents' output, the same for every format.

`report.py` makes the events of a run's report of them, `entries.py` the lines that people read;
each ignores those that say nothing to it. Values of type Any are as the agent wrote them: missing,
or of any type and length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from app.domain.agents.final_output import Failure, LimitReached, Retrying, Troubled
from app.domain.agents.reports import EntryKind


@dataclass(frozen=True)
class SessionName:
    """The agent's name of its session."""

    name: Any


@dataclass(frozen=True)
class Activity:
    """The agent is at work."""


class Final(Enum):
    """When a message becomes the final message of the report, unless another follows."""

    NOW = auto()
    # once the agent ends: the pieces since its last tool call, joined
    AT_END = auto()
    # never: the agent's end repeats it
    REPEATED = auto()


@dataclass(frozen=True)
class Message:
    """A message of the model; the next piece continues one with `is_piece`."""

    text: Any
    final: Final = Final.NOW
    is_piece: bool = False


@dataclass(frozen=True)
class Thought:
    """A thought of the model."""

    text: Any


@dataclass(frozen=True)
class ToolCall:
    """A tool call: counted by its name if that is not empty, shown by its label likewise.

    Without a label, the name is shown. `about` is shown if nothing is given.
    """

    name: Any
    given: Any
    label: Any = None
    about: Any = None


@dataclass(frozen=True)
class ToolBegun:
    """A tool begins to run, until the end of the same call."""

    call: Any
    name: Any


@dataclass(frozen=True)
class ToolEnded:
    """A tool no longer runs."""

    call: Any


@dataclass(frozen=True)
class FileChanged:
    """A file that the agent changed; `act` is what it did, as it is shown."""

    path: Any
    act: str


@dataclass(frozen=True)
class Output:
    """The output of a command, of which the last line is shown."""

    text: Any


@dataclass(frozen=True)
class Remark:
    """Texts to show, of minor importance."""

    words: tuple[Any, ...]


@dataclass(frozen=True)
class Failed:
    """Texts to show as a failure; they do not say why the agent cannot work."""

    words: tuple[Any, ...]


@dataclass(frozen=True)
class Problem:
    """A message that may say why the agent cannot work; shown as an entry of a kind, if any."""

    words: Any
    shown: EntryKind | None


@dataclass(frozen=True)
class Usage:
    """Tokens, those from a cache included, and the cost; None: not reported."""

    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None = None

    @property
    def has_tokens(self) -> bool:
        """True if any tokens were reported."""
        return (self.input_tokens, self.output_tokens) != (None, None)


@dataclass(frozen=True)
class AnswerUsage:
    """The usage of one answer so far; later events may raise it."""

    answer: Any
    usage: Usage


@dataclass(frozen=True)
class StepUsage:
    """The usage of one step alone; nothing reports the total."""

    usage: Usage
    is_last: bool


@dataclass(frozen=True)
class Ended:
    """The agent's end: its answer, or the problem, else `cause`, the name of what ended it.

    `usage` is the total since it started; None if its format reports none here.
    """

    is_ok: bool
    answer: Any = None
    problem: Any = None
    cause: Any = None
    failure: Failure | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class Unknown:
    """An event that its format does not know, as it was parsed from JSON."""

    event: dict[str, Any]


Event = (
    SessionName
    | Activity
    | Message
    | Thought
    | ToolCall
    | ToolBegun
    | ToolEnded
    | FileChanged
    | Output
    | Remark
    | Failed
    | Problem
    | AnswerUsage
    | StepUsage
    | Ended
    | Unknown
    | Retrying
    | LimitReached
    | Troubled
)
# yields the events of one line of output; keeps nothing between lines
Parse = Callable[[dict[str, Any]], Iterator[Event]]
