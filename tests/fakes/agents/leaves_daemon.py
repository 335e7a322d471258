"""An agent that leaves a daemon: `leaves_daemon.py <pid file> [stay]`.

The daemon has its own session, no terminal, no open file and no environment; it ignores TERM and
writes its pid. The agent exits 0 once the daemon runs or, with `stay`, prints `ready` and stays.
"""

import os
import signal
import sys

DAEMON = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
os.closerange(0, 64)
while True:
    signal.pause()
"""


def leave_daemon(pid_file):
    ready, readies = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.set_inheritable(readies, True)
            os.execve(sys.executable, [sys.executable, "-ISc", DAEMON, pid_file], {})  # noqa: S606
        os._exit(0)
    os.close(readies)
    os.read(ready, 1)


leave_daemon(sys.argv[1])
if sys.argv[2:] == ["stay"]:
    print("ready", flush=True)
    while True:
        signal.pause()
