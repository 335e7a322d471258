"""Faults injected for a single row, and helpers to inspect the other runs."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.words import Depth
from app.records.tables import Project, Run
from app.services.runs.requests import RunRequest
from tests.fakes.planes import FakePlane

FAULT = KeyError("delivery")


class Poison:
    """A method that fails for one run until it is repaired."""

    def __init__(self, good: Any, run_id: str, problem: Exception) -> None:
        self.good, self.run_id, self.problem = good, run_id, problem
        self.tries, self.is_mended = 0, False

    def __call__(self, *args: Any, **words: Any) -> Any:
        named = [getattr(arg, "id", arg) for arg in args]
        if self.run_id in named and not self.is_mended:
            self.tries += 1
            raise self.problem.with_traceback(None)
        return self.good(*args, **words)


def poison(
    monkeypatch: pytest.MonkeyPatch, thing: Any, name: str, run_id: str, problem: Exception = FAULT
) -> Poison:
    """Make a method fail when called with this id or an object that has it."""
    poison = Poison(getattr(thing, name), run_id, problem)
    monkeypatch.setattr(thing, name, poison)
    return poison


def start(plane: FakePlane, project: Project, **wishes: Any) -> Run:
    """Accept a run and launch it if allowed."""
    order = RunRequest(project.id, Depth.QUICK, "auto", **wishes)
    run = plane.services.accept.accept(order, plane.requester(), plane.clock()).run
    plane.rest()
    return found(plane, run)


def found(plane: FakePlane, run: Run) -> Run:
    """Return the run's current row."""
    now = plane.ledgers.runs.find(run.id)
    assert now is not None
    return now


def tick(plane: FakePlane, count: int) -> None:
    """Run `count` sweeps."""
    for _ in range(count):
        plane.tick()


def keys(plane: FakePlane) -> list[str]:
    """Return the keys of quarantined rows."""
    return [one.key for one in plane.services.quarantine.held()]
