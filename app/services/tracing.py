"""Units of work: their log lines carry the run and the project, and a span covers them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span
from structlog.contextvars import bound_contextvars

_tracer = trace.get_tracer("runyard")


@contextmanager
def unit_of_work(name: str, **ids: str) -> Generator[Span]:
    """Open a span with these ids as attributes, and bind them to all log lines inside the block.

    `ids` are `run_id` and `project_id`. Spans go nowhere unless the process has a tracer provider.
    """
    with bound_contextvars(**ids), _tracer.start_as_current_span(name, attributes=ids) as span:
        yield span
