"""A bell wakes every server on this machine that opened its folder; failures leak no files."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from queue import SimpleQueue

import pytest

from app.adapters.machine import clock_changes
from app.adapters.machine.bells import Bell

SECONDS = 20.0


def test_a_ring_is_heard_by_the_other_server_and_by_the_one_that_rings(tmp_path: Path) -> None:
    here: SimpleQueue[set[str]] = SimpleQueue()
    there: SimpleQueue[set[str]] = SimpleQueue()
    bells = [Bell(tmp_path / "bell", heard.put) for heard in (here, there)]
    for bell in bells:
        bell.open()
    try:
        bells[0].ring("tick")
        assert "tick" in here.get(timeout=SECONDS)
        assert "tick" in there.get(timeout=SECONDS)
    finally:
        for bell in bells:
            bell.close()


@pytest.mark.expects_error_log
def test_a_duty_that_fails_does_not_stop_the_listening(tmp_path: Path) -> None:
    heard: SimpleQueue[set[str]] = SimpleQueue()

    def stumble(names: set[str]) -> None:
        heard.put(names)
        raise RuntimeError("the duty failed")

    bell = Bell(tmp_path / "bell", stumble)
    bell.open()
    try:
        bell.ring("fill")
        assert heard.get(timeout=SECONDS) == {"fill"}
        bell.ring("tick")
        # creating and writing the file may notify twice; the second arrives with the next ring
        while "tick" not in heard.get(timeout=SECONDS):
            pass
    finally:
        bell.close()


def test_a_folder_that_cannot_be_made_is_reported_and_closing_is_safe(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    bell = Bell(tmp_path / "file" / "bell", lambda names: None)
    with caplog.at_level(logging.WARNING):
        bell.open()
        bell.ring("tick")
    bell.close()
    assert "other_servers_not_heard" in caplog.text


def test_a_folder_that_cannot_be_watched_leaves_no_open_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bell").symlink_to(tmp_path / "elsewhere")
    bell = Bell(tmp_path / "bell", lambda names: None)
    before = os.listdir("/proc/self/fd")
    bell.open()
    assert os.listdir("/proc/self/fd") == before
    bell.close()


def test_a_clock_that_cannot_be_watched_leaves_no_open_file(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # the kernel refuses a timer for a moment before 1970
    monkeypatch.setattr(clock_changes, "_FAR_AHEAD", -(1 << 40))
    changes = clock_changes.ClockChanges(lambda: None)
    before = os.listdir("/proc/self/fd")
    changes.start()
    assert os.listdir("/proc/self/fd") == before
    assert "clock_changes_not_watched" in caplog.text
    changes.stop()
