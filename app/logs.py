"""Logging to standard error with correlation ids: JSON, or short lines on a terminal."""

from __future__ import annotations

import json
import logging
import re
import sys
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

import structlog

from app.domain.safe_text import reveal

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ODD = re.compile(r"[\s\"=]")
correlation: ContextVar[str] = ContextVar("correlation", default="")


def new_correlation_id() -> str:
    """Return a fresh id that ties a click, its request, its log lines and its error together."""
    return uuid.uuid4().hex


@contextmanager
def correlated(correlation_id: str) -> Generator[None]:
    """Attach this correlation id to every log line inside the block."""
    mark = correlation.set(correlation_id)
    try:
        yield
    finally:
        correlation.reset(mark)


def _correlated() -> structlog.typing.Processor:
    # lines outside any request share one id per process
    of_this_start = new_correlation_id()

    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("correlation_id", correlation.get() or of_this_start)
        return event

    return add


def _in_a_line(is_expected: Callable[[object], bool]) -> structlog.typing.Processor:
    def shorten(
        _: object, __: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        info = event.get("exc_info")
        error = info[1] if isinstance(info, tuple) else info
        if is_expected(error):
            event.update(exc_info=None, level="warning", because=str(error))
        return event

    return shorten


def _without_copy(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Drop the copy of a message with terminal colors that uvicorn adds to its lines."""
    event.pop("color_message", None)
    return event


def _as_text(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Turn errors, times, paths and other objects into text; JSON would show their repr."""
    for name, value in event.items():
        if not name.startswith("_") and not isinstance(value, str | int | float | None):
            event[name] = str(value)
    return event


def _short(_: object, __: str, event: structlog.typing.EventDict) -> str:
    """Format an event for a person: local time, level and event; a traceback below it."""
    at = datetime.fromisoformat(event.pop("timestamp")).astimezone()
    level, said = event.pop("level"), str(event.pop("event"))
    traced, mark = event.pop("exception", ""), event.pop("correlation_id", "")
    event.pop("logger", None)
    words = said.replace("_", " ") if _NAME.fullmatch(said) else said
    more = "".join(f" {name}={_quoted(value)}" for name, value in event.items())
    first = reveal(f"{words}{more}") + (f" [{mark}]" if traced else "")
    below = [f"  {reveal(line)}" for line in str(traced).splitlines()]
    return "\n".join([f"{at:%H:%M:%S} {level}: {first}", *below])


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or _ODD.search(text) else text


def route_events() -> None:
    """Send the events of `structlog.get_logger()` to the standard library's loggers.

    Their fields become attributes of the log record, so no field has the name of one of those.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def set_up_logs(*, is_expected: Callable[[object], bool] = lambda _: False) -> None:
    """Send all log lines of the process, libraries' too, through one renderer: none can be forged.

    A terminal gets warnings and errors as short lines; anything else gets every line from INFO up
    as JSON. An expected exception is logged as a warning with its message and no traceback: retries
    every second while a database is down would fill the disk.
    """
    route_events()
    is_terminal = sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(is_short=is_terminal, is_expected=is_expected))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING if is_terminal else logging.INFO)
    # at INFO these only repeat what our own lines say
    for name in ("httpx", "httpcore", "alembic", "apscheduler", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def set_up_command_logs() -> None:
    """Show warnings and errors as short lines, unless logs are set up already."""
    route_events()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(is_short=True))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def formatter(
    *, is_short: bool, is_expected: Callable[[object], bool] = lambda _: False
) -> logging.Formatter:
    """Return a formatter of short lines for people, or of JSON."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            _without_copy,
            _in_a_line(is_expected),
            structlog.stdlib.add_logger_name,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _correlated(),
            structlog.processors.format_exc_info,
            _as_text,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _short if is_short else structlog.processors.JSONRenderer(),
        ],
    )
