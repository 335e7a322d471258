"""Supervision of one agent: its output, its deadline, its exit, and the end of all it started."""

from __future__ import annotations

import fcntl
import os
import select
import signal
from collections.abc import Mapping
from contextlib import suppress

from app.adapters.supervisor import memory, record_files
from app.adapters.supervisor.cgroups import name_of
from app.adapters.supervisor.daemon import (
    PIPE_BYTES,
    identify,
    leave_caller,
    may_begin,
    open_output,
    open_signals,
)
from app.adapters.supervisor.kernel import (
    Alarm,
    Stat,
    boot_clock,
    bury,
    descendants,
    kill_all,
    read_stat,
    send_verified,
)
from app.adapters.supervisor.limits import Limits
from app.adapters.supervisor.output import CappedLog
from app.adapters.supervisor.spawn import NotSpawned, environment_of, spawn
from app.domain.formatting import room_missing
from app.domain.secret_masks import Secret, SecretMask

# stands in for typing.TYPE_CHECKING: importing typing would take half as long as all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.adapters.supervisor.enclosure import Enclosure

_PAGE_BYTES = 4096
_KILL_AGAIN_AFTER = 0.05
_WRITE_AGAIN_AFTER = 1.0
_WRITE_TRIES = 60
TEMPORARY = "/tmp"  # noqa: S108 (where agents write, not we)
_MARKS = ("RUNYARD_RUN_ID", "RUNYARD_INSTANCE")
_NOT_SPAWNED = {"code": None, "signal": None, "reason": "not_spawned"}


