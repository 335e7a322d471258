"""A program that runs agents through the engine, as the user who starts it.

`python tests/drivers/sandbox_driver.py <descriptor>` gets a socket for each order over this one. A
fork of its own reads the order from there as JSON, and answers with the end and the output. It
needs only the standard library and structlog: any user can run it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import structlog

from app.adapters.agents.private_homes import PrivateHomes
from app.adapters.engine.local import LocalEngine
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.domain.sandbox.levels import (
    HostService,
    Limits,
    Means,
    NetworkRule,
    SandboxLevel,
    SandboxPolicy,
)
from app.services.ports import LaunchFailed, LaunchOrder

LONGER = 20.0

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def groups_of(instance: str) -> list[str]:
    """Return the control groups left of this instance's runs; those of others come and go."""
    return [
        f"{place}/{name}"
        for place, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"runyard-{instance}-")
    ]


def wait_for_orders(door: socket.socket) -> None:
    """Fork for each order until the other side closes its socket; then end the forks too."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    while True:
        word, files, _, _ = socket.recv_fds(door, 1, 1)
        if not word:
            os.killpg(0, signal.SIGKILL)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            door.close()
            answer(socket.socket(fileno=files[0]))
            os._exit(0)
        os.close(files[0])


def answer(line: socket.socket) -> None:
    """Read an order, obey it, and send the result, or the traceback as `error`."""
    with line, line.makefile("rw") as words:
        try:
            asked = json.loads(words.readline())
            os.environ.clear()
            os.environ.update(asked.pop("environment"))
            told = obey(asked)
        except BaseException:  # whatever it is, the test shows it
            told = {"error": traceback.format_exc()}
        words.write(json.dumps(told))


def obey(asked: dict[str, Any]) -> dict[str, Any]:
    """Launch the order, wait for the proof that nothing is left, and return the result."""
    data = Path(asked["data"])
    copy, objects = data / "copies" / asked["copy"], data / "mirror" / "objects"
    for folder in (copy, objects):
        folder.mkdir(parents=True, exist_ok=True)
    means = [Means(asked["means"])] if asked["means"] else list(Means)
    sandbox = MachineSandbox(OwnPlaces((data,)), os.environ, means)
    # unique among concurrent trials: the whole machine shares its control groups
    instance = f"tried{os.getpid()}"
    engine = LocalEngine(data / "records", instance=instance, sandbox=sandbox)
    gone = threading.Event()
    engine.listen(lambda _, what: gone.set() if what == "gone" else None)
    argv = asked["argv"] or ["/bin/sh", "-c", asked["script"]]
    env = dict(os.environ) | {"DATA": str(data), "SERVER": str(os.getpid())} | asked["env"]
    ahead = timedelta(seconds=asked["seconds_later"])

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    homes, private_home = PrivateHomes(data / "homes", os.environ, now), None
    if asked["project"]:
        private_home = homes.prepare(
            asked["project"], asked["agent"], argv[:1], asked["toolchains"]
        )
        env |= private_home.environment
    order = LaunchOrder(
        run_id=asked["run"],
        argv=argv,
        workdir=copy,
        env=env,
        private_home=private_home,
        budget_seconds=asked["budget"],
        grace_seconds=asked["grace"],
        log_cap_bytes=10_000_000,
        prompt="Do what you can.",
        setup=asked["setup"],
        policy=SandboxPolicy(
            level=SandboxLevel(asked["level"]),
            network=NetworkRule(asked["network"]),
            allow=tuple(HostService(name) for name in asked["allow"]),
            limits=Limits(**asked["limits"]),
        ),
        readable=[objects],
        listed_hosts=asked["hosts"],
    )
    done = copy / asked["ends_once"]
    if asked["ends_once"]:
        os.mkfifo(done)
    try:
        launched = engine.launch(order, lambda kept: None)
    except LaunchFailed as failure:
        return {"failed": str(failure), "cause": failure.cause}
    kept = launched.kept
    engine.watch(asked["run"], kept)
    if asked["ends_once"]:
        done.open().close()  # blocks until the agent opens it
        engine.kill(asked["run"], kept)
    if not engine.inspect(asked["run"], kept).tree_gone:
        gone.wait(asked["budget"] + LONGER)
    sight = engine.inspect(asked["run"], kept)
    told = {
        "code": sight.exit.code if sight.exit else None,
        "signal": sight.exit.signal if sight.exit else None,
        "reason": sight.exit.reason if sight.exit else None,
        "limit": sight.exit.limit if sight.exit else None,
        "limits": launched.sandbox_facts["limits"],
        "groups": groups_of(instance),
        "is_gone": sight.tree_gone,
        "is_untrue": sight.has_untrue_records,
        "log": engine.log(asked["run"]).read().content.decode(errors="replace"),
        "capability": sandbox.probe().means,
    }
    if asked["project"]:
        told["refused"] = list(homes.keep_in_step(asked["project"], asked["agent"]))
    engine.close()
    return told


if __name__ == "__main__":
    wait_for_orders(socket.socket(fileno=int(sys.argv[1])))
