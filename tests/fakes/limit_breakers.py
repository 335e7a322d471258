"""Agents that exceed a limit, as shell scripts small enough for a test machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LimitBreaker:
    """A shell script, the limit that ends it, and the line on its run's page that says so.

    `limit` is the limit's name and value; `reason` is the end that its supervisor records.
    """

    script: str
    limit: tuple[str, int]
    reason: str
    seen: str

    @property
    def limits(self) -> dict[str, int]:
        """The limits of its project."""
        return dict([self.limit])


def python(text: str) -> str:
    """Return a shell command that replaces the shell with a Python program."""
    return f"exec python3 -I -S -c '{text}'"


def _memory(script: str) -> LimitBreaker:
    seen = "The run's limit of 160 MB of memory was reached."
    return LimitBreaker(script, ("memory_mb", 160), "out_of_memory", seen)


def _processes(script: str) -> LimitBreaker:
    seen = "The run's limit of 60 processes was reached."
    return LimitBreaker(script, ("processes", 60), "too_many_processes", seen)


def _file(script: str) -> LimitBreaker:
    seen = "The run's limit of 1 MB for one file was reached."
    return LimitBreaker(script, ("file_mb", 1), "file_limit", seen)


# up to 400 MB in small steps, writing every byte so that each page is really allocated
EATS = _memory(
    python(
        """
import time
taken = []
for _ in range(50):
    taken.append(bytearray(8_000_000))
    time.sleep(0.02)
time.sleep(60)
"""
    )
)
# no single child has much
EATS_IN_PARTS = _memory(
    python(
        """
import os, time
for _ in range(20):
    if os.fork() == 0:
        taken = bytearray(20_000_000)
        time.sleep(60)
    time.sleep(0.05)
time.sleep(60)
"""
    )
)
# 300 idle children; a refused fork is not tried again
FORKS = _processes(
    python(
        """
import os, time
try:
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(60)
except OSError:
    pass
time.sleep(60)
"""
    )
)
# each child leaves its session and its parent, and clears its environment
FORKS_AWAY = _processes(
    python(
        """
import os, time
try:
    for _ in range(300):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve("/bin/sleep", ["sleep", "60"], {})
            os._exit(0)
        os.wait()
except OSError:
    pass
time.sleep(60)
"""
    )
)
FILLS_DISK = LimitBreaker(
    """
mkdir -p a/b
for n in 1 2 3 4 5 6; do head -c 4000000 /dev/urandom > a/b/$n; done
sleep 60
""",
    ("disk_mb", 16),
    "disk_quota",
    seen="The run's limit of 16 MB for its working copy was reached.",
)
# sparse files: 24 MB in length, a few KB on disk
LOOKS_LARGE = "for n in 1 2 3 4 5 6; do truncate -s 4000000 $n; done; sleep 2.5; exit 7"
HUGE_FILE = _file("head -c 3000000 /dev/zero > huge; exit $?")
# a program that survives SIGXFSZ is recognized by its error message
HUGE_FILE_AFTER_ALL = _file(
    python(
        """
with open("huge", "wb") as file:
    for _ in range(3):
        file.write(bytes(1_000_000))
        file.flush()
"""
    )
)
# git's object is larger than the file, so the signal hits git and not the agent itself
COMMITS_HUGE = """
git init -q . && git config user.name A && git config user.email a@example.test
head -c 999990 /dev/urandom > file
"""
HUGE_COMMITS = {
    "told by a shell": f"{COMMITS_HUGE} git add file || exit 1; git commit -qm Work",
    "told by git": f"""{COMMITS_HUGE}
        rm file; for n in 1 2; do head -c 600000 /dev/urandom > $n; done
        git add -A && git commit -qm Work && git gc -q""",
    "told by Python": COMMITS_HUGE
    + python('import subprocess; subprocess.run(["git", "add", "file"], check=True)'),
}
