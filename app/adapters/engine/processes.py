"""This machine's processes: finds those with a run's mark, and kills them with proof."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from app.adapters.supervisor import kernel
from app.adapters.supervisor.kernel import Stat
from app.services.ports import ProcessMark

RUN_ID = "RUNYARD_RUN_ID"
INSTANCE = "RUNYARD_INSTANCE"
_KILL_BOUND_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.05
_SUPERVISOR = os.fsencode(Path(kernel.__file__).with_name("__main__.py"))
# seconds a supervisor may take for its last records
_LAST_WORDS_SECONDS = 1.0
# errors by which /proc says that a process has ended
_GONE = (FileNotFoundError, ProcessLookupError)


class TableUnreadable(Exception):
    """The process table could not be read, so nothing can be concluded."""


@contextmanager
def _unreadable_is_unknown() -> Iterator[None]:
    """Raise TableUnreadable for what /proc cannot show, so that it never counts as gone."""
    try:
        yield
    except (OSError, ValueError, IndexError) as unreadable:
        raise TableUnreadable from unreadable


class ProcessTable:
    """The processes in `proc` that carry the mark of one instance in their environment."""

    def __init__(self, instance: str, proc: str = kernel.PROC) -> None:
        self._instance = f"{INSTANCE}={instance}".encode()
        self._proc = proc

    def is_alive(self, mark: ProcessMark) -> bool:
        """Return True if exactly this process lives, zombies excluded. Raises TableUnreadable."""
        with _unreadable_is_unknown():
            stat = kernel.read_stat(mark.pid, self._proc)
            if stat is None and kernel.read_stat(os.getpid(), self._proc) is None:
                raise TableUnreadable
        return stat is not None and kernel.is_living(stat) and stat.started == mark.started

    def has_descendants(self, mark: ProcessMark) -> bool:
        """Return True if any descendant of that process lives. Raises TableUnreadable."""
        return bool(self._descendants([mark.pid]))

    def carriers(self, run_id: str) -> list[Stat]:
        """List the processes that carry this run's mark. Raises TableUnreadable."""
        wanted = f"{RUN_ID}={run_id}".encode()
        return [stat for stat, environment in self._marked() if wanted in environment]

    def run_ids(self) -> set[str]:
        """Return the ids of runs with a marked process. Raises TableUnreadable."""
        prefix = f"{RUN_ID}=".encode()
        return {
            entry.removeprefix(prefix).decode(errors="replace")
            for _, environment in self._marked()
            for entry in environment
            if entry.startswith(prefix)
        }

    def is_of_a_run(self, pid: int) -> bool:
        """Return True if a process or an ancestor belongs to a run, or if that is unknown."""
        try:
            stat = kernel.read_stat(pid, self._proc)
            while stat is not None:
                if self._instance in self._environment(stat.pid) or self._is_supervisor(stat.pid):
                    return True
                if stat.parent <= 1:
                    return False
                below, stat = stat, self._find_in_sight(stat.parent)
                if stat is None:
                    stat = kernel.read_stat(below.pid, self._proc)
                    if stat is not None and stat.parent == below.parent:
                        return False  # the parent is another user's, so all above it are too
        except (OSError, ValueError, IndexError):
            pass
        return True

    def is_supervisor(self, mark: ProcessMark, run_id: str, folder: str) -> bool:
        """Return True if a process carries the run's mark and is not an ancestor of this server.

        Supervisors hide their environment even from their own user; they are recognized by their
        command line. False for a process that is gone. Raises TableUnreadable.
        """
        with _unreadable_is_unknown():
            if mark.pid in kernel.ancestors(os.getpid(), self._proc):
                return False
            try:
                with open(f"{self._proc}/{mark.pid}/environ", "rb") as file:
                    environment = file.read().split(b"\0")
            except PermissionError:
                return self._arguments(mark.pid)[-1:] == [os.fsencode(folder)]
            except _GONE:
                return False
        return self._instance in environment and f"{RUN_ID}={run_id}".encode() in environment

    def find_supervisor(self, run_id: str, boot_id: str) -> ProcessMark | None:
        """Return the oldest marked process of a run whose parent is unmarked, or None.

        Raises TableUnreadable.
        """
        carriers = self.carriers(run_id)
        pids = {stat.pid for stat in carriers}
        roots = [stat for stat in carriers if stat.parent not in pids]
        if not roots:
            return None
        oldest = min(roots, key=lambda stat: stat.started)
        return ProcessMark(oldest.pid, oldest.started, boot_id)

    def end(self, run_id: str, supervisor: ProcessMark | None) -> bool:
        """Kill what is left of a run, its supervisor last; return True if that is proved.

        A process that cleared its environment is found only as the supervisor's descendant, so the
        proof is a live supervisor with nothing below it. Raises TableUnreadable.
        """
        with _unreadable_is_unknown():
            return self._end(run_id, supervisor)

    def _end(self, run_id: str, supervisor: ProcessMark | None) -> bool:
        give_up_at, is_proved = monotonic() + _KILL_BOUND_SECONDS, False
        while monotonic() < give_up_at:
            if victims := self._left_of(run_id, supervisor):
                is_proved = False
                kernel.kill_all(lambda: self._left_of(run_id, supervisor))
            elif supervisor is not None and self.is_alive(supervisor):
                is_proved = True
                if _ends_itself(supervisor) or self._left_of(run_id, supervisor):
                    continue
                victims = [Stat(supervisor.pid, 0, "R", supervisor.started)]
                kernel.send_verified(victims[0], signal.SIGKILL)
            else:
                return is_proved
            _await_one_end(victims)
        return False

    def _left_of(self, run_id: str, supervisor: ProcessMark | None) -> list[Stat]:
        # a server started by an agent carries the run's marks: it must not kill itself
        spared = kernel.ancestors(os.getpid(), self._proc)
        found = {stat.pid: stat for stat in self.carriers(run_id)}
        roots = {*found} - spared
        if supervisor is not None and self.is_alive(supervisor):
            spared.add(supervisor.pid)
            roots.add(supervisor.pid)
        found |= {stat.pid: stat for stat in self._descendants(roots)}
        return [stat for stat in found.values() if stat.pid not in spared]

    def _marked(self) -> list[tuple[Stat, list[bytes]]]:
        marked = []
        with _unreadable_is_unknown():
            for stat in kernel.living(self._proc):
                environment = self._environment(stat.pid)
                if self._instance in environment:
                    marked.append((stat, environment))
        return marked

    def _environment(self, pid: int) -> list[bytes]:
        try:
            with open(f"{self._proc}/{pid}/environ", "rb") as file:
                return file.read().split(b"\0")
        except PermissionError:
            return self._marks_of_supervisor(pid)
        except _GONE:
            return []

    def _marks_of_supervisor(self, pid: int) -> list[bytes]:
        """Return the marks in a supervisor's arguments; none for any other process."""
        arguments = self._arguments(pid)
        if _SUPERVISOR not in arguments[-3:-2]:
            return []  # another user's process
        instance, folder = arguments[-2:]
        return [
            f"{INSTANCE}=".encode() + instance,
            f"{RUN_ID}=".encode() + os.path.basename(folder),
        ]

    def _find_in_sight(self, pid: int) -> Stat | None:
        try:
            return kernel.read_stat(pid, self._proc)
        except PermissionError:
            return None

    def _is_supervisor(self, pid: int) -> bool:
        # the environment may be unreadable even to us, the arguments never are
        try:
            with open(f"{self._proc}/{pid}/cmdline", "rb") as file:
                return _SUPERVISOR in file.read().split(b"\0")
        except (*_GONE, PermissionError):
            return False

    def _arguments(self, pid: int) -> list[bytes]:
        try:
            with open(f"{self._proc}/{pid}/cmdline", "rb") as file:
                return file.read().rstrip(b"\0").split(b"\0")
        except (*_GONE, PermissionError):
            return []

    def _descendants(self, pids: Iterable[int]) -> list[Stat]:
        with _unreadable_is_unknown():
            return kernel.descendants(pids, self._proc)


