"""What happens in a transaction that people may want to be told of."""

from __future__ import annotations

from dataclasses import dataclass

from app.records.tables import Run


@dataclass(frozen=True)
class RunEnded:
    """A run has come to its end, in whatever state; its work may be parked at once."""

    run: Run


@dataclass(frozen=True)
class WorkParked:
    """A run that had ended left something that is kept until somebody decides.

    `holds_work` is False where nothing but its branch is kept.
    """

    run: Run
    holds_work: bool


@dataclass(frozen=True)
class NothingKept:
    """A run that had ended is released, and has left nothing."""

    run: Run


@dataclass(frozen=True)
class ProjectPaused:
    """A project's failures have reached the number that pauses its loop."""

    project_id: str
    because: str


@dataclass(frozen=True)
class ProjectBroke:
    """A project's repository could not be cloned."""

    project_id: str
    because: str


@dataclass(frozen=True)
class PersonNeeded:
    """Nothing goes on here until a person decides; told once for each `key`."""

    key: str
    project_id: str
    what: str
    because: str
    path: str


@dataclass(frozen=True)
class BatchEnded:
    """The last of a batch's runs has come to its end."""

    batch_id: str
    project_id: str
    run_count: int


Happening = (
    RunEnded | WorkParked | NothingKept | ProjectPaused | ProjectBroke | PersonNeeded | BatchEnded
)
