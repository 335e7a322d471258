"""Runs that exceed a limit of the project: a cause with its figure, a strike, and kept work."""

from __future__ import annotations

import pytest

from tests.builders.pushes import pushed
from tests.drivers.planes import RealPlane
from tests.drivers.web.run_pages import page_of
from tests.fakes.limit_breakers import EATS, FILLS_DISK, FORKS, HUGE_FILE, LimitBreaker

COMMITS_FIRST = "echo done > done.txt && git add -A && git commit -qm first\n"


@pytest.mark.parametrize(
    ("agent", "cause"),
    [
        (EATS, "out_of_memory"),
        (FORKS, "too_many_processes"),
        (FILLS_DISK, "disk_quota"),
        (HUGE_FILE, "disk_quota"),
    ],
    ids=["memory", "processes", "disk", "file"],
)
def test_a_run_at_its_limit_is_a_fail_with_the_figure_and_its_commits_are_kept(
    plane: RealPlane, agent: LimitBreaker, cause: str
) -> None:
    project = plane.add_project(COMMITS_FIRST + agent.script)
    assert plane.ledgers.projects.change(project.id, limits=agent.limits)
    run = plane.see_end(plane.start_running_issue(project))
    assert (run.status, run.cause) == ("died", cause), run.because
    assert agent.seen in page_of(plane, run)
    assert run.released_at is not None
    assert run.parked
    assert plane.tip(run) != run.base_sha
    assert pushed(project, run) == ""
    assert plane.project(project.id).strikes == 1


def test_the_provenance_says_what_surrounds_an_agent_once_it_runs(plane: RealPlane) -> None:
    project = plane.add_project("true")
    assert plane.ledgers.projects.change(project.id, sandbox="none", limits={"file_mb": 512})
    run = plane.finish(project)
    told = run.provenance
    assert (told["sandbox"], told["sandbox_means"], told["network"]) == ("none", "", "all")
    assert told["allow"] == ""
    assert told["limits"].startswith("4,096 processes by ")
    assert told["limits"].endswith(" · files 512 MB")
    assert told["environment"]


def test_the_provenance_names_the_services_of_the_machine_that_an_agent_could_use(
    plane: RealPlane,
) -> None:
    project = plane.add_project("true")
    plane.services.projects.change(project.id, sandbox="contained", allow=["docker", "dbus"])
    assert plane.finish(project).provenance["allow"] == "docker, dbus"
