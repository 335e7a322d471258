"""Control groups of runs: created where delegated, cleared at start; others are left alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.adapters.engine import run_groups
from app.adapters.engine.run_groups import clear_groups, settle_in
from app.adapters.supervisor.cgroups import GROUPS, OWN_LEAF, make_groups, name_of
from app.adapters.supervisor.usage import may_have, memory_of, size_of, tree_of
from app.domain.sandbox.levels import Limits

GIVEN = "cpu memory pids\n"


@pytest.fixture
def machine(tmp_path: Path) -> tuple[str, str]:
    """A process table and control groups in the layout of a machine with cgroup v2."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc" / str(os.getpid())).mkdir()
    (tmp_path / "proc/self/cgroup").write_text("0::/yard.service\n")
    group = tmp_path / "groups/yard.service"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n")
    (group / "cgroup.controllers").write_text(GIVEN)
    (group / "cgroup.subtree_control").write_text("")
    return str(tmp_path / "proc"), str(tmp_path / "groups")


def test_a_delegated_group_is_taken_up_by_moving_into_a_leaf_of_it(
    machine: tuple[str, str], tmp_path: Path
) -> None:
    proc, groups = machine
    own = Path(groups) / "yard.service"
    leaf = own / OWN_LEAF
    leaf.mkdir()
    (leaf / "cgroup.procs").touch()
    assert settle_in(proc=proc, groups=groups, systemd=str(tmp_path / "no systemd"))
    assert (leaf / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_group_that_its_manager_did_not_delegate_is_left_alone(
    machine: tuple[str, str], tmp_path: Path
) -> None:
    proc, groups = machine
    assert not settle_in(proc=proc, groups=groups, systemd=str(tmp_path))
    assert not (Path(groups) / "yard.service" / OWN_LEAF).exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [("cgroup.procs", f"1\n{os.getpid()}\n"), ("cgroup.controllers", "cpu\n")],
    ids=["somebody else is in it", "it has no controllers"],
)
def test_a_group_that_is_not_ours_to_divide_is_left_alone(
    machine: tuple[str, str], tmp_path: Path, name: str, text: str
) -> None:
    proc, groups = machine
    (Path(groups) / "yard.service" / name).write_text(text)
    assert not settle_in(proc=proc, groups=groups, systemd=str(tmp_path / "no systemd"))
    assert (Path(groups) / "yard.service" / "cgroup.subtree_control").read_text() == ""


def test_a_start_removes_the_groups_of_runs_that_are_over_and_no_others(tmp_path: Path) -> None:
    below = tmp_path / "user.slice"
    for name in ("runyard-me-run_over", "runyard-me-run_over-tree", "runyard-me-run_open"):
        (below / name).mkdir(parents=True)
    (tmp_path / "runyard-other-run_over").mkdir()
    (tmp_path / "somebody").mkdir()
    over = {"run_over"}
    assert clear_groups("me", over.__contains__, groups=str(tmp_path)) == 2
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"user.slice", "runyard-me-run_open", "runyard-other-run_over", "somebody"}


def test_a_group_with_a_process_stays_and_goes_when_it_is_empty() -> None:
    instance = f"tending{os.getpid()}"
    made = make_groups(name_of(instance, "run_1"), {"processes": 50})
    if not made:
        pytest.skip("no control group can be made here: that one with a process stays is not shown")
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        made[0].join()
        os.write(writes, b"in")
        signal.pause()
    try:
        assert os.read(reads, 2) == b"in"
        assert made[0].members() == [child]
        assert clear_groups(instance, lambda _: True) == 0
        assert Path(made[0].folder).is_dir()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert clear_groups(instance, lambda _: True) == 1
    assert not Path(made[0].folder).exists()
    assert made[0].folder.startswith(GROUPS)


# --- systemd ------------------------------------------------------------------------------------


def test_a_scope_has_the_limits_and_hides_the_way_to_systemd_from_the_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    program = tmp_path / "systemd-run"
    program.write_text(
        f'#!/bin/sh\necho "$XDG_RUNTIME_DIR $*" >> {told}\n'
        'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setattr(run_groups, "SYSTEMD", str(tmp_path))
    run_groups.scopes_work.cache_clear()
    around = run_groups.scope_of(Limits(memory_mb=512, processes=64), None)
    run_groups.scopes_work.cache_clear()
    pid = os.posix_spawn(
        around[0],
        [*around, "/bin/sh", "-c", f'echo "inside: $XDG_RUNTIME_DIR" >> {told}'],
        os.environ,
    )
    assert os.waitpid(pid, 0)[1] == 0
    probe, run, inside = told.read_text().splitlines()
    assert probe.startswith("/run/user/1000 --user --scope")
    assert "-p MemoryMax=512000000 -p MemorySwapMax=0 -p TasksMax=64 --" in run
    assert inside == "inside: "


def test_without_systemd_there_is_no_scope(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_groups, "SYSTEMD", str(tmp_path / "none"))
    run_groups.scopes_work.cache_clear()
    assert run_groups.scope_of(Limits(), None) == []
    run_groups.scopes_work.cache_clear()


# --- counting -----------------------------------------------------------------------------------


def test_a_machine_with_fewer_tasks_than_the_limit_is_not_counted_through(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text("0.1 0.2 0.3 1/180 4242\n")
    assert not may_have(4096, str(tmp_path))
    assert may_have(180, str(tmp_path))
    (tmp_path / "loadavg").write_text("nonsense\n")
    assert may_have(4096, str(tmp_path))


def test_what_processes_share_is_counted_once_where_it_matters() -> None:
    uses = tree_of(os.getppid())
    assert os.getpid() in {use.pid for use in uses}
    plain = sum(use.rss for use in uses)
    assert memory_of(uses, plain) == plain
    assert 0 < memory_of(uses, 0) <= plain * 1.1


def test_a_copy_is_measured_by_its_blocks_without_following_links(tmp_path: Path) -> None:
    copy, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    for folder in (copy / "inner", elsewhere):
        folder.mkdir(parents=True)
    (elsewhere / "large").write_bytes(os.urandom(900_000))
    empty = size_of(str(copy))
    (copy / "inner" / "file").write_bytes(os.urandom(300_000))
    os.link(copy / "inner" / "file", copy / "again")
    (copy / "out").symlink_to(elsewhere)
    with open(copy / "sparse", "wb") as file:
        file.truncate(10**9)
    assert 300_000 <= size_of(str(copy)) - empty < 330_000
