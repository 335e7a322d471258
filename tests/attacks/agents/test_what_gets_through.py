"""Every row of the table in docs/operating.md of an agent's reach, tried by an agent."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import PLAIN, ROOT, USERS, WAYS, Trial, trial_of

DOCS = Path(__file__).parents[3] / "docs" / "operating.md"
HEADER = "| an agent can … | `contained` | `sandboxed` | `none` |"
# the words of a cell, and the users for whom the attempt succeeds
CELLS = {"yes": (ROOT, PLAIN), "no": (), "root": (ROOT,), "plain users": (PLAIN,)}
CONNECT = """python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' """
# by table row: exits 0 where the agent gets through
SCRIPTS = {
    "work and commit in its own working copy": (
        "git init -q . && echo x > file && git add file && "
        "git -c user.name=a -c user.email=a@b commit -qm x"
    ),
    "read Runyard's token, database, mirrors and other runs": 'grep -q operator "$DATA/token"',
    "write into Runyard's data folder": 'touch "$DATA/planted"',
    "see and signal processes of the same user": (
        'for p in /proc/[0-9]*; do grep -qs "$VICTIM" $p/cmdline && '
        '[ "$(tr "\\0" " " < $p/cmdline)" = "sleep $VICTIM " ] && kill -0 ${p#/proc/} && exit 0; '
        "done; exit 1"
    ),
    "read the home folder: SSH keys, other checkouts, sign-ins": 'cat "$HOME/.ssh/id_ed25519"',
    "write there what runs later as the user, such as `.profile`": 'touch "$HOME/.profile"',
    "use Docker, Podman or containerd": CONNECT + '"$XDG_RUNTIME_DIR/docker.sock"',
    "use the user's D-Bus and systemd": CONNECT + '"$XDG_RUNTIME_DIR/bus"',
    "use other sockets of the user: SSH agent, tmux, X11": CONNECT + '"$OTHER_SOCKET"',
    "connect to what listens on 127.0.0.1": 'exec 3<>"/dev/tcp/127.0.0.1/$LISTENING"',
    "use an abstract unix socket": CONNECT.replace("sys.argv[1]", '"\\0" + sys.argv[1]')
    + '"$ABSTRACT"',
    "read and write other programs' files in `/tmp`": 'cat "$SHARED_FILE"',
    "read and write POSIX shared memory": 'cat "$SHARED_MEMORY"',
    "use System V shared memory and queues": '[ "$(readlink /proc/self/ns/ipc)" = "$IPC" ]',
    "change the kernel's settings": (
        "was=$(cat /proc/sys/vm/swappiness) && echo $was > /proc/sys/vm/swappiness"
    ),
    "read disks below their file systems": (
        "for disk in $(find /dev -type b); do [ -b $disk ] && : < $disk && exit 0; done; exit 1"
    ),
    "move to another control group": 'echo $$ > "$GROUP/cgroup.procs"',
    "gain rights by setuid programs, such as sudo": "grep -q 'NoNewPrivs:.*0' /proc/self/status",
    "use devices, such as `/dev/fuse`, as their modes allow": "[ -e /dev/fuse ]",
    "read `/etc/shadow`": "[ -s /etc/shadow ] && cat /etc/shadow",
    "create user namespaces, which its own sandboxes need": ("unshare --user --map-root-user true"),
}

# files that these rows create outside; inside a sandbox they may land in a private folder
PLANTED = {
    "write into Runyard's data folder": "data/planted",
    "write there what runs later as the user, such as `.profile`": "home/.profile",
}


def rows() -> dict[str, list[str]]:
    """Return the table: the cells of each row, by what an agent can do."""
    lines = iter(DOCS.read_text().splitlines())
    for line in lines:
        if line == HEADER:
            break
    else:
        raise AssertionError(f"docs/operating.md has no table that begins {HEADER!r}")
    next(lines)
    found = {}
    for line in lines:
        if not line.startswith("|"):
            break
        what, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[what] = cells
    return found


def test_every_row_of_the_table_is_tried_and_every_trial_has_its_row() -> None:
    assert set(rows()) == set(SCRIPTS)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize(("means", "level"), WAYS, ids=lambda one: str(one))
def test_an_agent_gets_through_where_the_table_says_so_and_nowhere_else(
    user: str, means: Means | None, level: SandboxLevel
) -> None:
    with trial_of(user) as trial, surroundings(trial) as (environment, left_out):
        lines = [
            f"(bash -c {_quoted(script)}) >/dev/null 2>&1 && echo 'THROUGH {number}'"
            for number, script in enumerate(SCRIPTS.values())
        ]
        tried = trial.run("\n".join([*lines, "exit 0"]), level, means, env=environment)
        planted = {what for what, file in PLANTED.items() if (trial.place / file).exists()}
    said = {int(line.split()[1]) for line in tried.log.splitlines() if "THROUGH" in line}
    table = rows()
    column = list(SandboxLevel).index(level)
    wrong = []
    for number, what in enumerate(SCRIPTS):
        if what in left_out:
            continue
        cell = table[what][column]
        got_through = what in planted if what in PLANTED else number in said
        if got_through != (user in CELLS[cell]):
            wrong.append(f"{what}: the table says {cell}, it got through: {got_through}")
    assert tried.code == 0, tried
    assert not wrong, "\n".join(wrong)


@contextmanager
def surroundings(trial: Trial) -> Iterator[tuple[dict[str, str], set[str]]]:
    """Create the targets an agent could reach; yield its environment and the rows to skip."""
    run = trial.place / "run"
    run.mkdir(mode=0o777)
    left_out = {
        row
        for row, has in (
            ("read disks below their file systems", any(Path(d).is_block_device() for d in _dev())),
            ("use devices, such as `/dev/fuse`, as their modes allow", os.path.exists("/dev/fuse")),
            ("move to another control group", bool(_group(trial.user))),
        )
        if not has
    }
    with ExitStack() as stack:
        for place in (run / "docker.sock", run / "bus", trial.place / "other.sock"):
            stack.enter_context(_listening(str(place)))
            place.chmod(0o777)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = f"runyard-trial-{os.getpid()}"
        stack.enter_context(_listening(f"\0{abstract}"))
        victim = f"300.{os.getpid()}"
        process = subprocess.Popen([*trial.prefix, "sleep", victim])
        stack.callback(process.wait)
        stack.callback(process.kill)
        shared, memory = Path(f"/tmp/{abstract}"), Path(f"/dev/shm/{abstract}")
        for file in (shared, memory):
            file.write_text("somebody's")
            stack.callback(file.unlink)
        yield (
            {
                "XDG_RUNTIME_DIR": str(run),
                "OTHER_SOCKET": str(trial.place / "other.sock"),
                "ABSTRACT": abstract,
                "LISTENING": str(tcp.getsockname()[1]),
                "SHARED_FILE": str(shared),
                "SHARED_MEMORY": str(memory),
                "VICTIM": victim,
                "IPC": os.readlink("/proc/self/ns/ipc"),
                "GROUP": _group(trial.user),
            },
            left_out,
        )


@contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(8)
        yield listener


def _dev() -> list[str]:
    return [entry.path for entry in os.scandir("/dev")]


def _group(user: str) -> str:
    """Return a control group that root could move to here, or ""."""
    for place in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/pids"):
        if os.access(f"{place}/cgroup.procs", os.W_OK) or user == PLAIN:
            return place
    return ""


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"
