"""Agents that take all they can get: each is ended at its limit, with the figure, and alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.supervisor.cgroups import GROUPS
from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import (
    ONE_USER,
    PLAIN,
    ROOT,
    Trial,
    Tried,
    in_soak,
    trial_of,
    users_and_ways,
)
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

# root's runs are held by control groups where there are any, a plain user's by Runyard's own count
ROOT_ALONE = (ROOT, None, SandboxLevel.NONE)
ROOT_CONTAINED = (ROOT, Means.BUBBLEWRAP, SandboxLevel.CONTAINED)
PLAIN_ALONE = (PLAIN, None, SandboxLevel.NONE)
PLAIN_CONTAINED = (PLAIN, Means.NAMESPACES, SandboxLevel.CONTAINED)
PLAIN_SANDBOXED = (PLAIN, Means.BUBBLEWRAP, SandboxLevel.SANDBOXED)


@pytest.fixture
def trial(user: str) -> Iterator[Trial]:
    """A trial as root or as a plain user."""
    with trial_of(user) as trial:
        yield trial


one_user = pytest.mark.parametrize("user", ONE_USER)


@users_and_ways(ROOT_ALONE, PLAIN_SANDBOXED)
@pytest.mark.parametrize("agent", [EATS, in_soak(EATS_IN_PARTS)], ids=["one process", "children"])
def test_an_agent_that_eats_memory_ends_at_its_own_limit(
    trial: Trial, means: Means | None, level: SandboxLevel, agent: LimitBreaker
) -> None:
    meets_its_limit(trial, means, level, agent)


@users_and_ways(ROOT_CONTAINED, PLAIN_CONTAINED)
@pytest.mark.parametrize("agent", [in_soak(FORKS), FORKS_AWAY], ids=["children", "daemons"])
def test_a_fork_bomb_ends_at_its_own_limit_with_all_it_started(
    trial: Trial, means: Means | None, level: SandboxLevel, agent: LimitBreaker
) -> None:
    assert not meets_its_limit(trial, means, level, agent).groups


@users_and_ways(PLAIN_CONTAINED)
def test_an_agent_that_fills_its_copy_ends_at_its_quota(
    trial: Trial, means: Means | None, level: SandboxLevel
) -> None:
    meets_its_limit(trial, means, level, FILLS_DISK)


def meets_its_limit(
    trial: Trial, means: Means | None, level: SandboxLevel, agent: LimitBreaker
) -> Tried:
    """Run an agent, and assert that its limit ends it with all it started, as its page says."""
    tried = trial.run(agent.script, level, means, limits=agent.limits)
    met = (tried.reason, tried.limit, tried.is_gone)
    assert met == (agent.reason, agent.limit[1], True), tried
    assert page_after(tried) == agent.seen
    return tried


@one_user
def test_what_only_looks_large_is_no_quota_met(trial: Trial) -> None:
    tried = trial.run(LOOKS_LARGE, SandboxLevel.NONE, limits={"disk_mb": 16})
    assert (tried.reason, tried.code) == ("exited", 7), tried


@users_and_ways(ROOT_CONTAINED, PLAIN_ALONE)
@pytest.mark.parametrize(
    "agent", [HUGE_FILE, in_soak(HUGE_FILE_AFTER_ALL)], ids=["by the signal", "by the error"]
)
def test_an_agent_that_writes_a_huge_file_is_stopped_at_it(
    trial: Trial, means: Means | None, level: SandboxLevel, agent: LimitBreaker
) -> None:
    meets_its_limit(trial, means, level, agent)
    assert (trial.data / "copies" / "run_1" / "huge").stat().st_size == 1000**2


@one_user
@pytest.mark.parametrize("script", HUGE_COMMITS.values(), ids=list(HUGE_COMMITS))
def test_an_agent_whose_git_meets_the_limit_for_a_file_ends_at_it(
    trial: Trial, script: str
) -> None:
    tried = trial.run(script, SandboxLevel.NONE, limits={"file_mb": 1})
    assert (tried.reason, tried.limit, tried.is_gone) == ("file_limit", 1, True), tried


@one_user
def test_without_a_limit_for_a_file_the_words_of_one_prove_nothing(trial: Trial) -> None:
    tried = trial.run("echo 'File size limit exceeded'; exit 1", SandboxLevel.NONE)
    assert (tried.reason, tried.code) == ("exited", 1), tried


@pytest.mark.parametrize(
    ("user", "level"),
    [
        (ROOT, SandboxLevel.NONE),
        (PLAIN, SandboxLevel.SANDBOXED),
        in_soak(PLAIN, SandboxLevel.NONE),
        in_soak(ROOT, SandboxLevel.SANDBOXED),
        *(in_soak(user, SandboxLevel.CONTAINED) for user in (ROOT, PLAIN)),
    ],
)
def test_a_setup_command_is_held_to_the_limits_too(trial: Trial, level: SandboxLevel) -> None:
    setup = ["/bin/sh", "-c", EATS.script]
    tried = trial.run("true", level, setup=setup, limits=EATS.limits)
    assert tried.failed == (
        "The project's setup command was ended: the run's limit of 160 MB of memory was reached."
    )


@users_and_ways(ROOT_ALONE, PLAIN_SANDBOXED)
def test_an_agent_within_its_limits_never_meets_them(
    trial: Trial, means: Means | None, level: SandboxLevel
) -> None:
    most = {"memory_mb": 500, "processes": 200, "file_mb": 5, "disk_mb": 50}
    tried = trial.run("head -c 100000 /dev/zero > file && sleep 1.5", level, means, limits=most)
    assert (tried.reason, tried.code, tried.limit) == ("exited", 0, None), tried
    assert tried.limits.startswith("memory 500 MB by ")
    assert " · 200 processes by " in tried.limits
    assert tried.limits.endswith(" · files 5 MB · disk 50 MB")
    assert not tried.groups


@one_user
def test_a_run_has_a_limit_of_processes_unless_it_is_taken_away(trial: Trial) -> None:
    tried = trial.run("true", SandboxLevel.NONE)
    assert tried.limits.startswith("4,096 processes by ")
    tried = trial.run("true", SandboxLevel.NONE, run="run_2", limits={"processes": None})
    assert (tried.code, tried.limits) == (0, "")


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
