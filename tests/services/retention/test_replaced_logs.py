"""An agent that deletes its own log: reported as such, not as silence."""

from __future__ import annotations

import pytest

from tests.drivers.planes import RealPlane

TOLD = "the log was replaced while the run was going"
ITS_LOG = '"$(dirname "$RUNYARD_PROMPT_FILE")/log"'


@pytest.mark.parametrize(
    "deed",
    [f"ln -sf /etc/hostname {ITS_LOG}", f"rm {ITS_LOG}", f"rm {ITS_LOG}; mkdir {ITS_LOG}"],
    ids=["a link", "nothing", "a folder"],
)
def test_an_unsandboxed_agent_that_replaces_its_log_is_told_of(plane: RealPlane, deed: str) -> None:
    run = plane.finish(plane.add_project(f"echo evil; {deed}; exit 1", sandbox="none"))
    assert TOLD in plane.lines(run)
    assert plane.adapters.engine.log(run.id).read().content == b""


def test_of_a_log_that_is_there_nothing_is_said(plane: RealPlane) -> None:
    run = plane.finish(plane.add_project("echo fine; exit 1", sandbox="none"))
    assert TOLD not in plane.lines(run)


def test_a_contained_agent_does_not_find_its_log(plane: RealPlane) -> None:
    agent = f"echo begun; ln -sf /etc/hostname {ITS_LOG}; exit 1"
    run = plane.finish(plane.add_project(agent, sandbox="contained"))
    assert TOLD not in plane.lines(run)
    assert plane.adapters.engine.log(run.id).read().content.startswith(b"begun\n")
