"""Runs one agent through the engine, as whichever user this program was started as.

`python tests/sandbox_driver.py`, the order as JSON on stdin; how the agent ended and what it wrote
as JSON on stdout. It needs nothing but the standard library, so that any user may start it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

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


def groups_of(instance: str) -> list[str]:
    """The control groups that are left of an engine's runs; those of others come and go."""
    return [
        f"{place}/{name}"
        for place, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"runyard-{instance}-")
    ]


def main() -> None:
    """Launch what stdin orders, wait for the proof that nothing of it is left, tell both."""
    asked = json.load(sys.stdin)
    data = Path(asked["data"])
    copy, objects = data / "copies" / "run_1", data / "mirror" / "objects"
    for folder in (copy, objects):
        folder.mkdir(parents=True, exist_ok=True)
    means = [Means(asked["means"])] if asked["means"] else list(Means)
    sandbox = MachineSandbox(OwnPlaces((data,)), os.environ, means)
    # a name that no other trial has at the same time: control groups are the machine's
    instance = f"tried{os.getpid()}"
    engine = LocalEngine(data / "records", instance=instance, sandbox=sandbox)
    gone = threading.Event()
    engine.listen(lambda _, what: gone.set() if what == "gone" else None)
    argv = asked["argv"] or ["/bin/sh", "-c", asked["script"]]
    env = dict(os.environ) | {"DATA": str(data), "SERVER": str(os.getpid())} | asked["env"]
    # what the server alone has in its environment
    env.pop("SERVER_SECRET", None)
    ahead = timedelta(seconds=asked["seconds_later"])

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    homes, lodging = PrivateHomes(data / "homes", os.environ, now), None
    if asked["project"]:
        lodging = homes.lodge(asked["project"], asked["agent"], argv[:1], asked["toolchains"])
        env |= lodging.environment
    order = LaunchOrder(
        run_id=asked["run"],
        argv=argv,
        workdir=copy,
        env=env,
        lodging=lodging,
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
        print(json.dumps({"failed": str(failure), "cause": failure.cause}))
        return
    kept = launched.kept
    engine.watch(asked["run"], kept)
    if asked["ends_once"]:
        done.open().close()  # not before the agent has opened it
        engine.kill(asked["run"], kept)
    if not engine.look(asked["run"], kept).tree_gone:
        gone.wait(asked["budget"] + LONGER)
    sight = engine.look(asked["run"], kept)
    told = {
        "code": sight.exit.code if sight.exit else None,
        "signal": sight.exit.signal if sight.exit else None,
        "reason": sight.exit.reason if sight.exit else None,
        "limit": sight.exit.limit if sight.exit else None,
        "limits": launched.surroundings["limits"],
        "groups": groups_of(instance),
        "is_gone": sight.tree_gone,
        "is_untrue": sight.has_untrue_records,
        "log": engine.log(asked["run"]).read().content.decode(errors="replace"),
        "capability": sandbox.probe().means,
    }
    if asked["project"]:
        told["refused"] = list(homes.keep_in_step(asked["project"], asked["agent"]))
    engine.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
