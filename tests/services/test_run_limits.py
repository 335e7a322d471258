"""Runs that meet a limit of their own: a cause with its figure, a fail, and the work is kept."""

from __future__ import annotations

import pytest

from tests.attacks.limit_breakers import EATS, FILLS_DISK, FORKS, HUGE_FILE
from tests.planes import RealPlane
from tests.services.pushing import pushed

COMMITS_FIRST = "echo done > done.txt && git add -A && git commit -qm first\n"


@pytest.mark.parametrize(
    ("script", "limits", "cause", "because"),
    [
        (
            EATS,
            {"memory_mb": 160},
            "out_of_memory",
            "the run's limit of 160 MB of memory was reached",
        ),
        (
            FORKS,
            {"processes": 60},
            "too_many_processes",
            "the run's limit of 60 processes was reached",
        ),
        (
            FILLS_DISK,
            {"disk_mb": 16},
            "disk_quota",
            "the run's limit of 16 MB for its working copy was reached",
        ),
        (
            HUGE_FILE,
            {"file_mb": 1},
            "disk_quota",
            "the run's limit of 1 MB for one file was reached",
        ),
    ],
    ids=["memory", "processes", "disk", "file"],
)
def test_a_run_at_its_limit_is_a_fail_with_the_figure_and_its_commits_are_kept(
    plane: RealPlane, script: str, limits: dict[str, int], cause: str, because: str
) -> None:
    project = plane.add_project(COMMITS_FIRST + script)
    assert plane.ledgers.projects.change(project.id, limits=limits)
    run = plane.see_end(plane.start_running_issue(project))
    assert (run.status, run.cause, run.because) == ("died", cause, because)
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
    assert told["limits"].startswith("4,096 processes by ")
    assert told["limits"].endswith(" · files 512 MB")
    assert told["environment"]
