"""A missing or signed-out agent: nothing is accepted, claimed or counted for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.domain.rules import Hold
from app.errors import AgentUnavailable
from tests.builders.repositories import make_origin
from tests.drivers.afk import add_issues, runs, switch, tick
from tests.drivers.planes import COMMIT, RealPlane
from tests.fakes.planes import TwinPlane

NOT_SIGNED_IN = "codex is not signed in. Run `codex login` as the server's user"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working `codex` on a machine without any sign-in."""
    program = tmp_path / "bin" / "codex"
    program.parent.mkdir()
    # a script would count as able to sign in by itself
    shutil.copy("/bin/true", program)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    for name in ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_HOME", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return program


@pytest.fixture
def signed_in(program: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_API_KEY", "a key")
    return program


@pytest.mark.usefixtures("program")
def test_nothing_is_accepted_for_an_agent_that_is_signed_out(twin: TwinPlane) -> None:
    project = twin.add_project(COMMIT)
    with pytest.raises(AgentUnavailable, match=NOT_SIGNED_IN):
        twin.accept(twin.order(project, agent="codex"))
    assert twin.rows() == []


@pytest.mark.usefixtures("signed_in")
def test_what_is_signed_in_is_let_through_and_so_is_what_nobody_can_tell(
    plane: RealPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(COMMIT)
    assert plane.launch(project, agent="codex", task="one").status != "not_started"
    monkeypatch.delenv("CODEX_API_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "may be of use")
    assert plane.launch(project, agent="codex", task="two").status != "not_started"


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("brings", [".runyardinclude", ".codex/config.toml", "a setup command"])
def test_what_a_project_may_bring_along_is_not_refused(
    plane: RealPlane, tmp_path: Path, brings: str
) -> None:
    has_command = brings == "a setup command"
    files = {} if has_command else {brings: "x"}
    origin = make_origin(tmp_path / "brings", files={"README.md": "x", **files})
    project = plane.add_project(COMMIT, origin=origin)
    command = ["true"] if has_command else None
    plane.ledgers.projects.change(project.id, agent="codex", setup_command=command)
    assert plane.launch(project).status != "not_started"
    add_issues(plane, project, 1)
    switch(plane, project, on=True)
    assert len(runs(plane, project)) == 2


@pytest.mark.parametrize("way", ["signed out", "missing"])
def test_a_run_that_waited_is_refused_before_its_claim(
    plane: RealPlane, signed_in: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    project = plane.add_project(COMMIT)
    issue = plane.add_issue(project)
    run = plane.accept(plane.order(project, issue=issue.number, agent="codex", delay_seconds=60))
    if way == "missing":
        signed_in.unlink()
    else:
        monkeypatch.delenv("CODEX_API_KEY")
    plane.clock.advance(61)
    plane.tick()
    ended = plane.run(run.id)
    cause, because = {
        "missing": ("agent_missing", "The agent's command 'codex' was not found"),
        "signed out": ("auth", NOT_SIGNED_IN),
    }[way]
    assert (ended.status, ended.cause) == ("not_started", cause)
    assert because in (ended.because or "")
    assert plane.is_gone(ended)
    assert "claimed" not in plane.kinds(ended)
    assert ended.released_at is not None
    assert plane.project(project.id).strikes == 0
    assert plane.services.issues.all(project.id)[0].claimable


def test_the_loop_holds_until_somebody_signs_in(
    plane: RealPlane, signed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(COMMIT)
    plane.ledgers.projects.change(project.id, agent="codex")
    monkeypatch.delenv("CODEX_API_KEY")
    add_issues(plane, project, 1)
    switch(plane, project, on=True)
    assert runs(plane, project) == []
    held = plane.services.loop.decide(plane.project(project.id), plane.clock())
    assert isinstance(held, Hold)
    assert NOT_SIGNED_IN in held.reason
    monkeypatch.setenv("CODEX_API_KEY", "a key")
    tick(plane)
    assert [run.issue for run in runs(plane, project)] == [1]
