"""Runs, projects and other rows for tests, with defaults for every column."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmodel import select

from app.domain import ids
from app.domain.batches import BatchStatus
from app.domain.words import Status
from app.records.database.database import Database
from app.records.database.migration import migrate
from app.records.feed import Change
from app.records.runs.run_ledger import RunLedger
from app.records.stores.routing import Stores
from app.records.tables import Batch, Project, Run

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_counter = itertools.count(1)


def entropy(size: int) -> bytes:
    """Return bytes that differ on each call and repeat in each test session."""
    return next(_counter).to_bytes(8, "big").ljust(size, b"\0")


def stores_on(control: Database, runs: Database | None = None) -> Stores:
    """Return stores whose id entropy repeats in each test session."""
    return Stores(control, runs, entropy)


def opened_database(file: Path, tell: Callable[[list[Change]], None]) -> Database:
    """Open a database file and migrate it to the current schema."""
    database = Database(f"sqlite:///{file}", publish=tell)
    migrate(database, backups=file.parent / "backups", now=NOW)
    return database


def run_id(at: datetime = NOW, *, split: bool = False) -> str:
    """Return a new run id, in the run store's shape if `split`."""
    at_ms = int(at.timestamp() * 1000)
    return ids.mint_run_store_id("run", at_ms=at_ms, entropy=entropy(10), split=split)


def batch_id(at: datetime = NOW, *, split: bool = False) -> str:
    """Return a new batch id, in the run store's shape if `split`."""
    at_ms = int(at.timestamp() * 1000)
    return ids.mint_run_store_id("batch", at_ms=at_ms, entropy=entropy(10), split=split)


def draft_batch(**columns: Any) -> Batch:
    """Return an unsaved pending batch of `proj_1`."""
    defaults: dict[str, Any] = {
        "id": batch_id(columns.get("created_at", NOW)),
        "project_id": "proj_1",
        "run_count": 1,
        "status": BatchStatus.PENDING,
        "body_hash": "0",
        "correlation_id": "c",
        "created_by": "person_1",
        "created_at": NOW,
    }
    return Batch(**defaults | columns)


def draft_run(**columns: Any) -> Run:
    """Return an unsaved queued run of `proj_1` with a unique work branch."""
    number = next(_counter)
    defaults: dict[str, Any] = {
        "id": run_id(columns.get("created_at", NOW)),
        "project_id": "proj_1",
        "status": Status.QUEUED,
        "trigger": "api",
        "title": "A run",
        "depth_level": "standard",
        "target_framework": "auto",
        "branch_name": "main",
        "work_branch": f"run/{number}",
        "agent": "script",
        "delivers": "change",
        "tags": [],
        "budget_seconds": 60,
        "body_hash": "0",
        "correlation_id": "c",
        "created_by": "person_1",
        "provenance": {},
        "created_at": NOW,
    }
    return Run(**defaults | columns)


def add_run(ledger: RunLedger, **columns: Any) -> Run:
    """Insert a run made by `draft_run`."""
    run = draft_run(**columns)
    with ledger.stores.owner_of(run.id).transaction() as tx:
        ledger.insert(tx, run, sentence="accepted")
    return run


def draft_project(**columns: Any) -> Project:
    """Return an unsaved project in state ready."""
    defaults: dict[str, Any] = {
        "id": "proj_1",
        "name": "one",
        "origin": "/srv/one",
        "base_branch": "main",
        "tracker": "builtin",
        "agent": "script",
        "budget_seconds": 60,
        "max_concurrency": 3,
        "open_pr": "runyard",
        "branch_pattern": "afk/<N>",
        "frameworks": ["auto"],
        "sandbox": "none",
        "state": "ready",
        "known_branches": ["main"],
        "created_at": NOW,
    }
    return Project(**defaults | columns)


def draft_change(**columns: Any) -> dict[str, Any]:
    """Return the columns of an open change request of `proj_1`, without its number."""
    defaults: dict[str, Any] = {
        "project_id": "proj_1",
        "run_id": "run_1",
        "title": "A change",
        "body": "",
        "base": "main",
        "branch": "afk/1",
        "base_sha": "a" * 40,
        "head_sha": "b" * 40,
        "commits": 1,
        "files_changed": 1,
        "additions": 1,
        "deletions": 0,
        "created_at": NOW,
    }
    return defaults | columns


def runs_of(stores: Stores, project_id: str) -> list[Run]:
    """Return all runs of a project, newest first."""
    found = stores.everywhere(select(Run).where(Run.project_id == project_id))
    return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)
