"""The requests that one GitHub gets in an hour in which nothing changes there."""

from __future__ import annotations

from pathlib import Path

from app.domain.words import READY_LABEL
from tests.bench.table import Found, Measured
from tests.builders.rows import draft_change
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.twin import GithubTwin

PROJECTS, SHORTER = 200, 10
# every fifth project has an open pull request
WITH_CHANGE = 5
# what a sweep finds was there long before, in an hour and in the ten minutes before it
LONG_AGO = "2026-01-01T00:00:00Z"
SWEEP_SECONDS, WARM_SWEEPS, SWEEPS = 30, 20, 120
CLONE_SECONDS = 900


def measure_asking(folder: Path, *, is_short: bool) -> Found:
    """Count the requests of all duties that look at forges, over projects of one owner.

    Only those count whose answer was not 304: GitHub's limit is for them.
    """
    projects = PROJECTS // SHORTER if is_short else PROJECTS
    with GithubTwin(folder / "forge") as twin, real_plane(folder / "plane") as plane:
        twin.limit = 10**9
        twin.add_token("TOKEN_BOT")
        plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
        for number in range(projects):
            _add_project(plane, twin, number)
        assert plane.workers.finish(CLONE_SECONDS)
        assert {one.state for one in plane.ledgers.projects.all()} == {"ready"}
        _sweep(plane, WARM_SWEEPS)
        counted, asked = twin.counted, len(twin.asked)
        _sweep(plane, SWEEPS)
        counted, asked = twin.counted - counted, len(twin.asked) - asked
        assert plane.ledgers.runs.open_runs() == []
    note = f"{projects} projects of one owner, {asked:,} with those answered 304"
    return {"github_hour": Measured(counted, note)}


def _add_project(plane: RealPlane, twin: GithubTwin, number: int) -> None:
    shop = twin.add_repository(f"acme/shop-{number}")
    shop.write("Waits", "Blocked by #2", READY_LABEL)
    shop.write("Goes first")
    choice = plane.services.forges.choose(None, shop.clone_url, None)
    project = plane.services.projects.add(
        f"shop-{number}",
        shop.clone_url,
        plane.clock(),
        agent_command=["true"],
        auto_enabled=True,
        **choice.columns,
    )
    if number % WITH_CHANGE == 0:
        _open_change(plane, project.id, shop)
    for row in [*shop.issues.values(), *shop.pulls.values()]:
        row["updated_at"] = LONG_AGO


def _open_change(plane: RealPlane, project_id: str, shop: GithubHosted) -> None:
    shop.git.commit(shop.place, "afk/9", "nine.txt", "nine\n")
    number = shop.open("afk/9", "main", "Nine", "")
    plane.ledgers.tracker.open_change(
        **draft_change(
            project_id=project_id,
            number=number,
            run_id=f"run_of_{project_id}",
            branch="afk/9",
            base_sha=shop.git.tip(shop.place, "main"),
            head_sha=shop.git.tip(shop.place, "afk/9"),
            url=f"{shop.home}/{shop.name}/pull/{number}",
        )
    )


def _sweep(plane: RealPlane, times: int) -> None:
    """Let all duties look that do so after each sweep."""
    services = plane.services
    for _ in range(times):
        now = plane.clock.advance(SWEEP_SECONDS)
        services.sweep.tick_once(now)
        services.pull_requests.look_once(now)
        services.forge_issues.look_once(now)
        services.repositories.look_once(now)
        services.claims.tell_once(now)
        plane.rest()
