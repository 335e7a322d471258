"""Forked commands and servers behave like any other process."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drivers.servers.forked_starts import COMMAND, ROOT, clean_environment, start_forked
from tests.drivers.servers.processes import running_server

LEFT_ALONE = {"RUNYARD_PORT": "1"}
ASK = """
import signal, sys
from tests.drivers.servers.forked_starts import COMMAND, clean_environment, start_forked
env = clean_environment() | {"RUNYARD_URL": sys.argv[1], "RUNYARD_TOKEN": "none"}
print(start_forked(COMMAND, ["runs", "list"], env, (0, 2, 2)).pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["--version"], 0, "runyard ", ""),
        (["projects", "list"], 3, "", "http://127.0.0.1:1"),
        (["no-such-command"], 2, "", "no-such-command"),
    ],
)
def test_a_command_has_its_words_environment_streams_and_end(
    words: list[str], code: int, out: str, err: str, tmp_path: Path
) -> None:
    env = clean_environment() | LEFT_ALONE | {"RUNYARD_DATA_DIR": str(tmp_path)}
    said, complained = tmp_path / "out", tmp_path / "err"
    with open(os.devnull) as nothing, said.open("w") as o, complained.open("w") as e:
        process = start_forked(COMMAND, words, env, (nothing.fileno(), o.fileno(), e.fileno()))
        assert process.wait(60) == code
    assert said.read_text().startswith(out)
    assert bool(said.read_text()) == bool(out)
    assert err in complained.read_text()


def test_a_server_has_a_group_of_its_own_and_is_gone_once_it_was_killed(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        process = server.process
        assert process is not None
        assert os.getpgid(process.pid) == process.pid
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        assert process.poll() == -signal.SIGKILL
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_nothing_is_left_of_forks_when_the_group_of_who_asked_is_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        requester = subprocess.Popen(
            [sys.executable, "-c", ASK, f"http://127.0.0.1:{silent.getsockname()[1]}"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        with requester, silent.accept()[0]:
            assert requester.stdout is not None
            pid = int(requester.stdout.readline())
            fork = os.pidfd_open(pid)
            os.killpg(requester.pid, signal.SIGTERM)
            # a command that waits gives up by itself after 30 seconds
            gone = select.select([fork], [], [], 20)[0]
            if not gone:
                os.kill(pid, signal.SIGKILL)
        os.close(fork)
    assert gone
