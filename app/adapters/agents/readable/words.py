"""Builders of the entries of every agent; any input yields texts of limited length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.adapters.agents.streams.fields import (
    MAX_NAME_CHARS,
    count_of,
    part_of,
    parts_of,
    sum_of,
    text_of,
)
from app.domain.agents.reports import MAX_TEXT_CHARS, Entry, EntryKind, usage_words

MAX_SHORT_CHARS = 200
# the arguments that describe a tool call best, in this order
_ARGUMENTS = (
    *("command", "cmd", "script", "file_path", "filePath", "notebook_path", "absolute_path"),
    *("path", "pattern", "query", "url", "description", "prompt", "name"),
)
# how much of an output's end is searched for its last line
_END_CHARS = 20_000


def said(value: Any, *, is_piece: bool = False) -> Iterator[Entry]:
    """Yield what the agent said, if anything."""
    if is_piece and isinstance(value, str) and value:
        yield Entry(EntryKind.SAID, _sound(value[:MAX_TEXT_CHARS]), is_piece=True)
    elif not is_piece and (text := text_of(value, MAX_TEXT_CHARS)):
        more = len(value) - MAX_TEXT_CHARS
        yield Entry(EntryKind.SAID, f"{text} … {more:,} more characters" if more > 0 else text)


def thought(value: Any) -> Iterator[Entry]:
    """Yield the first line of the agent's thinking."""
    if text := short(value):
        yield Entry(EntryKind.THOUGHT, text)


def tool(name: Any, given: Any) -> Iterator[Entry]:
    """Yield a tool call with its main argument."""
    if called := short(name, MAX_NAME_CHARS):
        yield Entry(EntryKind.TOOL, argument(given), called)


def result(output: Any) -> Iterator[Entry]:
    """Yield the last line that a command wrote."""
    if line := last_line(output):
        yield Entry(EntryKind.RESULT, line)


def failed(*words: Any) -> Iterator[Entry]:
    """Yield a failure, described by the given texts without repetitions."""
    told = dict.fromkeys(text for one in words if (text := short(one)))
    if told:
        yield Entry(EntryKind.FAILED, " · ".join(told))


def note(*words: Any) -> Iterator[Entry]:
    """Yield a remark of minor importance."""
    if told := " · ".join(text for one in words if (text := short(one))):
        yield Entry(EntryKind.NOTE, told)


def end(word: str, usage: dict[str, Any], cost: float | None, *names: str) -> Iterator[Entry]:
    """Yield the end of the agent's work with its usage; `names` are the counts to add up."""
    used = usage_words(sum_of(usage, *names) or 0, cost)
    yield Entry(EntryKind.END, " · ".join(part for part in (word, used) if part))


def unknown(event: dict[str, Any]) -> Iterator[Entry]:
    """Yield an unknown event: the agent's text if it contains some, else the event's name."""
    data = part_of(event, "data")
    words = next(
        (one for part in (event, data) for key in ("text", "content", "message", "delta")
         if isinstance(one := part.get(key), str) and one.strip()),
        "",
    )  # fmt: skip
    if event.get("role") == "assistant" and words:
        yield from said(words)
    else:
        name = "/".join(filter(None, (short(event.get("type")), short(event.get("subtype")))))
        yield from note(name, words)


def argument(given: Any) -> str:
    """Return the main argument of a tool call, shortened."""
    if isinstance(given, str):
        return short(given)
    arguments = part_of(given)
    values = [arguments.get(name) for name in _ARGUMENTS] + list(arguments.values())[:8]
    return next((text for value in values if (text := short(_joined(value)))), "")


def short(value: Any, limit: int = MAX_SHORT_CHARS) -> str:
    """Return the first line of a text that is not blank, cut to `limit`; empty for no text."""
    text = text_of(value, 4_000)
    line = next((one.strip() for one in text.split("\n") if one.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def last_line(value: Any) -> str:
    """Return the last line of a text that is not blank, shortened; empty for no text."""
    text = value[-_END_CHARS:] if isinstance(value, str) else ""
    lines = [line for line in text_of(text, _END_CHARS).split("\n") if line.strip()]
    return short(lines[-1]) if lines else ""


def content_text(content: Any) -> str:
    """Return the text of a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    texts = [one["text"] for one in parts_of(content) if isinstance(one.get("text"), str)]
    return "\n".join(texts)


def exit_words(code: Any) -> str:
    """Return `exit 1` for the exit code 1, empty for 0 or none."""
    return f"exit {count}" if (count := count_of(code)) else ""


def _joined(value: Any) -> Any:
    """Join a command that is a list of words; return any other value as it is."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value[:50]):
        return " ".join(value[:50])
    return value


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
