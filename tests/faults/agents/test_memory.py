"""F18, F19: an agent that uses up all memory, or all processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from app.adapters.supervisor.memory import count_kills, ran_out
from app.domain.end_causes import ExitReason
from tests.builders.repositories import make_origin
from tests.drivers.servers.processes import RunyardServer, fresh_server, wait_for
from tests.fakes.agents.runs import PYTHON, RUN, Ears, KeepingEngine, run_to_end, shell, until

GROUPS = Path("/sys/fs/cgroup")
EATS = "b = []\nwhile True: b.append(bytearray(8_000_000))"
# a child of the agent is killed, and the agent exits with 128 + signal as a shell does
RELAYS = (
    f"import subprocess, sys; sys.exit(128 - subprocess.call([sys.executable, '-c', {EATS!r}]))"
)
# every process forks; only the agent itself reports that a fork was refused
BOMB = """
import os, time
me = os.getpid()
try:
    while True:
        os.fork()
except OSError:
    if os.getpid() == me:
        raise
    time.sleep(600)
"""
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"
V2 = "low 0\nhigh 0\nmax 9\noom 4\noom_kill 5\noom_group_kill 0\n"


@contextmanager
def control_group(kind: str, **limits: int) -> Iterator[Path]:
    """Create a control group (version 1) below this process's own; skip where impossible."""
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    paths = [path for _, kinds, path in own if kind in kinds.split(",")]
    if not paths or not os.access(GROUPS / kind, os.W_OK):
        pytest.skip(f"no control group of {kind} can be made here: F18 and F19 are not shown")
    group = GROUPS / kind / paths[0].strip("/") / f"runyard-test-{os.getpid()}"
    group.mkdir()
    try:
        for name, limit in limits.items():
            (group / f"{kind}.{name}").write_text(str(limit))
        yield group
    finally:
        procs = group / "cgroup.procs"
        for pid in procs.read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        until(lambda: not procs.read_text(), "the group is empty")
        group.rmdir()


# --- memory -------------------------------------------------------------------------------------


def counters(folder: Path, **texts: str) -> tuple[str, str]:
    """Write a process table and control group files in the kernel's layout; return both folders."""
    (folder / "proc/self").mkdir(parents=True)
    for name, text in texts.items():
        path = (
            folder
            / {
                "own": "proc/self/cgroup",
                "machine": "proc/vmstat",
                "v1": "groups/memory/yard/memory.oom_control",
                "v2": "groups/yard/memory.events",
            }[name]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder / "proc"), str(folder / "groups")


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"own": "4:memory:/yard\n0::/yard\n", "v1": V1, "machine": "oom_kill 7\n"}, 3),
        ({"own": "3:cpu,cpuacct:/\n4:freezer,memory:/yard\n", "v1": V1}, 3),
        ({"own": "0::/yard\n", "v2": V2, "machine": "oom_kill 7\n"}, 5),
        ({"own": "0::/\n", "machine": "nr_free_pages 1\noom_kill 7\npswpin 0\n"}, 7),
        ({"machine": "oom_kill 7\n"}, 7),
        ({"own": "0::/yard\n", "v2": "oom_kill many\n", "machine": "nr_free_pages 1\n"}, None),
        ({}, None),
    ],
    ids=["version 1", "several", "version 2", "root", "no groups", "nonsense", "nothing"],
)
def test_f19_the_kernels_own_counters_tell_of_a_want_of_memory(
    tmp_path: Path, files: dict[str, str], count: int | None
) -> None:
    proc, groups = counters(tmp_path, **files)
    assert count_kills(proc, groups) == count


@pytest.mark.parametrize(
    ("code", "before", "now", "expected"),
    [
        (-9, 3, 4, True),
        (137, 3, 4, True),  # 128 + 9: a shell reports its command's end
        (-9, 3, 3, False),  # SIGKILL from elsewhere
        (-15, 3, 4, False),
        (0, 3, 4, False),
        (1, 3, 4, False),
        (-9, None, 4, False),
        (-9, 3, None, False),
    ],
)
def test_f19_only_a_kill_while_the_count_rose_is_a_want_of_memory(
    code: int, before: int | None, now: int | None, expected: bool
) -> None:
    assert ran_out(code, before, now) is expected


