"""Words that the entries of every agent are made of; whatever is given to them, they are short."""

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
# which of a tool's arguments says best what it is about
_ARGUMENTS = (
    *("command", "cmd", "script", "file_path", "filePath", "notebook_path", "absolute_path"),
    *("path", "pattern", "query", "url", "description", "prompt", "name"),
)
# a line's end is looked for in so much of an output's end
_END_CHARS = 20_000


def said(value: Any, *, is_piece: bool = False) -> Iterator[Entry]:
    """What the agent says, where it says something."""
    if is_piece and isinstance(value, str) and value:
        yield Entry(EntryKind.SAID, _sound(value[:MAX_TEXT_CHARS]), is_piece=True)
    elif not is_piece and (text := text_of(value, MAX_TEXT_CHARS)):
        more = len(value) - MAX_TEXT_CHARS
        yield Entry(EntryKind.SAID, f"{text} … {more:,} more characters" if more > 0 else text)


def thought(value: Any) -> Iterator[Entry]:
    """The first words of what the agent thinks."""
    if text := short(value):
        yield Entry(EntryKind.THOUGHT, text)


def tool(name: Any, given: Any) -> Iterator[Entry]:
    """A call of a tool, with what it is about."""
    if called := short(name, MAX_NAME_CHARS):
        yield Entry(EntryKind.TOOL, argument(given), called)


def result(output: Any) -> Iterator[Entry]:
    """The last line that a command wrote."""
    if line := last_line(output):
        yield Entry(EntryKind.RESULT, line)


def failed(*words: Any) -> Iterator[Entry]:
    """What went wrong, in the words that there are for it."""
    told = dict.fromkeys(text for one in words if (text := short(one)))
    if told:
        yield Entry(EntryKind.FAILED, " · ".join(told))


def note(*words: Any) -> Iterator[Entry]:
    """What matters little."""
    if told := " · ".join(text for one in words if (text := short(one))):
        yield Entry(EntryKind.NOTE, told)


def end(word: str, usage: dict[str, Any], cost: float | None, *names: str) -> Iterator[Entry]:
    """The end of the agent's work, and what it used; `names` are the counts that are summed."""
    used = usage_words(sum_of(usage, *names) or 0, cost)
    yield Entry(EntryKind.END, " · ".join(part for part in (word, used) if part))


def unknown(event: dict[str, Any]) -> Iterator[Entry]:
    """An event that nobody knows: the agent's words where it has some, else its name."""
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
    """What a tool's call is about, in short."""
    if isinstance(given, str):
        return short(given)
    arguments = part_of(given)
    values = [arguments.get(name) for name in _ARGUMENTS] + list(arguments.values())[:8]
    return next((text for value in values if (text := short(_joined(value)))), "")


def short(value: Any, limit: int = MAX_SHORT_CHARS) -> str:
    """The first line of a text that says something, cut; empty where the value is none."""
    text = text_of(value, 4_000)
    line = next((one.strip() for one in text.split("\n") if one.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def last_line(value: Any) -> str:
    """The last line of a text that says something, cut."""
    text = value[-_END_CHARS:] if isinstance(value, str) else ""
    lines = [line for line in text_of(text, _END_CHARS).split("\n") if line.strip()]
    return short(lines[-1]) if lines else ""


def content_text(content: Any) -> str:
    """The text of a message's content: one itself, or a list of parts."""
    if isinstance(content, str):
        return content
    texts = [one["text"] for one in parts_of(content) if isinstance(one.get("text"), str)]
    return "\n".join(texts)


def exit_words(code: Any) -> str:
    """`exit 1`, empty for 0 or none."""
    return f"exit {count}" if (count := count_of(code)) else ""


def _joined(value: Any) -> Any:
    """A command that is told as a list of words, as one."""
    if isinstance(value, list) and all(isinstance(word, str) for word in value[:50]):
        return " ".join(value[:50])
    return value


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
