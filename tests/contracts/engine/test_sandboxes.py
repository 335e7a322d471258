"""The contract of a sandbox: it hides, it reports its limits, and nothing outlives it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from app.adapters.engine.local import LocalEngine
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.adapters.supervisor.kernel import descendants
from app.domain.sandbox.levels import HostService, Means, SandboxLevel, SandboxPolicy
from app.services.ports import Enclosure, LaunchFailed, ProcessMark, SandboxUnavailable
from tests.drivers.sandboxes import WAYS, mounted, with_programs
from tests.fakes.agents.runs import (
    RUN,
    Ears,
    KeepingEngine,
    carrying,
    order,
    run_to_end,
    shell,
    until,
)

CONTAINED = SandboxPolicy(SandboxLevel.CONTAINED)
CONTAINING = [way for way in WAYS if way[1] is SandboxLevel.CONTAINED]
BY_NAMESPACES = [way for way in WAYS if way[0] is Means.NAMESPACES]
IN_A_SANDBOX = [way for way in WAYS if way[1] is not SandboxLevel.NONE]
REFUSES = """#!/bin/sh
echo 'bwrap: setting up uid map: Permission denied' >&2
exit 1
"""
TOO_OLD = """#!/bin/sh
case "$*" in *--perms*) echo 'bwrap: Unknown option --perms' >&2; exit 1;; esac
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""

# passes the probe, and exits silently once a run needs it
FALLS_SILENT = """#!/bin/sh
case "$*" in *init.py*) exit 1;; esac
"""


def look(own: OwnPlaces, means: Means, script: str, copy: Path) -> str:
    """Run a shell script in a contained sandbox; return its output."""
    wrap = MachineSandbox(own, os.environ, [means]).wrap(Enclosure(RUN, copy), CONTAINED)
    done = subprocess.run([*wrap, "/bin/sh", "-c", script], capture_output=True, text=True)
    return done.stdout


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_the_data_folder_is_hidden_by_whatever_path_it_is_reached(
    tmp_path: Path, means: Means, level: SandboxLevel
) -> None:
    data = tmp_path / "data"
    (data / "copies" / RUN).mkdir(parents=True)
    (data / "token").write_text("secret")
    (link := tmp_path / "link").symlink_to(data)
    for own in (OwnPlaces((data,)), OwnPlaces((link,))):
        for path in (data, link):
            found = look(own, means, f"cat {path}/token; ls {path}", path / "copies" / RUN)
            assert found == "copies\n"


@pytest.mark.parametrize(("means", "level"), CONTAINING)
@pytest.mark.parametrize("part", ["", "inner"])
def test_a_second_mount_of_the_data_folder_or_a_part_of_it_is_hidden_too(
    tmp_path: Path, means: Means, level: SandboxLevel, part: str
) -> None:
    data = tmp_path / "data"
    (data / "inner").mkdir(parents=True)
    (copy := tmp_path / "copy").mkdir()
    for folder in (data, data / "inner"):
        (folder / "token").write_text("secret")
    for shown in (tmp_path, data / part):
        with mounted(shown, tmp_path.parent / f"{tmp_path.name}-again") as again:
            everything = f"find {again} {data} -name token -exec cat {{}} +"
            assert look(OwnPlaces((data,)), means, everything, copy) == ""


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_a_database_elsewhere_is_hidden_with_its_journals(
    tmp_path: Path, means: Means, level: SandboxLevel
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "notes.txt").write_text("notes\n")
    database = sqlite3.connect(shared / "runyard.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE token (secret)")
    own = OwnPlaces((), (shared / "runyard.db",))
    found = look(own, means, f"cat {shared}/runyard.db* ; cat {shared}/notes.txt", tmp_path)
    database.close()
    assert found == "notes\n"


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_a_database_with_a_folder_to_itself_is_hidden_with_the_folder(
    tmp_path: Path, means: Means, level: SandboxLevel
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "runyard.db").write_text("secret")
    found = look(OwnPlaces((), (alone / "runyard.db",)), means, f"ls {alone}", tmp_path)
    assert found == ""


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_a_service_is_there_only_where_the_project_allows_it(
    tmp_path: Path, means: Means, level: SandboxLevel
) -> None:
    (docker := tmp_path / "docker.sock").write_text("a socket")
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    for allow, seen in (((), ""), ((HostService.DOCKER,), "a socket")):
        sandbox = MachineSandbox(OwnPlaces(()), environment, [means])
        policy = SandboxPolicy(level, allow=allow)
        wrap = sandbox.wrap(Enclosure(RUN, tmp_path / "copy"), policy)
        done = subprocess.run([*wrap, "/bin/cat", str(docker)], capture_output=True, text=True)
        assert done.stdout == seen


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_what_is_mounted_inside_the_data_folder_is_hidden_where_else_it_is_seen(
    tmp_path: Path, means: Means, level: SandboxLevel
) -> None:
    (data := tmp_path / "data").mkdir()
    (disk := tmp_path / "disk").mkdir()
    (copy := tmp_path / "copy").mkdir()
    (disk / "mirrors").mkdir()
    (disk / "mirrors" / "token").write_text("secret")
    (disk / "notes.txt").write_text("notes\n")
    with mounted(disk / "mirrors", data / "mirrors"):
        everything = f"cat {data}/mirrors/token {disk}/mirrors/token {disk}/notes.txt"
        assert look(OwnPlaces((data,)), means, everything, copy) == "notes\n"


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_a_database_behind_a_link_is_hidden_where_it_is_with_its_journals(
    tmp_path: Path, means: Means, level: SandboxLevel
) -> None:
    (disk := tmp_path / "disk").mkdir()
    for name in ("real.db", "real.db-wal", "notes.txt"):
        (disk / name).write_text(f"{name}\n")
    (link := tmp_path / "runyard.db").symlink_to(disk / "real.db")
    assert look(OwnPlaces((), (link,)), means, f"cat {disk}/*", tmp_path) == "notes.txt\n"


