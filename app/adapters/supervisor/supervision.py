"""Watching over one agent: its output, its time, its end and the end of all it started."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
from collections.abc import Mapping
from contextlib import suppress

from app.adapters.supervisor import record_files
from app.adapters.supervisor.kernel import (
    Alarm,
    become_subreaper,
    boot_clock,
    descendants,
    kill_all,
    read_boot_id,
    read_stat,
    send_verified,
)
from app.adapters.supervisor.output import CappedLog
from app.adapters.supervisor.spawn import NotSpawned, spawn

_CHUNK = 1 << 18
_KILL_AGAIN_AFTER = 0.05
_WRITE_AGAIN_AFTER = 1.0
_WRITE_TRIES = 60
_HEEDED = (signal.SIGTERM, signal.SIGCHLD)
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


def supervise(run_folder: str, order: dict) -> None:
    """Run the agent of `order` to its end and the end of everything it started."""
    answers = _leave_caller()
    try:
        supervision, *files = _begin(run_folder, order, answers)
    except NotSpawned as problem:
        _answer(answers, {"failed": problem.stage, "errno": problem.errno})
        return
    except OSError as problem:
        _answer(answers, {"failed": "supervisor", "errno": problem.errno})
        raise
    os.close(answers)
    supervision.run(*files)


def _begin(run_folder: str, order: dict, answers: int) -> tuple[Supervision, int, int]:
    umask = os.umask(0o077)
    folder = os.open(run_folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    wake = _hear_signals()
    mine = _identity(order)
    # before the agent: whoever finds this process later knows it from its first moment on
    record_files.write(folder, record_files.STARTED, mine, durable=False)
    for name in (record_files.EXIT, record_files.GONE):
        record_files.reserve(folder, name)
    log = CappedLog(folder, order["log_cap_bytes"])
    output, agent_side = _open_pipe()
    deadline = boot_clock() + order["budget_seconds"]
    try:
        agent = spawn(order["argv"], order["env"], order["workdir"], output=agent_side, umask=umask)
    except NotSpawned:
        _record_no_agent(folder)
        raise
    os.close(agent_side)
    stat = read_stat(agent)
    mine["agent"] = {"pid": agent, "started": stat.started} if stat else None
    record_files.write(folder, record_files.STARTED, mine)
    _answer(answers, mine)
    return Supervision(folder, log, agent, order["grace_seconds"], deadline), output, wake


class Supervision:
    """One agent's life from its start to the proof that nothing of it is left."""

    def __init__(
        self, folder: int, log: CappedLog, agent: int, grace: float, deadline: float
    ) -> None:
        self._folder = folder
        self._log = log
        self._agent = agent
        self._grace = grace
        self._deadline = deadline
        self._alarm = Alarm()
        self._reason = "exited"
        self._stop_asked = False
        self._ended: dict[str, object] | None = None
        self._exit_kept = False
        self._kill_at: float | None = None
        self._kills = 0

    def run(self, output: int, wake: int) -> None:
        """Return when neither the agent nor a descendant of it is left."""
        waiting = select.poll()
        for fd in (output, wake, self._alarm.fd):
            waiting.register(fd, select.POLLIN)
        self._alarm.ring_at(self._deadline)
        is_anyone_left = True
        while is_anyone_left:
            ready = {fd for fd, _ in waiting.poll()}
            self._hear(wake, ready)
            if output in ready and not self._take(output):
                waiting.unregister(output)
            is_anyone_left = self._reap(output)
            self._act()
        self._take_rest(output)
        self._log.close()
        self._write_last_records()

    def _hear(self, wake: int, ready: set[int]) -> None:
        if wake in ready and signal.SIGTERM in os.read(wake, 4096):
            self._stop_asked = True
        self._alarm.clear()

    def _take(self, output: int) -> bool:
        """Keep what the agent wrote; False when nobody can write any more."""
        try:
            data = os.read(output, _CHUNK)
        except BlockingIOError:
            return True
        self._log.write(data)
        return bool(data)

    def _take_rest(self, output: int) -> None:
        """Keep what is in the pipe now, and no more: another writer may go on for ever."""
        for _ in range(fcntl.fcntl(output, fcntl.F_GETPIPE_SZ) // 4096):
            try:
                data = os.read(output, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                return
            self._log.write(data)

    def _reap(self, output: int) -> bool:
        """Bury the dead; False when there is nobody left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._agent:
                self._take_rest(output)
                self._note_end(status)

    def _note_end(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._ended = {
            "code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "reason": self._reason,
            "at": record_files.timestamp(),
        }
        self._keep_exit()

    def _act(self) -> None:
        now = boot_clock()
        if self._kill_at is None:
            if self._ended is None and self._stop_asked:
                self._begin_end("stopped", now)
            elif self._ended is None and now >= self._deadline:
                self._begin_end("deadline", now)
            elif self._ended is not None:
                self._begin_end(self._reason, now)
        elif now >= self._kill_at:
            self._kill(now)

    def _begin_end(self, reason: str, now: float) -> None:
        self._reason = reason
        self._kill_at = now + self._grace
        for stat in descendants([os.getpid()]):
            send_verified(stat, signal.SIGTERM)
        self._alarm.ring_at(self._kill_at)

    def _kill(self, now: float) -> None:
        kill_all(lambda: descendants([os.getpid()]))
        # again until nobody is left, less and less often: one in a system call ends late
        self._kills += 1
        self._alarm.ring_at(now + min(_KILL_AGAIN_AFTER * self._kills, 1.0))

    def _keep_exit(self) -> bool:
        if self._ended is None or self._exit_kept:
            return True
        try:
            record_files.write(self._folder, record_files.EXIT, self._ended)
        except OSError:
            return False
        self._exit_kept = True
        return True

    def _write_last_records(self) -> None:
        """Write what is missing; a disk that refuses is asked again for a minute."""
        for _ in range(_WRITE_TRIES):
            try:
                if self._keep_exit():
                    at = {"at": record_files.timestamp()}
                    record_files.write(self._folder, record_files.GONE, at)
                    return
            except OSError:
                pass
            self._alarm.ring_at(boot_clock() + _WRITE_AGAIN_AFTER)
            select.select([self._alarm.fd], [], [])
            self._alarm.clear()


def _leave_caller() -> int:
    """Be a daemon; the file to answer the caller on, which no agent inherits."""
    os.setsid()
    os.chdir("/")
    answer_file = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    os.close(nothing)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    become_subreaper()
    return answer_file


def _hear_signals() -> int:
    """The file that gets a byte for every signal that matters."""
    wake, signals = os.pipe()
    for fd in (wake, signals):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    for signum in _HEEDED:
        signal.signal(signum, lambda *_: None)
    for signum in _IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    return wake


def _open_pipe() -> tuple[int, int]:
    output, agent_side = os.pipe()
    os.set_blocking(output, False)
    # one that may not have a larger pipe has a smaller one
    with suppress(OSError):
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _CHUNK)
    return output, agent_side


def _identity(order: dict) -> dict[str, object]:
    me = read_stat(os.getpid())
    return {
        "run_id": order["run_id"],
        "instance": order["instance"],
        "pid": os.getpid(),
        "started": me.started if me else 0,
        "boot_id": read_boot_id(),
        "grace": order["grace_seconds"],
        "agent": None,
        "at": record_files.timestamp(),
    }


def _record_no_agent(folder: int) -> None:
    at = record_files.timestamp()
    nobody: dict[str, object] = {"code": None, "signal": None, "reason": "not_spawned", "at": at}
    record_files.write(folder, record_files.EXIT, nobody)
    record_files.write(folder, record_files.GONE, {"at": at})


def _answer(answers: int, fields: Mapping[str, object]) -> None:
    try:
        os.write(answers, record_files.as_json(fields) + b"\n")
    except OSError:
        # the caller is gone: the records say the same
        return
