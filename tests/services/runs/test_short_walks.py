"""Short walks: how much of the program an AFK start goes through, and what an accept reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.builders.databases import KINDS, POSTGRESQL, one_postgres, shared_database
from tests.drivers import afk
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.query_plans import statements_of
from tests.drivers.walks import Walk, walk
from tests.fakes.cut_commits import commit_cutter

HOUR = 3600


@pytest.fixture
def seen() -> Iterator[Walk]:
    """The walk of a test's plane."""
    with walk() as seen:
        yield seen


@pytest.fixture
def followed(seen: Walk, tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane whose threads are followed, because they start inside the walk."""
    with real_plane(tmp_path) as plane:
        yield plane


def test_an_afk_start_is_a_short_walk_to_its_agent(seen: Walk, followed: RealPlane) -> None:
    project = followed.add_project(afk.SLEEP)
    afk.add_issues(followed, project, 2)
    seen.restart()
    run = afk.start(followed, project, key="once").run
    assert (seen.read_sessions <= 15, seen.transactions <= 8) == (True, True), vars(seen)
    assert len(seen.files) <= 95, seen.files
    assert followed.run(run.id).status == "running"


def test_an_accepted_run_is_five_messages_to_postgresql(tmp_path: Path) -> None:
    address = make_url(shared_database(tmp_path, POSTGRESQL))
    with (
        tempfile.TemporaryDirectory(prefix="runyard-wire-") as folder,
        commit_cutter(one_postgres().socket, Path(folder)) as wire,
        real_plane(
            tmp_path, database_url=address.update_query_dict({"host": folder}).render_as_string()
        ) as plane,
    ):
        order = plane.order(plane.add_project(), delay_seconds=HOUR)
        plane.accept(order, "warm-up")
        before = wire.messages
        for number in range(3):
            plane.accept(order, f"key-{number}")
        # what the order is checked with; the turn to write; guards; all rows; news and commit
        assert wire.messages - before == 3 * 5


@pytest.mark.parametrize("kind", KINDS)
def test_an_accepted_run_is_decided_by_few_statements(tmp_path: Path, kind: str) -> None:
    with real_plane(tmp_path, database_url=shared_database(tmp_path, kind)) as plane:
        order = plane.order(plane.add_project(), delay_seconds=HOUR)
        asked = statements_of(lambda: plane.accept(order, "key"))
    assert len([text for text, _ in asked if "FROM" in text]) == 2, asked
