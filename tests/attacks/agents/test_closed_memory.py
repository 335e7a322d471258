"""The memory, environment and files of the server and its supervisors are closed to others."""

from __future__ import annotations

import subprocess
from pathlib import Path

from app.domain.sandbox.levels import SandboxLevel
from tests.drivers.sandboxes import PLAIN, trial_of
from tests.drivers.servers.processes import running_server

# reads its supervisor's memory and files, then prints its own OOM score
READS = (
    "for part in environ mem maps auxv fd/0 cwd/; do "
    "head -c 1 /proc/$PPID/$part >/dev/null 2>&1 && echo THROUGH $part; done; "
    "ls /proc/$PPID/fd/ >/dev/null 2>&1 && echo THROUGH fd; "
    "cat /proc/self/oom_score_adj; exit 5"
)


def test_an_unsandboxed_agent_of_a_plain_user_reads_nothing_of_its_supervisor() -> None:
    with trial_of(PLAIN) as trial:
        tried = trial.run(READS, SandboxLevel.NONE)
    assert tried.code == 5
    # the kernel's OOM killer still takes the agent first
    assert tried.log == "800\n"


def test_a_plain_users_server_knows_its_supervisors_by_their_arguments() -> None:
    """Ended from outside, as on Stop: the supervisor is found without reading its environment."""
    with trial_of(PLAIN) as trial:
        tried = trial.run("echo ready; sleep 60", SandboxLevel.NONE, budget=1, grace=1)
    assert (tried.reason, tried.is_gone) == ("deadline", True)


def test_a_program_without_powers_reads_nothing_of_the_server(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert server.process is not None
        place = f"/proc/{server.process.pid}"
        powerless = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        for part in ("environ", "mem", "maps", "fd/0", "cwd/"):
            reads = [*powerless, "head", "-c", "1", f"{place}/{part}"]
            assert subprocess.run(reads, capture_output=True).returncode != 0, part
        # world-readable entries can be read, so this is the right server process
        assert subprocess.run([*powerless, "cat", f"{place}/stat"], capture_output=True).stdout
