"""The log's form on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

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
    log = logging.getLogger("app.some")
    log.info("took over %d runs", 0)
    log.warning("odd\n12:00:00 error: \x1b[31mforged\u202e")
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
            logging.getLogger("app.some").exception("a fault")
    lines = screen.getvalue().splitlines()
    assert lines[0].endswith(" error: a fault [click-1]")
    assert lines[-1] == "  ValueError: broken"


def test_elsewhere_everything_is_kept_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    set_up_logs()
    logging.getLogger("app.some").info("took over %d runs", 0)
    assert json.loads(file.getvalue())["event"] == "took over 0 runs"
