"""The speed at which runs are accepted, compared with a POST that does nothing.

An accepted run waits, because another run has the only slot: each accept sets off a look at the
queue, and no agent starts. Two servers are measured in turn with the reference, one where no run
waited before, and one where many did.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from tests.bench.calls import await_quiet, expect, send
from tests.bench.client.phase import BROKEN, Phase, Plan
from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.waiting import Queue

CREW, CROWD = 16, 64
# few, as each waits until the server is at rest
RESTED_WARM_UP = 3
# the server on which none waited, and the one on which many did
NAMES = ("none", "many")


@dataclass(frozen=True)
class Posts:
    """How many requests are sent: by one client, by 16, by 64, and each by a server at rest."""

    alone: int = 100
    crew: int = 400
    crowd: int = 2000
    rested: int = 30


SHORT = Posts(alone=20, crew=64, crowd=200, rested=5)


def measure_accepting(none: Queue, many: Queue, noop: str, *, is_short: bool) -> Found:
    """Measure accepts: p50, rate, tail, processor time, and all of these with many runs waiting."""
    posts = SHORT if is_short else Posts()
    _measure_pair((none, many), noop, SHORT)  # warm-up: code paths and caches
    values = median_of_pairs(lambda: _measure_pair((none, many), noop, posts))
    return {
        **_on_its_own(values, posts),
        **_with_a_queue(values, many.depth),
        "errors": _measure_crowd(none, posts.crowd),
    }


def _on_its_own(values: dict[str, float], posts: Posts) -> Found:
    return {
        "accept": Measured(
            values["none_ms"] / values["noop_ms"],
            f"{values['none_ms']:.1f} ms / {values['noop_ms']:.2f} ms",
        ),
        "rate": Measured(
            values["none_rate"] / values["noop_rate"],
            f"{values['none_rate']:.0f} / {values['noop_rate']:.0f} a second",
        ),
        "tail": Measured(values["none_tail"], f"p99 {values['none_p99']:.0f} ms"),
        "replay": Measured(values["replay"] / values["none_ms"], f"{values['replay']:.1f} ms"),
        "accept_cpu": Measured(values["none_cpu"], "the server was at rest before each"),
        "accept_cpu_all": Measured(
            values["none_cpu_all"], f"{posts.crew} accepts by {CREW} clients"
        ),
    }


def _with_a_queue(values: dict[str, float], depth: int) -> Found:
    def compare(name: str, unit: str) -> Measured:
        many, none = values[f"many_{name}"], values[f"none_{name}"]
        ratio = none / many if name == "rate" else many / none
        return Measured(ratio, f"{depth:,} waiting; {many:.1f} / {none:.1f} {unit}")

    return {
        "deep_accept": compare("ms", "ms"),
        "deep_rate": compare("rate", "a second"),
        "deep_cpu": compare("cpu", "ms"),
        "deep_cpu_all": compare("cpu_all", "ms"),
    }


def _measure_pair(queues: tuple[Queue, Queue], noop: str, posts: Posts) -> dict[str, float]:
    """Measure the reference and both servers in turn; times in milliseconds."""
    for queue in queues:
        queue.yard.history.end_waiting_runs()
    body = json.dumps({"project_id": "none", "task": "Measure"})
    noop_alone = expect(send(Plan(noop, posts.alone, body=body)), 201)
    values = {"noop_ms": 1000 * noop_alone.p50}
    for name, queue in zip(NAMES, queues, strict=True):
        values[f"{name}_ms"] = 1000 * expect(_send(queue, posts.alone), 201).p50
    # the warm-up creates the run that all others return
    replays = expect(_send(queues[0], posts.alone, key=uuid4().hex), 200)
    values["replay"] = 1000 * replays.p50
    for name, queue in zip(NAMES, queues, strict=True):
        values[f"{name}_cpu"] = 1000 * _measure_rested(queue, posts.rested)
    values["noop_rate"] = expect(send(Plan(noop, posts.crew, CREW, body=body)), 201).rate
    for name, queue in zip(NAMES, queues, strict=True):
        crew, cpu = _measure_crew(queue, posts.crew)
        values |= {
            f"{name}_rate": crew.rate,
            f"{name}_cpu_all": 1000 * cpu,
            f"{name}_p99": 1000 * crew.p99,
            f"{name}_tail": crew.p99 / crew.p50,
        }
    return values


def _measure_rested(queue: Queue, posts: int) -> float:
    """Return the median processor time until the answer, in seconds.

    It counts all that the server does between a request and its answer, and nothing after that.
    """
    await_quiet(queue.yard.pid)
    rested = expect(_send(queue, posts, warm_up=RESTED_WARM_UP, pid=queue.yard.pid), 201)
    return median(rested.processor)


def _measure_crew(queue: Queue, posts: int) -> tuple[Phase, float]:
    """Return the phase, and the processor time per accept until the server was quiet again."""
    before = await_quiet(queue.yard.pid)
    crew = expect(_send(queue, posts, clients=CREW), 201)
    used = await_quiet(queue.yard.pid) - before
    return crew, used / (posts + Plan.warm_up)


def _measure_crowd(queue: Queue, posts: int) -> Measured:
    queue.yard.history.end_waiting_runs()
    crowd = _send(queue, posts, clients=CROWD)
    broken = crowd.answers.get(BROKEN, 0)
    note = f"{broken} connections broke; slowest {max(crowd.times):.1f} s {crowd.first_error}"
    return Measured(posts - crowd.answers.get("201", 0), note.strip())


def _send(queue: Queue, posts: int, **more: Any) -> Phase:
    return send(queue.yard.posting(queue.project_id, posts, **more))