def open_process(mark: ProcessMark) -> int | None:
    """Return a pidfd of exactly this process; None if it is gone."""
    try:
        return kernel.open_verified(mark.pid, mark.started)
    except (OSError, ValueError, IndexError):
        return None


def ask_to_end(mark: ProcessMark, *, patience: float) -> None:
    """Send TERM to exactly this process and wait up to `patience` seconds for its end."""
    pidfd = open_process(mark)
    if pidfd is None:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        # its agent may have sent it SIGSTOP
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
        kernel.has_ended(pidfd, patience)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)


def _ends_itself(mark: ProcessMark) -> bool:
    """Wait briefly for a supervisor to write its last records; True if it ended."""
    pidfd = open_process(mark)
    if pidfd is None:
        return True
    try:
        return kernel.has_ended(pidfd, _LAST_WORDS_SECONDS)
    finally:
        os.close(pidfd)


def _await_one_end(victims: list[Stat]) -> None:
    """Wait up to 50 ms until one of them ends; in a system call that can take longer."""
    waiting, is_any_open = select.poll(), False
    with ExitStack() as opened:
        for stat in victims:
            pidfd = kernel.open_verified(stat.pid, stat.started)
            if pidfd is not None:
                opened.callback(os.close, pidfd)
                waiting.register(pidfd, select.POLLIN)
                is_any_open = True
        if is_any_open:
            waiting.poll(_LOOK_AGAIN_SECONDS * 1000)
