"""The log's form on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from app.logs import correlated, set_up_logs


class Terminal(io.StringIO):
    """A stream that passes for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def own_root() -> Iterator[None]:
    """Restore the root logger afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def test_a_terminal_gets_what_wants_an_eye_on_a_line_that_nobody_can_forge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    set_up_logs()
    log = structlog.get_logger()
    log.info("runs_taken_over", count=0)
    logging.getLogger("library").warning("odd\n12:00:00 error: \x1b[31mforged\u202e")
    [line] = screen.getvalue().splitlines()
    assert line.endswith(r" warning: odd\x0a12:00:00 error: \x1b[31mforged\u202e")


@pytest.mark.expects_error_log
def test_a_fault_on_a_terminal_has_its_id_and_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    set_up_logs()
    with correlated("click-1"):
        try:
            raise ValueError("broken")
        except ValueError:
            structlog.get_logger().exception("request_failed", path="/x")
    lines = screen.getvalue().splitlines()
    assert lines[0].endswith(" error: request failed path=/x [click-1]")
    assert lines[-1] == "  ValueError: broken"


def test_elsewhere_everything_is_kept_as_json_with_its_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    set_up_logs()
    with structlog.contextvars.bound_contextvars(run_id="run_1"):
        structlog.get_logger().info("origin_not_reached", issue=7, because=ValueError("silent"))
        logging.getLogger("library").info("connected to %s", "origin")
    ours, theirs = (json.loads(line) for line in file.getvalue().splitlines())
    assert ours["event"] == "origin_not_reached"
    assert (ours["run_id"], ours["issue"], ours["because"]) == ("run_1", 7, "silent")
    assert ours["logger"] == __name__
    assert theirs["event"] == "connected to origin"


def test_the_colored_copy_of_a_uvicorn_message_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    set_up_logs()
    colored = {"color_message": "Started server process [\x1b[36m%d\x1b[0m]"}
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7, extra=colored)
    [line] = file.getvalue().splitlines()
    assert "color" not in line
    assert json.loads(line)["event"] == "Started server process [7]"


def test_a_value_on_a_terminal_is_quoted_where_it_would_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    set_up_logs()
    structlog.get_logger().warning("run_refused", because='it says "no"', run_id="run_1")
    [line] = screen.getvalue().splitlines()
    assert line.endswith(r' warning: run refused because="it says \"no\"" run_id=run_1')