def test_f19_the_kernel_is_told_to_take_the_agent_first(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    text = "cat /proc/self/oom_score_adj; cat /proc/$PPID/oom_score_adj"
    run_to_end(engine, ears, tmp_path, shell(text))
    agent, supervisor = engine.log(RUN).read().content.split()
    assert (int(agent), int(supervisor)) == (
        800,
        int(Path("/proc/self/oom_score_adj").read_text()),
    )


def test_f19_an_agent_that_somebody_killed_has_not_run_out_of_memory(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    sight = run_to_end(engine, ears, tmp_path, shell("kill -9 $$"))
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.signal) == (ExitReason.EXITED, signal.SIGKILL)


@contextmanager
def server_with(
    folder: Path, agent: list[str], group: Path | None = None, **settings: Any
) -> Iterator[tuple[RunyardServer, str]]:
    """A server and a project with an issue; with `group`, all its processes run in that group."""
    with fresh_server(folder / "data", RUNYARD_KILL_GRACE_SECONDS="0.3") as server:
        if group and server.process:
            (group / "cgroup.procs").write_text(str(server.process.pid))
        with server.client() as client:
            origin = make_origin(folder / "origin", bare=True)
            body = {"name": "yard", "origin": str(origin), "agent_command": agent, **settings}
            made = client.post("/projects", json=body)
            assert made.status_code == 201, made.text
            project = str(made.json()["id"])
            wait_for(client, f"/projects/{project}", lambda found: found["state"] == "ready")
            client.post(f"/projects/{project}/issues", json={"title": "Mend it"})
        yield server, project


def run_of_issue(client: httpx.Client, project: str) -> str:
    """Start a run of the project's issue; return its path."""
    answer = client.post("/runs", json={"project_id": project, "issue": 1})
    assert answer.status_code == 201, answer.text
    return f"/runs/{answer.json()['id']}"


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    """Wait until no process of the run is left; return the run."""
    return wait_for(client, path, lambda run: run["released_at"])


@pytest.mark.soak
@pytest.mark.parametrize("agent", [EATS, RELAYS], ids=["the agent", "its helper"])
def test_f19_an_agent_that_eats_memory_is_ended_and_the_server_goes_on(
    tmp_path: Path, agent: str
) -> None:
    argv = [*PYTHON, "-c", agent]
    with (
        control_group("memory", limit_in_bytes=400_000_000) as group,
        server_with(tmp_path, argv, group) as (server, project),
        server.client() as client,
    ):
        run = ended(client, run_of_issue(client, project))
        assert (run["status"], run["cause"]) == ("died", "out_of_memory")
        assert run["because"] == "the machine ran out of memory and ended the agent"
        assert client.get(f"/projects/{project}").json()["strikes"] == 1
        assert server.process is not None
        assert server.process.poll() is None


# --- processes ----------------------------------------------------------------------------------


@pytest.mark.soak
def test_f18_a_fork_bomb_meets_its_limit_and_the_server_answers(tmp_path: Path) -> None:
    bomb, limits = [*PYTHON, "-c", BOMB], {"processes": 200}
    with (
        server_with(tmp_path, bomb, limits=limits) as (server, project),
        server.client() as client,
    ):
        path = run_of_issue(client, project)
        slowest = 0.0
        while client.get(path).json()["phase"] != "done":
            began = monotonic()
            assert client.get("/projects").status_code == 200
            slowest = max(slowest, monotonic() - began)
        run = ended(client, path)
        assert slowest < 1
        assert (run["status"], run["cause"]) == ("died", "too_many_processes")
        assert run["because"] == "the run's limit of 200 processes was reached"
