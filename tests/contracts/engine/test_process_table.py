"""The process table: what cannot be read is unknown, never gone; other records are only parsed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.adapters.engine.processes import ProcessTable, TableUnreadable
from app.adapters.engine.refusals import read_refusals
from app.services.ports import ProcessMark

RUN, OTHER = "run_c0000000000000000000000001", 2**22
MARK = ProcessMark(OTHER, 7, "boot")


def table_of(proc: Path, *, own: str, other: str = "(sh) S 1") -> ProcessTable:
    """Write a process table with this server and one other process."""
    for pid, stat in ((os.getpid(), own), (OTHER, other)):
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "stat").write_text(stat and f"{pid} {stat} {'7 ' * 40}")
        (proc / str(pid) / "environ").write_bytes(b"")
    return ProcessTable("here", str(proc))


def test_a_supervisor_is_unknown_if_the_servers_ancestors_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TableUnreadable):
        table_of(tmp_path, own="").is_supervisor(MARK, RUN, "folder")


def test_no_end_is_proved_if_the_servers_ancestors_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TableUnreadable):
        table_of(tmp_path, own="").end(RUN, MARK)


def test_a_process_whose_environment_cannot_be_read_does_not_count_as_gone(tmp_path: Path) -> None:
    table = table_of(tmp_path, own="(python) S 1")
    assert not table.is_supervisor(MARK, RUN, "folder")
    (tmp_path / str(OTHER) / "environ").unlink()
    assert not table.is_supervisor(MARK, RUN, "folder")
    assert not table.carriers(RUN)
    # any other error than that there is no such process
    (tmp_path / str(OTHER) / "environ").mkdir()
    with pytest.raises(TableUnreadable):
        table.is_supervisor(MARK, RUN, "folder")
    with pytest.raises(TableUnreadable):
        table.carriers(RUN)


@pytest.mark.parametrize("port", [True, 0, 65536, 1.5, "443", None])
def test_a_refused_host_without_a_port_is_not_read(tmp_path: Path, port: object) -> None:
    line = json.dumps({"host": "evil.example", "port": port, "because": "not allowed"})
    (tmp_path / "refused").write_text(f"{line}\n")
    assert read_refusals(tmp_path) == []
