"""Starting the agent: in its own session, inheriting nothing but its standard files."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress

from app.adapters.supervisor.kernel import die_with

# if memory runs out, the kernel kills the agent before anything of ours
_OOM_SCORE = b"800"
_SCORE_FILE = "/proc/self/oom_score_adj"
_own_score = -1
# the token that is handed to an agent, and to nothing that the repository starts before it
AGENTS_OWN = "RUNYARD_TOKEN"
_IGNORED_HERE = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT)


class NotSpawned(Exception):
    """The agent could not be executed.

    `stage` is fork, limits, workdir, command, prompt or sandbox; `words` is the output of the
    program that failed to create the sandbox.
    """

    def __init__(self, stage: str, errno: int, words: str = "") -> None:
        super().__init__(stage, os.strerror(errno))
        self.stage = stage
        self.errno = errno
        self.words = words


def environment_of(given: Mapping[str, str], until: str, *, is_agent: bool) -> dict[str, str]:
    """Return the environment of the agent, or that of the setup command before it."""
    env = {**given, "RUNYARD_DEADLINE": until}
    if not is_agent:
        env.pop(AGENTS_OWN, None)
    return env


def spawn(
    argv: list[str],
    env: Mapping[str, str],
    workdir: str,
    *,
    output: int,
    umask: int,
    standard_input: int = 0,
    confine: Callable[[], None] = lambda: None,
) -> int:
    """Execute the agent with `output` as its stdout and stderr; return its pid.

    `confine` runs in the new process and applies its limits. Raises NotSpawned.
    """
    problem, problem_here = os.pipe()
    parent = os.getpid()
    try:
        with _taken_first():
            pid = os.fork()
    except OSError as refused:
        raise NotSpawned("fork", refused.errno or 0) from refused
    if pid == 0:
        rest = (standard_input, output, umask, parent, problem_here)
        _become_agent(argv, env, workdir, rest, confine)
    os.close(problem_here)
    # a successful exec closes the other end: no bytes arrive
    with os.fdopen(problem, "rb") as answers:
        answer = answers.read().decode()
    if not answer:
        return pid
    os.waitpid(pid, 0)
    stage, _, errno = answer.partition(" ")
    raise NotSpawned(stage, int(errno))


def _become_agent(
    argv: list[str],
    env: Mapping[str, str],
    workdir: str,
    rest: tuple[int, int, int, int, int],
    confine: Callable[[], None],
) -> None:
    standard_input, output, umask, parent, problem = rest
    stage = "fork"
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        die_with(parent)
        for signum in _IGNORED_HERE:
            signal.signal(signum, signal.SIG_DFL)
        be_taken_first()
        stage = "limits"
        confine()
        stage = "fork"
        os.umask(umask)
        os.dup2(standard_input, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        problem = _keep_only_standard_files(problem)
        stage = "workdir"
        os.chdir(workdir)
        stage = "command"
        os.execvpe(argv[0], argv, env)  # noqa: S606 - an argv list, no shell
    except OSError as refused:
        os.write(problem, f"{stage} {refused.errno or 0}".encode())
    finally:
        os._exit(127)


def _keep_only_standard_files(problem: int) -> int:
    """Close every descriptor but 0, 1, 2 and `problem`, which is moved to 3."""
    if problem != 3:
        os.dup2(problem, 3, inheritable=False)
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(4, min(highest, 1 << 20) if highest > 0 else 1 << 20)
    return 3


def keep_own_score() -> None:
    """Open this process's OOM score file, before `hide_memory` bars even itself from it."""
    global _own_score
    with suppress(OSError):
        _own_score = os.open(_SCORE_FILE, os.O_RDWR | os.O_CLOEXEC)


@contextmanager
def _taken_first() -> Generator[None]:
    """Lend this process an agent's OOM score: its child inherits it and cannot set its own."""
    if _own_score < 0:
        yield
        return
    own = os.pread(_own_score, 16, 0)
    try:
        with suppress(OSError):
            os.pwrite(_own_score, _OOM_SCORE, 0)
        yield
    finally:
        with suppress(OSError):
            os.pwrite(_own_score, own, 0)


def be_taken_first() -> None:
    """Make this process the OOM killer's first choice."""
    try:
        with open(_SCORE_FILE, "wb") as file:
            file.write(_OOM_SCORE)
    except OSError:
        return