@pytest.mark.parametrize(("means", "level"), CONTAINING)
def test_a_disk_is_hidden_by_its_other_devices_too(means: Means, level: SandboxLevel) -> None:
    device = Path(f"/dev/sg{os.getpid()}")
    try:
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except OSError as problem:
        pytest.skip(f"no device can be made here: {problem}")
    try:
        assert look(OwnPlaces(()), means, f"head -c 3 {device} | wc -c", Path("/")) == "0\n"
    finally:
        device.unlink()


def test_a_run_without_a_sandbox_is_refused_where_that_is_forbidden(tmp_path: Path) -> None:
    none = SandboxPolicy(SandboxLevel.NONE)
    assert MachineSandbox(OwnPlaces(()), os.environ).wrap(Enclosure(RUN, tmp_path), none) == []
    sandbox = MachineSandbox(OwnPlaces(()), os.environ, allows_none=False)
    assert not sandbox.probe().can(SandboxLevel.NONE)
    with pytest.raises(SandboxUnavailable, match="agents stay in a sandbox"):
        sandbox.wrap(Enclosure(RUN, tmp_path), none)


def test_once_a_folder_above_the_data_folder_was_moved_no_agent_is_started(tmp_path: Path) -> None:
    (data := tmp_path / "share" / "data").mkdir(parents=True)
    sandbox = MachineSandbox(OwnPlaces((data,)), os.environ)
    if not sandbox.probe().can(SandboxLevel.CONTAINED):
        pytest.skip(sandbox.probe().because)
    assert sandbox.wrap(Enclosure(RUN, tmp_path), CONTAINED)
    (tmp_path / "share").rename(tmp_path / "aside")
    with pytest.raises(SandboxUnavailable, match="was moved or replaced"):
        sandbox.wrap(Enclosure(RUN, tmp_path), CONTAINED)
    data.mkdir(parents=True)
    with pytest.raises(SandboxUnavailable, match="was moved or replaced"):
        sandbox.wrap(Enclosure(RUN, tmp_path), CONTAINED)
    shutil.rmtree(tmp_path / "share")
    (tmp_path / "share").symlink_to(tmp_path / "aside")
    assert sandbox.wrap(Enclosure(RUN, tmp_path), CONTAINED)


@pytest.mark.parametrize(("means", "level"), CONTAINING)
@pytest.mark.parametrize("address", ["unix://{}", "unix:path={},guid=1", "{}"])
def test_a_service_is_hidden_where_the_environment_says_it_is(
    tmp_path: Path, means: Means, level: SandboxLevel, address: str
) -> None:
    (named := tmp_path / "elsewhere.sock").write_text("a socket")
    environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(tmp_path)}
    for variable, service in (
        ("DOCKER_HOST", HostService.DOCKER),
        ("DBUS_SESSION_BUS_ADDRESS", HostService.DBUS),
    ):
        own = {**environment, variable: address.format(named)}
        sandbox = MachineSandbox(OwnPlaces(()), own, [means])
        for allow, seen in (((), ""), ((service,), "a socket")):
            policy = SandboxPolicy(level, allow=allow)
            wrap = sandbox.wrap(Enclosure(RUN, tmp_path / "copy"), policy)
            done = subprocess.run([*wrap, "/bin/cat", str(named)], capture_output=True, text=True)
            assert done.stdout == seen


