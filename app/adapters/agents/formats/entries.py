"""Agents' output as entries that people read: one line of it in, entries of limited length out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.adapters.agents.formats.events import (
    Ended,
    Event,
    Failed,
    FileChanged,
    Message,
    Output,
    Parse,
    Problem,
    Remark,
    StepUsage,
    Thought,
    ToolCall,
    Unknown,
    Usage,
)
from app.adapters.agents.formats.fields import (
    MAX_NAME_CHARS,
    last_line,
    part_of,
    read_object,
    short,
    text_of,
)
from app.domain.agents.reports import (
    MAX_LINE_CHARS,
    MAX_TEXT_CHARS,
    Entry,
    EntryKind,
    usage_words,
)
from app.domain.json.values import JsonValue

# the arguments that describe a tool call best, in this order
_ARGUMENTS = (
    *("command", "cmd", "script", "file_path", "filePath", "notebook_path", "absolute_path"),
    *("path", "pattern", "query", "url", "description", "prompt", "name"),
)


def entries_of(line: bytes, parse: Parse) -> list[Entry]:
    """Return the entries of one line; a line that is no event becomes text. Never raises."""
    may_be_event = line.lstrip().startswith(b"{")
    data = read_object(line.decode("utf-8", "replace").strip()) if may_be_event else None
    if data is None or not isinstance(data.get("type"), str):
        return [_text(line)]
    return [entry for event in parse(data) for entry in _shown(event)]


def _shown(event: Event) -> Iterable[Entry]:
    match event:
        case Message() | Thought() | ToolCall() | FileChanged() | Output():
            return _work(event)
        case Remark() | Failed() | Problem():
            return _notice(event)
        case StepUsage(usage, is_last) if is_last:
            return _end("Done · last step", usage)
        case Ended():
            return _ended(event)
        case Unknown(data):
            return _unknown(data)
        case _:
            return ()


def _work(event: Message | Thought | ToolCall | FileChanged | Output) -> Iterable[Entry]:
    """Return the entries of the agent's own work: its words, its tools, and their output."""
    match event:
        case Message(text, _, is_piece):
            return _message(text, is_piece=is_piece)
        case Thought(text):
            return _one(EntryKind.THOUGHT, short(text))
        case ToolCall(name, given, label, about):
            return _tool(name if label is None else label, given or about)
        case FileChanged(path, act):
            return _tool(act, path)
        case Output(text):
            return _one(EntryKind.RESULT, last_line(text))


def _notice(event: Remark | Failed | Problem) -> Iterable[Entry]:
    """Return the entries of a remark or failure; problems have one only if their event says so."""
    match event:
        case Remark(words):
            return _one(EntryKind.NOTE, " · ".join(_shortened(words)))
        case Failed(words):
            return _failed(*words)
        case Problem(words, EntryKind.FAILED):
            return _failed(words)
        case Problem(words, EntryKind.NOTE):
            return _one(EntryKind.NOTE, short(words))
        case Problem():
            return ()


def _text(line: bytes) -> Entry:
    # a character takes up to four bytes; each invalid byte counts as one character
    units = line[: MAX_LINE_CHARS * 4].decode("utf-8", "surrogateescape")[:MAX_LINE_CHARS]
    kept = units.encode("utf-8", "surrogateescape")
    hidden = len(line) - len(kept)
    more = f" … {hidden:,} more bytes: see the download" if hidden else ""
    return Entry(EntryKind.TEXT, kept.decode("utf-8", "replace") + more)


def _message(value: Any, *, is_piece: bool = False) -> Iterator[Entry]:
    if is_piece and isinstance(value, str) and value:
        yield Entry(EntryKind.SAID, _sound(value[:MAX_TEXT_CHARS]), is_piece=True)
    elif not is_piece and (text := text_of(value, MAX_TEXT_CHARS)):
        more = len(value) - MAX_TEXT_CHARS
        yield Entry(EntryKind.SAID, f"{text} … {more:,} more characters" if more > 0 else text)


def _tool(name: Any, given: Any) -> Iterator[Entry]:
    """Yield a tool call with its main argument."""
    if called := short(name, MAX_NAME_CHARS):
        yield Entry(EntryKind.TOOL, _argument(given), called)


def _failed(*words: Any) -> Iterator[Entry]:
    """Yield a failure, described by the given texts without repetitions."""
    return _one(EntryKind.FAILED, " · ".join(dict.fromkeys(_shortened(words))))


def _ended(event: Ended) -> Iterator[Entry]:
    # an answer was shown before
    yield from _failed(event.problem or event.cause)
    if event.usage is not None:
        yield from _end("Done" if event.is_ok else "Failed", event.usage)


def _end(word: str, usage: Usage) -> Iterator[Entry]:
    tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    used = usage_words(tokens, usage.cost_usd)
    return _one(EntryKind.END, " · ".join(part for part in (word, used) if part))


def _unknown(data: dict[str, Any]) -> Iterator[Entry]:
    """Yield an unknown event: the agent's text if it contains some, else the event's name."""
    parts = (data, part_of(data, "data"))
    values = (part.get(key) for part in parts for key in ("text", "content", "message", "delta"))
    words = next((one for one in values if isinstance(one, str) and one.strip()), "")
    if data.get("role") == "assistant" and words:
        return _message(words)
    name = "/".join(_shortened((data.get("type"), data.get("subtype"))))
    return _one(EntryKind.NOTE, " · ".join(_shortened((name, words))))


def _one(kind: EntryKind, text: str) -> Iterator[Entry]:
    """Yield an entry, if it has a text."""
    if text:
        yield Entry(kind, text)


def _shortened(words: Iterable[Any]) -> list[str]:
    """Return the first lines of the texts among these words."""
    return [text for one in words if (text := short(one))]


def _argument(given: Any) -> str:
    """Return the main argument of a tool call, shortened."""
    if isinstance(given, str):
        return short(given)
    arguments = part_of(given)
    values = [arguments.get(name) for name in _ARGUMENTS] + list(arguments.values())[:8]
    return next((text for value in values if (text := short(_joined(value)))), "")


def _joined(value: Any) -> Any:
    """Join a command that is a list of words; return any other value as it is."""
    words: JsonValue = value
    if not isinstance(words, list):
        return words
    texts = [word for word in words[:50] if isinstance(word, str)]
    return " ".join(texts) if len(texts) == len(words[:50]) else None


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
