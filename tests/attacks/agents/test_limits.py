"""Agents that take all they can get: each is ended at its limit, with the figure, and alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.supervisor.cgroups import GROUPS
from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import PLAIN, ROOT, USERS, Trial, Tried, trial_of
from tests.drivers.web.run_pages import page_after
from tests.fakes.limit_breakers import (
    EATS,
    EATS_IN_PARTS,
    FILLS_DISK,
    FORKS,
    FORKS_AWAY,
    HUGE_COMMITS,
    HUGE_FILE,
    HUGE_FILE_AFTER_ALL,
    LOOKS_LARGE,
    LimitBreaker,
)

Way = tuple[Means | None, SandboxLevel]
WAYS: list[Way] = [
    (None, SandboxLevel.NONE),
    (Means.BUBBLEWRAP, SandboxLevel.CONTAINED),
    (Means.BUBBLEWRAP, SandboxLevel.SANDBOXED),
    (Means.NAMESPACES, SandboxLevel.CONTAINED),
]


def also(agent: LimitBreaker) -> Any:
    """Another way to reach the same limit, tried only by the soak tests."""
    return pytest.param(agent, marks=pytest.mark.soak)


@pytest.fixture(params=USERS)
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A trial as root or as a plain user."""
    with trial_of(request.param) as trial:
        yield trial


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[1]}-{way[0] or 'alone'}")
def way(request: pytest.FixtureRequest) -> Way:
    """The means and level at which the agent is contained."""
    return request.param


@pytest.mark.parametrize("agent", [EATS, also(EATS_IN_PARTS)], ids=["one process", "children"])
def test_an_agent_that_eats_memory_ends_at_its_own_limit(
    trial: Trial, way: Way, agent: LimitBreaker
) -> None:
    meets_its_limit(trial, way, agent)


@pytest.mark.parametrize("agent", [also(FORKS), FORKS_AWAY], ids=["children", "daemons"])
def test_a_fork_bomb_ends_at_its_own_limit_with_all_it_started(
    trial: Trial, way: Way, agent: LimitBreaker
) -> None:
    assert not meets_its_limit(trial, way, agent).groups


def test_an_agent_that_fills_its_copy_ends_at_its_quota(trial: Trial, way: Way) -> None:
    meets_its_limit(trial, way, FILLS_DISK)


def meets_its_limit(trial: Trial, way: Way, agent: LimitBreaker) -> Tried:
    """Run an agent, and assert that its limit ends it with all it started, as its page says."""
    means, level = way
    tried = trial.run(agent.script, level, means, limits=agent.limits)
    met = (tried.reason, tried.limit, tried.is_gone)
    assert met == (agent.reason, agent.limit[1], True), tried
    assert page_after(tried) == agent.seen
    return tried


def test_what_only_looks_large_is_no_quota_met(trial: Trial) -> None:
    tried = trial.run(LOOKS_LARGE, SandboxLevel.NONE, limits={"disk_mb": 16})
    assert (tried.reason, tried.code) == ("exited", 7), tried


@pytest.mark.parametrize(
    "agent", [HUGE_FILE, also(HUGE_FILE_AFTER_ALL)], ids=["by the signal", "by the error"]
)
def test_an_agent_that_writes_a_huge_file_is_stopped_at_it(
    trial: Trial, way: Way, agent: LimitBreaker
) -> None:
    meets_its_limit(trial, way, agent)
    assert (trial.data / "copies" / "run_1" / "huge").stat().st_size == 1000**2


@pytest.mark.parametrize("script", HUGE_COMMITS.values(), ids=list(HUGE_COMMITS))
def test_an_agent_whose_git_meets_the_limit_for_a_file_is_told_so(
    trial: Trial, script: str
) -> None:
    tried = trial.run(script, SandboxLevel.NONE, limits={"file_mb": 1})
    assert (tried.reason, tried.limit, tried.is_gone) == ("file_limit", 1, True), tried
    # without that limit, the same output proves nothing
    said = "echo 'File size limit exceeded'; exit 1"
    free = trial.run(said, SandboxLevel.NONE, run="run_2")
    assert (free.reason, free.code) == ("exited", 1), free