def test_the_users_own_services_are_hidden_also_where_the_runtime_folder_is_another(
    tmp_path: Path,
) -> None:
    usual = Path(f"/run/user/{os.getuid()}")
    if os.geteuid() != 0 or usual.exists():
        pytest.skip(f"{usual} is not for a test to make")
    (usual / "systemd").mkdir(parents=True)
    try:
        places = OwnPlaces(()).hidden((), {"XDG_RUNTIME_DIR": str(tmp_path)})
        assert usual / "systemd" in places.folders
    finally:
        shutil.rmtree(usual)


def test_a_bubblewrap_too_old_for_what_a_start_does_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_programs(tmp_path, monkeypatch, bwrap=TOO_OLD)
    found = MachineSandbox(OwnPlaces(()), os.environ).probe()
    assert found.means is not Means.BUBBLEWRAP
    assert "Unknown option --perms" in found.because


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_keys_of_the_machine_are_hidden_from_root_that_is_sandboxed(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may read them at all")
    folder, key = Path("/etc/ssl/private"), Path(f"/etc/ssh/ssh_host_test{os.getpid()}_key")
    if not (folder.is_dir() and key.parent.is_dir()):
        pytest.skip(f"there is no {folder} or no {key.parent} here")
    (certificate := folder / f"test-{os.getpid()}.key").write_text("secret")
    key.write_text("secret")
    try:
        sandbox = MachineSandbox(OwnPlaces(()), os.environ, [Means.BUBBLEWRAP])
        policy = SandboxPolicy(SandboxLevel.SANDBOXED)
        wrap = sandbox.wrap(Enclosure(RUN, tmp_path), policy)
        script = f"cat {certificate} {key}; echo over"
        done = subprocess.run([*wrap, "/bin/sh", "-c", script], capture_output=True, text=True)
        assert done.stdout == "over\n"
    finally:
        certificate.unlink()
        key.unlink()


def test_where_bubblewrap_is_refused_agents_are_contained_by_namespaces_and_it_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_programs(tmp_path, monkeypatch, bwrap=REFUSES)
    sandbox = MachineSandbox(OwnPlaces(()), os.environ)
    found = sandbox.probe()
    assert found.means is Means.NAMESPACES
    assert found.can(SandboxLevel.CONTAINED)
    assert not found.can(SandboxLevel.SANDBOXED)
    assert found.because == (
        "The level sandboxed is not available on this machine: "
        "bwrap: setting up uid map: Permission denied."
    )
    with pytest.raises(SandboxUnavailable, match="Permission denied"):
        sandbox.wrap(Enclosure(RUN, tmp_path), SandboxPolicy(SandboxLevel.SANDBOXED))


def test_what_was_installed_since_is_found_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.environ["PATH"]
    with_programs(tmp_path, monkeypatch, bwrap=REFUSES)
    sandbox = MachineSandbox(OwnPlaces(()), os.environ, [Means.BUBBLEWRAP])
    assert sandbox.probe().means is None
    monkeypatch.setenv("PATH", original)
    assert sandbox.wrap(Enclosure(RUN, tmp_path), CONTAINED)


def test_where_nothing_can_contain_it_says_so_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = MachineSandbox(OwnPlaces(()), os.environ, [Means.BUBBLEWRAP]).probe()
    assert (found.means, tuple(found.levels)) == (None, ())
    assert found.can(SandboxLevel.NONE)
    assert found.because.startswith("Agents cannot be contained on this machine:")
    assert "apt install bubblewrap" in found.remedy


def test_without_a_sandbox_nothing_is_started_instead(tmp_path: Path, workdir: Path) -> None:
    sandbox = MachineSandbox(OwnPlaces(()), os.environ, [])
    engine = LocalEngine(tmp_path / "runs", instance="alone", sandbox=sandbox)
    ran = order(RUN, workdir, shell("touch ran"), policy=CONTAINED)
    with pytest.raises(LaunchFailed, match="cannot be contained") as failure:
        engine.launch(ran, lambda kept: None)
    assert failure.value.cause == "sandbox_unavailable"
    assert list(workdir.iterdir()) == []
    engine.close()


def test_a_sandbox_that_ends_without_a_word_is_said_to(
    tmp_path: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_programs(tmp_path, monkeypatch, bwrap=FALLS_SILENT)
    sandbox = MachineSandbox(OwnPlaces(()), os.environ, [Means.BUBBLEWRAP])
    engine = LocalEngine(tmp_path / "runs", instance="silent", sandbox=sandbox)
    with pytest.raises(LaunchFailed) as failure:
        engine.launch(order(RUN, workdir, shell("touch ran"), policy=CONTAINED), lambda kept: None)
    assert failure.value.cause == "sandbox_unavailable"
    assert str(failure.value) == (
        "The agent's sandbox could not be made: it ended without a word. "
        "`runyard doctor` says what this machine can do."
    )
    engine.close()


@pytest.mark.parametrize("engine", IN_A_SANDBOX, indirect=True)
def test_what_the_setup_command_starts_is_there_for_the_agent(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    os.mkfifo(workdir / "asked")
    setup = shell("(read x < asked; echo served > answer) & echo set up")
    sight = run_to_end(
        engine,
        ears,
        workdir,
        shell("echo go > asked; while [ ! -s answer ]; do sleep 0.02; done; cat answer"),
        setup=setup,
    )
    assert sight.exit is not None
    assert engine.log(RUN).read().content == b"set up\nserved\n"


@pytest.mark.parametrize("engine", IN_A_SANDBOX, indirect=True)
def test_an_agent_that_reads_its_prompt_cannot_change_what_it_was_given(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    forges = shell("cat; echo forged > /proc/self/fd/0; echo; echo tried")
    sight = run_to_end(engine, ears, workdir, forges, prompt="Do it.", reads_prompt=True)
    assert sight.exit is not None
    assert engine.log(RUN).read().content.endswith(b"Do it.\ntried\n")
    assert engine.prompt_file(RUN).read_text() == "Do it."


@pytest.mark.parametrize("engine", IN_A_SANDBOX, indirect=True)
@pytest.mark.parametrize("victim", ["supervisor", "wrapper", "process 1"])
def test_nothing_inside_outlives_the_supervisor_the_wrapper_or_process_1(
    engine: KeepingEngine, ears: Ears, workdir: Path, victim: str
) -> None:
    mark = f"hostile-{os.getpid()}-{victim.replace(' ', '')}"
    daemon = f"env -i setsid sh -c 'sleep 300; : {mark}' & echo ready; sleep 300"
    supervisor = engine.start(order(RUN, workdir, shell(daemon)))
    ears.wait_for_text(RUN, b"ready")
    assert carrying(mark)
    os.kill(_pid_of(victim, supervisor), signal.SIGKILL)
    until(lambda: not carrying(mark), "the end of everything inside")
    until(lambda: engine.see(RUN).tree_gone, "the proof")


@pytest.mark.parametrize("engine", IN_A_SANDBOX, indirect=True)
def test_process_1_has_no_file_open_that_leads_around_what_is_hidden(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may list the files of process 1")
    supervisor = engine.start(order(RUN, workdir, shell("echo ready; sleep 300")))
    ears.wait_for_text(RUN, b"ready")
    files = Path(f"/proc/{_pid_of('process 1', supervisor)}/fd")
    found = {os.readlink(file) for file in files.iterdir()}
    known = ("socket:[", "pipe:[", "/dev/null", "/memfd:words ")
    assert not [name for name in found if not name.startswith(known)]


@pytest.mark.parametrize("engine", BY_NAMESPACES, indirect=True)
def test_a_start_by_util_linux_waits_for_one_python_not_for_two(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    supervisor = engine.start(order(RUN, workdir, shell("echo ready; sleep 300")))
    ears.wait_for_text(RUN, b"ready")
    line = Path(f"/proc/{_pid_of('process 1', supervisor)}/cmdline").read_bytes()
    # process 1 is still the process that made the mounts: it did not exec another Python
    assert b"enter" in line.split(b"\0")


def _pid_of(victim: str, supervisor: ProcessMark) -> int:
    pid = supervisor.pid
    if victim == "supervisor":
        return pid
    own = [stat for stat in descendants([pid]) if stat.parent == pid]
    if victim == "wrapper":
        return own[0].pid
    [first] = [stat for stat in descendants([own[0].pid]) if stat.parent == own[0].pid]
    return first.pid
