"""The proxy process through which one run reaches its allowed hosts: a child of its supervisor.

It lives until its supervisor ends it, independent of the server. Imported by the supervisor: only
standard library modules that load fast.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Mapping

from app.adapters.supervisor.kernel import die_with
from app.adapters.supervisor.record_files import REFUSED, timestamp

# stands in for typing.TYPE_CHECKING: importing typing would take half as long as all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_REFUSALS = 200
_FILES = 2048
_APPENDED = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
# the agent keeps its network during its grace period: only the supervisor ends this process
_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)


def start_proxy(listening: int, folder: int, rules: Mapping[str, Any]) -> int:
    """Serve the listening socket in a child process; return its pid.

    `rules` has the entries `known` and `listed`; refusals are recorded in the folder open as
    `folder`. The caller closes its own `listening` and kills the child. Raises OSError.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become_proxy(listening, folder, rules, parent)
        finally:
            os._exit(1)
    return pid


class RefusalRecord:
    """The refused hosts, one line of JSON each; after 200 hosts, one last line with `more`."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._hosts: set[str] = set()
        self._is_full = False

    def append(self, host: str, port: int, because: str) -> None:
        """Record a refused host once; if the disk refuses, the next refusal tries again."""
        if self._is_full or host in self._hosts:
            return
        if len(self._hosts) >= MAX_REFUSALS:
            self._is_full = self._append({"more": True})
        elif self._append({"host": host, "port": port, "because": because}):
            self._hosts.add(host)

    def _append(self, fields: dict[str, object]) -> bool:
        text = json.dumps({**fields, "at": timestamp()}).encode("ascii") + b"\n"
        try:
            file = os.open(REFUSED, _APPENDED, 0o600, dir_fd=self._folder)
        except OSError:
            return False
        try:
            return os.write(file, text) == len(text)
        except OSError:
            return False
        finally:
            os.close(file)


def _become_proxy(listening: int, folder: int, rules: Mapping[str, Any], parent: int) -> None:
    signal.set_wakeup_fd(-1)
    for signum in _IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with(parent)
    _close_all_but(listening, folder)
    # imported only here: the supervisor itself needs no sockets or threads
    import socket
    import threading

    from app.adapters.supervisor.proxy import Proxy
    from app.domain.sandbox.network_rules import NetworkRules

    record, guard = RefusalRecord(folder), threading.Lock()

    def note(target, because: str) -> None:
        with guard:
            record.append(target.host, target.port, because)

    allowed = NetworkRules.read(rules["known"], rules["listed"])
    Proxy(socket.socket(fileno=listening), allowed, note).serve()


def _close_all_but(*kept: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    start = 0
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, max(min(soft, 1 << 20), start))
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        if fd not in kept and fd != nothing:
            os.dup2(nothing, fd)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
