"""Issues longer than a program argument may be: worked on, or at least blocking no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.git.layout import mirror_path
from app.domain.words import Status
from tests.builders.repositories import run_git
from tests.drivers.afk import runs, switch, tick
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.runs import shell

MATTERS = "All of it matters."
BODY = f"{MATTERS} " * 10_527  # 200,013 characters
READS_AND_COMMITS = """#!/bin/sh
cat > prompt.txt
printf '%s\\n' "$@" > arguments.txt
git add . && git commit -qm 'Work on it'
"""


def test_an_issue_of_200000_characters_is_read_by_the_agent_and_the_next_one_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "claude").write_text(READS_AND_COMMITS)
    (programs / "claude").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("IS_SANDBOX", "1")
    with real_plane(tmp_path) as plane:
        project = plane.add_project()
        plane.ledgers.projects.change(project.id, agent="claude", agent_command=None)
        long = plane.add_issue(project, "A long one", BODY).number
        short = plane.add_issue(project, "A short one").number
        switch(plane, project, on=True)
        tick(plane)
        first = runs(plane, project)[0]
        plane.wait(lambda: plane.look(first).tree_gone, "the agent's end")
        # a quick run may already be settled by the sweep after its start
        tick(plane)
        done = plane.run(first.id)
        assert (done.issue, done.status) == (long, Status.SUCCEEDED), done.because
        mirror = mirror_path(plane.settings.runs_root / "mirrors", plane.repository(project))
        assert run_git(mirror, "show", f"{done.head_sha}:prompt.txt").count(MATTERS) == 10_527
        assert MATTERS not in run_git(mirror, "show", f"{done.head_sha}:arguments.txt")
        assert [run.issue for run in runs(plane, project)] == [long, short]


def test_an_issue_too_long_for_the_projects_command_holds_up_no_other_issue(
    plane: RealPlane,
) -> None:
    project = plane.add_project([*shell('echo "$1" > task.txt; sleep 60'), "agent", "{prompt}"])
    long = plane.add_issue(project, "A long one", BODY).number
    short = plane.add_issue(project, "A short one").number
    switch(plane, project, on=True)
    tick(plane)
    tick(plane)
    refused, started = runs(plane, project)
    assert (refused.issue, refused.status) == (long, Status.NOT_STARTED)
    assert "{prompt_file}" in (refused.because or "")
    assert not plane.copy(refused).exists()
    assert (started.issue, started.status) == (short, Status.RUNNING)
    assert plane.project(project.id).strikes == 0
    assert [run.id for run in runs(plane, project)] == [refused.id, started.id]
