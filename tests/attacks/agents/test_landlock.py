"""Agents contained by landlock and a control group, where namespaces are unavailable."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from app.adapters.engine.run_groups import clear_groups
from app.adapters.sandbox import landlock, machine
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.domain.sandbox.levels import Means, SandboxLevel, SandboxPolicy
from app.services.ports import LaunchOrder
from tests.attacks.agents.test_agents_in_sandboxes import AGENTS, wrongs_of
from tests.drivers.sandboxes import (
    ONE_USER,
    PLAIN,
    ROOT,
    USERS,
    Servers,
    Trial,
    Tried,
    prefix_of,
    program_of,
    trial_of,
)
from tests.drivers.web.run_pages import page_after
from tests.fakes.agents.runs import KeepingEngine, until
from tests.fakes.limit_breakers import EATS, FILLS_DISK, FORKS_AWAY, HUGE_FILE, LimitBreaker

TREES = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
SECONDS = 30.0
# process 1 can be killed and stopped from inside here; the consequences are tested separately
_numbers = count()
REACHES_PROCESS_1 = ("kills its supervisor", "stops its supervisor")
if problem := landlock.shortcoming():
    pytestmark = pytest.mark.skip(f"landlock is not tried on this machine: {problem}")


@dataclass(frozen=True)
class Divided(Trial):
    """A trial in a control group that its user may divide, like one that systemd delegates."""

    group: str
    servers: Servers

    def _servers(self) -> Servers:
        return self.servers

    def contain(self, script: str, **asked: object) -> Tried:
        """Run a script as the agent, contained by landlock."""
        return self.run(script, SandboxLevel.CONTAINED, Means.LANDLOCK, **asked)


@contextmanager
def divided_group(user: str) -> Iterator[str]:
    """Create a control group that the user owns; skip the test where that is impossible."""
    tree = next((one for one in TREES if os.access(f"{one}/cgroup.procs", os.W_OK)), None)
    if tree is None:
        pytest.skip(
            "landlock is not tried: this user may not make control groups of version 2 here "
            "(as root, or with a group that systemd delegates, it is)"
        )
    group = f"{tree}/runyard-test-{os.getpid()}-{next(_numbers)}"
    os.mkdir(group)
    try:
        if user == PLAIN and os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for name in ("", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
                os.chown(os.path.join(group, name), nobody.pw_uid, nobody.pw_gid)
        yield group
    finally:
        until(lambda: "populated 0" in Path(group, "cgroup.events").read_text(), "its end", SECONDS)
        for below in [entry.path for entry in os.scandir(group) if entry.is_dir()]:
            os.rmdir(below)
        os.rmdir(group)


both_users = pytest.mark.parametrize("servers_in_group", USERS, indirect=True)


@pytest.fixture(scope="module", params=ONE_USER)
def servers_in_group(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Servers]]:
    """A user, a control group that it may divide, and servers of this user in it."""
    user = request.param
    with divided_group(user) as group:
        joining = ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', group]
        servers = Servers([*joining, *prefix_of(user)], *program_of(user))
        try:
            yield user, group, servers
        finally:
            servers.end()


@pytest.fixture
def trial(servers_in_group: tuple[str, str, Servers]) -> Iterator[Divided]:
    user, group, servers = servers_in_group
    with trial_of(user) as one:
        yield Divided(user, one.place, group, servers)


def _came_of(tried: Tried) -> dict[str, str]:
    assert tried.code == 0, tried
    return dict(line.split(": ", 1) for line in tried.log.splitlines() if ": " in line)


def _try(**ways: str) -> str:
    """Return a script that prints, for each command, whether it succeeded."""
    lines = [
        f"({way}) >/dev/null 2>&1 && echo {name}: yes || echo {name}: no"
        for name, way in ways.items()
    ]
    return "\n".join([*lines, "exit 0"])


@both_users
def test_an_agent_works_in_its_copy_and_gets_at_nothing_of_runyards(trial: Divided) -> None:
    (trial.data / "mirror" / "objects").mkdir(parents=True)
    (trial.data / "mirror" / "objects" / "pack").write_text("borrowed")
    (trial.data / "mirror" / "config").write_text("[core]")
    if trial.user == PLAIN and os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", str(trial.data)], check=True)
    commit = "git -c user.name=a -c user.email=a@b commit -qm x"
    tried = trial.contain(
        _try(
            commits=f"git init -q . && echo x > file && git add file && {commit}",
            renames="mkdir a b && touch a/x && mv a/x b/x && rm -r a b",
            reads_prompt='cat "$RUNYARD_PROMPT_FILE"',
            reads_objects='cat "$DATA/mirror/objects/pack"',
            reads_home='cat "$HOME/.ssh/id_ed25519"',
            writes_home='touch "$HOME/.profile"',
            writes_null="echo x > /dev/null",
            starts_programs="python3 -c 'import json'",
            reads_token='cat "$DATA/token"',
            reads_database='cat "$DATA/runyard.db"',
            reads_config='cat "$DATA/mirror/config"',
            plants='touch "$DATA/planted"',
            removes='rm -f "$DATA/token" && [ ! -e "$DATA/token" ]',
            links='ln "$DATA/token" token',
            moves='mv "$DATA/token" token',
            writes_objects='echo x >> "$DATA/mirror/objects/pack"',
            writes_prompt='echo x >> "$RUNYARD_PROMPT_FILE"',
            reads_around='cat "/proc/self/root$DATA/token"',
            reads_supervisor='cat "/proc/$PPID/environ"',
            mounts="unshare -rm true || mount -t tmpfs none .",
            settles_elsewhere=f'echo $$ > "{trial.group}/cgroup.procs"',
            sets_the_kernel="cat /proc/sys/vm/swappiness > /proc/sys/vm/swappiness",
            has_powers="grep -q 'CapEff:.*[1-9a-f]' /proc/self/status",
        )
    )
    came = _came_of(tried)
    works = {name for name, worked in came.items() if worked == "yes"}
    assert works == {
        *("commits", "renames", "reads_prompt", "reads_objects", "reads_home", "writes_home"),
        *("writes_null", "starts_programs"),
    }
    assert tried.capability == Means.LANDLOCK


def test_names_alone_can_be_listed_and_nothing_is_made_beside_what_leads_to_runyard(
    trial: Divided,
) -> None:
    ways = {
        "lists": 'ls "$DATA" | grep -q token',
        "makes_beside": f'touch "{trial.place}/beside"',
        "makes_in_siblings": f'touch "{trial.home}/inside"',
    }
    came = _came_of(trial.contain(_try(**ways)))
    assert came == {"lists": "yes", "makes_beside": "no", "makes_in_siblings": "yes"}


@both_users
def test_an_agent_signals_nobody_outside_not_even_its_supervisor(trial: Divided) -> None:
    victim = subprocess.Popen([*trial.prefix, "sleep", "300"])
    try:
        tried = trial.contain(
            _try(
                ends_a_stranger=f"kill -9 {victim.pid}",
                ends_its_keeper="kill -9 $(ps -o ppid= -p $PPID)",
                stops_its_keeper="kill -STOP $(ps -o ppid= -p $PPID)",
                ends_its_supervisor="kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID))",
            )
        )
        assert set(_came_of(tried).values()) == {"no"}
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_an_agent_that_stops_all_it_can_reach_stops_its_own_run_alone(trial: Divided) -> None:
    stopped = trial.contain("kill -STOP -- -1; kill -STOP $$", budget=2)
    assert (stopped.reason, stopped.is_gone) == ("deadline", True)


@both_users
def test_nothing_outlives_the_run_however_it_hides(trial: Divided) -> None:
    mark = f"4321.{os.getpid()}"
    hides = f"env -i setsid sh -c 'trap \"\" TERM HUP; sleep {mark} & sleep {mark} & wait' &"
    before = set(Path(trial.group).glob("*/cgroup.procs"))
    tried = trial.contain(f"{hides} sleep 0.3; echo left; exit 0", grace=1)
    assert (tried.code, tried.is_gone) == (0, True)
    assert "left" in tried.log
    assert _with_argument(mark) == []
    of_run = set(Path(trial.group).glob("*/cgroup.procs")) - before
    assert of_run
    assert not any(one.read_text() for one in of_run)


def test_an_agent_has_its_grace_and_so_have_its_orphans(trial: Divided) -> None:
    last_words = "trap 'echo {}; exit 0' TERM; while :; do sleep 0.1; done"
    orphan = f'setsid sh -c "{last_words.format("the orphan ends")}" &'
    tried = trial.contain(f"{orphan} {last_words.format('the agent ends')}", budget=1, grace=20)
    assert tried.reason == "deadline"
    assert "the agent ends" in tried.log
    assert "the orphan ends" in tried.log


def test_no_hostile_agent_gets_through_or_outlives_its_run(trial: Divided) -> None:
    agents = {what: one for what, one in AGENTS.items() if not what.startswith(REACHES_PROCESS_1)}
    assert not wrongs_of(trial, agents, SandboxLevel.CONTAINED, Means.LANDLOCK)


@pytest.mark.parametrize(
    "agent",
    [EATS, FORKS_AWAY, FILLS_DISK, HUGE_FILE],
    ids=["memory", "processes", "disk", "file"],
)
def test_an_agent_that_takes_all_it_can_get_ends_at_its_limit(
    trial: Divided, agent: LimitBreaker
) -> None:
    tried = trial.contain(agent.script, limits=agent.limits)
    met = (tried.reason, tried.limit, tried.is_gone)
    assert met == (agent.reason, agent.limit[1], True), tried
    assert page_after(tried) == agent.seen


def test_the_record_names_the_agent_so_that_a_restart_knows_it_has_begun(trial: Divided) -> None:
    trial.contain("true", setup=["/bin/sh", "-c", "true"])
    started = json.loads((trial.data / "records" / "run_1" / "started").read_text())
    assert started["agent"]["pid"] > 0
    # landlock has no process namespace, so the agent is not the init of what it started
    assert started["init"] is None


def test_the_set_up_command_is_held_in_as_well(trial: Divided) -> None:
    tried = trial.contain("true", setup=["/bin/sh", "-c", 'cat "$DATA/token" && exit 9; exit 0'])
    assert tried.code == 0, tried


def test_without_a_group_to_divide_no_agent_is_started() -> None:
    with trial_of(PLAIN) as trial:
        tried = trial.run("true", SandboxLevel.CONTAINED, Means.LANDLOCK)
    if tried.code == 0:
        pytest.skip("this machine gives every user a control group to divide")
    assert tried.cause == "sandbox_unavailable"
    assert "Nor by landlock: This user has no control group to divide" in tried.failed


def test_a_kernel_without_signal_scopes_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for found, words in ((0, "this kernel has no landlock"), (5, "ABI 5; 6 is needed")):
        monkeypatch.setattr(landlock, "abi", lambda its=found: its)
        told = MachineSandbox(OwnPlaces(()), os.environ, [Means.LANDLOCK]).probe()
        assert (told.means, told.can(SandboxLevel.CONTAINED)) == (None, False)
        assert words in told.because


def test_it_is_taken_only_where_nothing_better_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with divided_group(ROOT):
        monkeypatch.setattr(machine.shutil, "which", lambda name: {"true": "/bin/true"}.get(name))
        told = MachineSandbox(OwnPlaces(()), os.environ).probe()
    if told.means is None:
        pytest.skip(f"not as this user: {told.because}")
    assert (told.means, list(told.levels)) == (Means.LANDLOCK, [SandboxLevel.CONTAINED])
    assert "reach sockets such as Docker's" in told.because


def test_the_end_of_the_supervisor_ends_everything_inside(tmp_path: Path) -> None:
    mark = f"5432.{os.getpid()}"
    with divided_group(ROOT):
        if not os.access(f"{TREES[0]}/cgroup.procs", os.W_OK) and os.geteuid() != 0:
            pytest.skip("this test's own process would have to be in a group of its own")
        sandbox = MachineSandbox(OwnPlaces(()), os.environ, [Means.LANDLOCK])
        engine = KeepingEngine(tmp_path / "records", instance="landlocked", sandbox=sandbox)
        workdir = tmp_path / "copy"
        workdir.mkdir()
        order = LaunchOrder(
            run_id="run_1",
            argv=["/bin/sh", "-c", f"env -i setsid sleep {mark} & sleep {mark}"],
            workdir=workdir,
            env={"PATH": os.environ["PATH"]},
            budget_seconds=300,
            grace_seconds=1,
            log_cap_bytes=10_000,
            prompt="Do what you can.",
            policy=SandboxPolicy(level=SandboxLevel.CONTAINED),
        )
        supervisor = engine.start(order)
        until(lambda: len(_with_argument(mark)) >= 2, "the agent and its daemon", SECONDS)
        assert not engine.see("run_1").tree_gone
        os.kill(supervisor.pid, signal.SIGKILL)
        until(lambda: not _with_argument(mark), "the end of both", SECONDS)
        until(lambda: not engine.owned(), "the end of the keeper", SECONDS)
        sight = engine.see("run_1")
        assert (sight.alive, sight.exit, sight.tree_gone) == (False, None, True)
        unheld = {**(engine.kept("run_1") or {}), "landlocked": False}
        assert not engine.inspect("run_1", unheld).tree_gone
        engine.close()
        # the group is the proof; it is cleared with the groups of runs that are over
        assert clear_groups("landlocked", lambda run_id: run_id == "run_1") >= 1


def _with_argument(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sleep", mark.encode()]:
                found.append(int(entry.name))
    return found
