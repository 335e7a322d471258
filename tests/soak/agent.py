"""An agent that does what its issue's text says: `agent.py <prompt file> <folder of tallies>`.

It records each of its starts, to reveal a run that was started twice, and its commits, to reveal
work that was lost.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

TICK = 0.05


def commit(name):
    pathlib.Path(name).write_text(os.environ["RUNYARD_RUN_ID"] + "\n")
    who = ["-c", "user.name=Agent", "-c", "user.email=agent@example.test"]
    subprocess.run(["git", "add", name], check=True)
    subprocess.run(["git", *who, "commit", "-qm", f"Add {name}"], check=True)
    note("committed")


def note(what):
    with open(pathlib.Path(sys.argv[2]) / os.environ["RUNYARD_RUN_ID"], "a") as tally:
        tally.write(f"{what}\n")


def hang():
    while True:
        time.sleep(1)


def daemonise():
    """Fork a child with its own session and no environment, which sleeps for an hour."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "3600"], {})  # noqa: S606
        os._exit(0)


def flood():
    line = b"x" * 1000 + b"\n"
    for _ in range(20_000):
        sys.stdout.buffer.write(line)


def main():
    run_id = os.environ["RUNYARD_RUN_ID"]
    note(os.getpid())
    prompt = pathlib.Path(sys.argv[1]).read_text()
    [mode] = re.findall(r"mode:(\w+)", prompt)
    print("mode", mode, flush=True)
    time.sleep(TICK)
    if mode == "succeed":
        commit(f"{run_id}.txt")
    elif mode == "die":
        commit(f"{run_id}.txt")
        sys.exit(3)
    elif mode == "nothing":
        pass
    elif mode == "leave":
        pathlib.Path("left.txt").write_text("not committed")
        sys.exit(4)
    elif mode == "hang":
        hang()
    elif mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        hang()
    elif mode == "daemonise":
        daemonise()
        commit(f"{run_id}.txt")
    elif mode == "flood":
        flood()
        commit(f"{run_id}.txt")


main()
