"""Projects and runs with scripted agents, for tests of the run pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nicegui.testing.user import User

from app.api.schemas import NewProject, ProjectOut, RunOrder, RunOut
from tests.builders.repositories import make_origin, run_git
from tests.pages.conftest import House, until

DELIVERS = r"""
printf '\033[32m142 passed\033[0m <b>&amp;</b>\n'
echo '<script>alert(1)</script>' > fixed.txt
git add .
git -c user.name=a -c user.email=a@b.test commit -qm Fix
"""
WAITS = "echo waiting; exec sleep 600"
DIES = "echo 'fatal: boom'; exit 3"
# a run with this delay is there and counts, but starts no agent during a test
DAY = 86_400


async def add_project(
    house: House,
    user: User,
    folder: Path,
    agent: str,
    name: str = "checkout-api",
    branches: int = 0,
    **more: Any,
) -> ProjectOut:
    """Add a project whose agent is a shell script, with `branches` extra branches."""
    origin = make_origin(folder / f"origin{len(list(folder.iterdir()))}")
    if branches:
        head = run_git(origin, "rev-parse", "main")
        made = "".join(f"create refs/heads/topic/{n:04d} {head}\n" for n in range(branches))
        run_git(origin, "update-ref", "--stdin", stdin=made)
    api = house.api_of(user)
    command = ["/bin/sh", "-ec", agent]
    project = await api.add_project(
        NewProject(name=name, origin=str(origin), agent="script", agent_command=command, **more)
    )
    await until(lambda: house.plane.ledgers.projects.find(project.id).state == "ready")
    return await api.project(project.id)


async def start(house: House, user: User, project: ProjectOut, key: str, **order: Any) -> RunOut:
    """Start a run and return it."""
    body = RunOrder(project_id=project.id, **order)
    return (await house.api_of(user).start_run(body, key)).run


async def until_status(house: House, run_id: str, *statuses: str) -> None:
    """Wait until the run has one of the statuses."""
    find = house.plane.ledgers.runs.find
    await until(lambda: find(run_id).status in statuses)


async def ended_run(
    house: House, user: User, folder: Path, agent: str = DIES, status: str = "died", **order: Any
) -> RunOut:
    """Run a new project's agent once, to its end."""
    project = await add_project(house, user, folder, agent)
    run = await start(house, user, project, "k1", **order)
    await until_status(house, run.id, status)
    return run
