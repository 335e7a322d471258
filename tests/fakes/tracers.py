"""A tracer that keeps its spans in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, Span


class RecordedSpan(NonRecordingSpan):
    """A span with its name and its attributes."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        super().__init__(INVALID_SPAN_CONTEXT)
        self.name, self.attributes = name, attributes

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value


class RecordingTracer:
    """Keeps every span that was opened, in the order of their beginnings."""

    def __init__(self) -> None:
        self.spans: list[RecordedSpan] = []

    def start_span(self, name: str, *_: Any, attributes: Any = None, **__: Any) -> Span:
        span = RecordedSpan(name, dict(attributes or {}))
        self.spans.append(span)
        return span

    @contextmanager
    def start_as_current_span(self, name: str, *_: Any, **given: Any) -> Iterator[Span]:
        yield self.start_span(name, attributes=given.get("attributes"))