@pytest.mark.parametrize("level", list(SandboxLevel))
def test_a_setup_command_is_held_to_the_limits_too(trial: Trial, level: SandboxLevel) -> None:
    setup = ["/bin/sh", "-c", EATS.script]
    tried = trial.run("true", level, setup=setup, limits=EATS.limits)
    assert tried.failed == (
        "The project's setup command was ended: the run's limit of 160 MB of memory was reached."
    )


def test_an_agent_within_its_limits_never_meets_them(trial: Trial, way: Way) -> None:
    means, level = way
    most = {"memory_mb": 500, "processes": 200, "file_mb": 5, "disk_mb": 50}
    tried = trial.run("head -c 100000 /dev/zero > file && sleep 1.5", level, means, limits=most)
    assert (tried.reason, tried.code, tried.limit) == ("exited", 0, None), tried
    assert tried.limits.startswith("memory 500 MB by ")
    assert " · 200 processes by " in tried.limits
    assert tried.limits.endswith(" · files 5 MB · disk 50 MB")
    assert not tried.groups


def test_a_run_has_a_limit_of_processes_unless_somebody_takes_it_away(trial: Trial) -> None:
    tried = trial.run("true", SandboxLevel.NONE)
    assert tried.limits.startswith("4,096 processes by ")
    tried = trial.run("true", SandboxLevel.NONE, limits={"processes": None})
    assert tried.limits == ""


# --- enforcement, as far as this machine supports it --------------------------------------------


def is_writable(controller: str) -> bool:
    """Return True where control groups of version 1 can be created."""
    return os.access(f"{GROUPS}/{controller}/cgroup.procs", os.W_OK)


def test_root_is_held_by_control_groups_of_version_1() -> None:
    if not (is_writable("memory") and is_writable("pids")):
        pytest.skip("this machine has no control groups (version 1) that can be written to")
    with trial_of(ROOT) as trial:
        tried = trial.run("true", SandboxLevel.NONE, limits={"memory_mb": 500})
        assert tried.limits == "memory 500 MB by cgroup v1 · 4,096 processes by cgroup v1"


def test_control_groups_of_version_2_hold_a_run_where_they_were_delegated() -> None:
    group = Path(GROUPS)
    given = group / "cgroup.controllers"
    if not given.exists() or not {"memory", "pids"} <= set(given.read_text().split()):
        pytest.skip(
            "this machine has no control groups of version 2 with memory and pids: that they "
            "hold a run is not shown here"
        )
    with trial_of(ROOT) as trial:
        tried = trial.run(FORKS.script, SandboxLevel.NONE, limits=FORKS.limits)
        if "cgroup v2" not in tried.limits:
            pytest.skip("no control group of version 2 was delegated to this user")
        assert (tried.reason, tried.limit, tried.is_gone) == ("too_many_processes", 60, True)


def test_a_scope_of_systemds_holds_a_run_where_there_is_systemd() -> None:
    if shutil.which("systemd-run") is None or not Path("/run/systemd/system").is_dir():
        pytest.skip("no systemd is at work on this machine: that a scope holds a run is not shown")
    with trial_of(PLAIN) as trial:
        tried = trial.run(FORKS.script, SandboxLevel.NONE, limits=FORKS.limits)
        if "systemd" not in tried.limits:
            pytest.skip("systemd makes no scopes for this user")
        assert (tried.reason, tried.limit, tried.is_gone) == ("too_many_processes", 60, True)


def test_a_plain_user_without_any_of_it_is_held_by_our_own_count() -> None:
    with trial_of(PLAIN) as trial:
        tried = trial.run("true", SandboxLevel.NONE, limits={"memory_mb": 500})
        if "cgroup" in tried.limits or "systemd" in tried.limits:
            pytest.skip(f"this machine has something better for plain users: {tried.limits}")
        assert tried.limits == (
            "memory 500 MB by Runyard's own count · 4,096 processes by Runyard's own count"
        )