def supervise(run_folder: str, order: dict[str, Any]) -> None:
    """Run the agent of `order` until it and everything it started have ended."""
    orders = os.dup(0)
    answers = leave_caller()
    umask = os.umask(0o077)
    try:
        folder = os.open(run_folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        wake = open_signals()
        mine = identify(order)
        # written before the agent starts, so that this process can always be identified
        ending: str = order["ending"]
        record_files.write(folder, record_files.STARTED + ending, mine, durable=False)
        for name in (record_files.EXIT, record_files.GONE):
            record_files.reserve(folder, name + ending)
        run = Supervision(folder, order, mine, umask)
        answer = run.enclose()
        if answer is None:
            # start nothing before the caller has recorded this process
            _send(answers, mine)
            answer = run.begin() if may_begin(orders, wake) else run.call_off()
        os.close(orders)
    except OSError as problem:
        _answer(answers, {"failed": "supervisor", "errno": problem.errno})
        raise
    if answer is not None:
        _answer(answers, answer)
        answers = -1
    run.supervise(wake, answers)


def is_full(place: int | str) -> bool:
    """Return True if a file system is known to have no room to work in."""
    try:
        seen = os.statvfs(place)
    except OSError:
        return False
    has_no_files = seen.f_files > 0 and seen.f_favail == 0
    free, size = seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize
    return has_no_files or room_missing(free, size) > 0


def _send(answers: int, fields: Mapping[str, object]) -> None:
    # if the caller is gone, the records hold the same
    with suppress(OSError):
        os.write(answers, record_files.as_json(fields) + b"\n")


def _answer(answers: int, fields: Mapping[str, object]) -> None:
    _send(answers, fields)
    os.close(answers)


class Supervision:
    """One agent's run, from its setup or start to the proof that nothing of it is left.

    `_main` is the process whose exit counts: first the setup command, if any, then the agent.
    """

    def __init__(
        self, folder: int, order: dict[str, Any], mine: dict[str, object], umask: int
    ) -> None:
        self._folder = folder
        self._order = order
        self._mine = mine
        self._umask = umask
        # secrets that authenticate the last records; nobody else may know them earlier
        self._proofs = order["proofs"]
        mask = SecretMask(Secret("", value) for value in order["secrets"])
        self._log = CappedLog(folder, order["log_cap_bytes"], mask)
        label: str = order["label"]
        self._mine["log_from"] = self._log.begin(label)
        self._ending: str = order["ending"]
        self._output, self._agent_side = open_output()
        self._alarm = Alarm()
        name = name_of(order["instance"], order["run_id"])
        self._limits = Limits(order["limits"], order["scope"], name, order["workdir"])
        self._mine["limits"] = self._limits.words
        self._enclosure: Enclosure | None = None
        self._main = 0
        self._begun: Stat | None = None
        self._is_agent_begun = False
        self._deadline = 0.0
        self._memory_kills: int | None = None
        self._reason = "exited"
        self._figure: int | None = None
        self._stop_asked = False
        self._ended: dict[str, object] | None = None
        self._exit_kept = False
        self._kill_at: float | None = None
        self._kills = 0
        self._to_answer: dict[str, object] | None = None

    def enclose(self) -> dict[str, object] | None:
        """Create the ordered sandbox, if any; return the answer to the caller if that fails."""
        if not self._order["wrap"]:
            return None
        # imported only here: without a sandbox no sockets are needed
        from app.adapters.supervisor.enclosure import Enclosure

        marks = {name: self._order["env"][name] for name in _MARKS}
        try:
            wrap = self._limits.around(self._order["wrap"])
            self._enclosure = Enclosure(wrap, marks, self._limits.confine)
            if self._order["network"]:
                self._enclosure.open_way_out(self._folder, self._order["network"])
        except NotSpawned as problem:
            self._give_up(failed=problem.stage, errno=problem.errno, words=problem.words)
            return self._to_answer
        init = read_stat(self._enclosure.init)
        self._mine["init"] = {"pid": init.pid, "started": init.started} if init else None
        return None

    def call_off(self) -> dict[str, object] | None:
        """End without starting anything; return the answer to the caller."""
        self._give_up(failed="stopped")
        return self._to_answer

    def begin(self) -> dict[str, object] | None:
        """Start the setup command or the agent; return the answer to the caller, if known."""
        if self._order["setup"]:
            self._start(self._order["setup"], self._order["launch_seconds"])
        else:
            self._start_agent()
        return self._to_answer

    def supervise(self, wake: int, answers: int) -> None:
        """Supervise until nothing of the run is left; `answers` is -1 if already answered."""
        waiting = select.poll()
        inside = self._enclosure.control if self._enclosure else -1
        for fd in (self._output, wake, self._alarm.fd, inside):
            if fd >= 0:
                waiting.register(fd, select.POLLIN)
        for fd, kinds in self._limits.signs:
            waiting.register(fd, kinds)
        is_anyone_left = True
        while is_anyone_left:
            ready = {fd for fd, _ in waiting.poll()}
            if wake in ready and signal.SIGTERM in os.read(wake, _PAGE_BYTES):
                self._stop_asked = True
            self._alarm.clear()
            if self._output in ready and not self._take():
                waiting.unregister(self._output)
            if inside in ready and not self._read_enclosure():
                waiting.unregister(inside)
            is_anyone_left = bury(self._note_buried)
            self._act()
            if answers >= 0 and self._to_answer is not None:
                _answer(answers, self._to_answer)
                answers = -1
        self._take_rest()
        self._log.close()
        self._limits.close()
        self._write_last_records()

    def _read_enclosure(self) -> bool:
        """Record what ended in the sandbox; return False if it was the sandbox itself."""
        code = self._enclosure.read_exit_code() if self._enclosure else None
        if self._ended is None:
            self._note_end(-signal.SIGKILL if code is None else code)
        return code is not None

    def _start_agent(self) -> None:
        self._is_agent_begun = True
        self._start(self._order["argv"], self._order["budget_seconds"], self._order["input"])
        if self._ended is not None:
            return
        os.close(self._agent_side)
        begun = self._begun
        self._mine["agent"] = {"pid": begun.pid, "started": begun.started} if begun else None
        record_files.write(self._folder, record_files.STARTED + self._ending, self._mine)
        self._to_answer = self._mine

    def _start(self, argv: list[str], seconds: float, reads: str | None = None) -> None:
        until = record_files.timestamp(seconds)
        env = environment_of(self._order["env"], until, is_agent=self._is_agent_begun)
        workdir = self._order["workdir"]
        self._memory_kills = memory.count_kills()
        try:
            self._begun = self._spawn(argv, env, workdir, reads)
        except NotSpawned as problem:
            self._give_up(
                failed=problem.stage, errno=problem.errno, command=argv[0], words=problem.words
            )
            return
        self._main = self._begun.pid if self._begun else 0
        self._limits.begin()
        self._deadline = boot_clock() + seconds
        self._alarm.ring_at(min(self._deadline, self._limits.next_look))

    def _spawn(
        self, argv: list[str], env: dict[str, str], workdir: str, reads: str | None
    ) -> Stat | None:
        """Start a command that reads a file of the run's folder, or nothing. Raises NotSpawned."""
        way = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            file = os.open(reads, way, dir_fd=self._folder) if reads else os.dup(0)
        except OSError as problem:
            raise NotSpawned("prompt", problem.errno or 0) from problem
        try:
            how = {
                "output": self._agent_side,
                "umask": self._umask,
                "standard_input": file,
            }
            if self._enclosure:
                return self._enclosure.run(argv, env, workdir, **how)
            around = self._limits.around(argv)
            return read_stat(spawn(around, env, workdir, **how, confine=self._limits.confine))
        finally:
            os.close(file)

    def _give_up(self, **answer: object) -> None:
        self._ended = {**_NOT_SPAWNED, "at": record_files.timestamp()}
        self._keep_exit()
        self._to_answer = answer
        # fire at once: no other event may ever come
        self._alarm.ring_at(boot_clock())

    def _take(self) -> bool:
        """Log what the agent wrote; return False once no writer is left."""
        try:
            data = os.read(self._output, PIPE_BYTES)
        except BlockingIOError:
            return True
        self._log.write(data)
        return bool(data)

    def _take_rest(self) -> None:
        """Log what is in the pipe now and no more: another writer may continue forever."""
        for _ in range(fcntl.fcntl(self._output, fcntl.F_GETPIPE_SZ) // _PAGE_BYTES):
            try:
                data = os.read(self._output, PIPE_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            self._log.write(data)

    def _note_buried(self, pid: int, code: int) -> None:
        if self._enclosure:
            self._enclosure.note_buried(pid)
        if pid == self._main and self._ended is None:
            self._note_end(code)

    def _note_end(self, code: int) -> None:
        self._take_rest()
        full = self._full_place()
        if self._kill_at is None:
            self._reason = self._why_it_ended(code, full)
        if self._is_agent_begun:
            self._ended = {
                "code": code if code >= 0 else None,
                "signal": -code if code < 0 else None,
                "reason": self._reason,
                "limit": self._figure,
                "at": record_files.timestamp(),
                "full": full,
            }
            self._keep_exit()
        elif code == 0 and self._kill_at is None and not self._stop_asked:
            self._start_agent()
        else:
            self._give_up(failed="setup", code=code, reason=self._reason, limit=self._figure)

    def _full_place(self) -> str:
        """Return the first full place that an agent needs (log, copy, tmp), "" if none is full."""
        places = {
            "log": self._folder,
            "copy": self._order["workdir"],
            "tmp": self._order["env"].get("TMPDIR", TEMPORARY),
        }
        return next((name for name, place in places.items() if is_full(place)), "")

    def _why_it_ended(self, code: int, full: str) -> str:
        """Return why a process exited unforced: the resource it ran out of, if known."""
        met = self._limits.why(code, self._log.last)
        if met is not None:
            self._figure = met.figure
            return met.reason
        if memory.ran_out(code, self._memory_kills, memory.count_kills()):
            return "out_of_memory"
        has_no_room = bool(full) or self._log.is_disk_full or self._log.says_disk_full
        return "disk_full" if code and has_no_room else "exited"

    def _act(self) -> None:
        now = boot_clock()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._kill(now)
        elif self._ended is not None:
            self._begin_end(self._reason, now)
        elif self._stop_asked:
            self._begin_end("stopped", now)
        elif now >= self._deadline:
            self._begin_end("deadline", now)
        elif (met := self._limits.look(now, self._main)) is not None:
            # without grace: in that time it could use as much again
            self._reason, self._figure = met
            self._kill_at = now
            self._kill(now)
        else:
            self._alarm.ring_at(min(self._deadline, self._limits.next_look))

    def _begin_end(self, reason: str, now: float) -> None:
        self._reason = reason
        kill_at = self._kill_at = now + self._order["grace_seconds"]
        if self._enclosure:
            # ending the wrapper would kill everything inside at once
            self._enclosure.finish()
        else:
            for stat in descendants([os.getpid()]):
                send_verified(stat, signal.SIGTERM)
        self._alarm.ring_at(kill_at)

    def _kill(self, now: float) -> None:
        self._limits.kill()
        kill_all(lambda: descendants([os.getpid()]))
        # retry with growing pauses: a process in a system call ends late
        self._kills += 1
        self._alarm.ring_at(now + min(_KILL_AGAIN_AFTER * self._kills, 1.0))

    def _keep_exit(self) -> bool:
        if self._ended is None or self._exit_kept:
            return True
        try:
            proof = {"proof": self._proofs[record_files.EXIT]}
            name = record_files.EXIT + self._ending
            record_files.write(self._folder, name, {**self._ended, **proof})
        except OSError:
            return False
        self._exit_kept = True
        return True

    def _write_last_records(self) -> None:
        """Write the missing records; retry for a minute if the disk refuses."""
        for _ in range(_WRITE_TRIES):
            try:
                if self._keep_exit():
                    proof = self._proofs[record_files.GONE]
                    last = {"at": record_files.timestamp(), "proof": proof}
                    record_files.write(self._folder, record_files.GONE + self._ending, last)
                    return
            except OSError:
                pass
            self._alarm.ring_at(boot_clock() + _WRITE_AGAIN_AFTER)
            select.select([self._alarm.fd], [], [])
            self._alarm.clear()
