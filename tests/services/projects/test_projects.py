"""Projects: a refusal leaves nothing, a clone resumes, and live ones cannot be archived."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from app.errors import (
    ForgeUnavailable,
    Invalid,
    NameTaken,
    NotFound,
    ProjectArchived,
    ProjectBusy,
    Refusal,
)
from app.services.runs.requests import model_for
from tests.builders.poison import unreadable
from tests.builders.repositories import make_origin, run_git
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.planes import TwinPlane


def mirrors(plane: RealPlane) -> list[str]:
    """Return the names in the mirrors folder, without locks."""
    folder = plane.settings.runs_root / "mirrors"
    names = os.listdir(folder) if folder.exists() else []
    return sorted(name for name in names if not name.endswith(".lock"))


@pytest.fixture
def origins(plane: RealPlane) -> dict[str, str]:
    """Return origins that cannot be projects, by name."""
    folder = plane.folder
    (folder / "plain").mkdir()
    (folder / "file").write_text("x")
    make_origin(folder / "good")
    (folder / "good" / "below").mkdir()
    make_origin(folder / "empty", files={})
    shallow = folder / "shallow"
    run_git(folder, "clone", "-q", "--depth=1", f"file://{folder / 'good'}", str(shallow))
    return {
        "bad path": str(folder / "none"),
        "relative": "good",
        "home": "~/good",
        "no repository": str(folder / "plain"),
        "a file": str(folder / "file"),
        "below a repository": str(folder / "good" / "below"),
        "empty": str(folder / "empty"),
        "shallow": str(shallow),
        "file url": f"file://{folder / 'good'}",
        "http": "http://127.0.0.1/x",
        "option": f"--upload-pack=touch {folder / 'canary'}",
        "command": f"ext::sh -c touch% {folder / 'canary'}",
        "ssh option": f"ssh://-oProxyCommand=touch {folder / 'canary'}/x",
        "secret": "https://me:secret@127.0.0.1/x",
        "nothing": "",
    }


@pytest.mark.parametrize(
    "name",
    [
        *("bad path", "relative", "home", "no repository", "a file", "below a repository", "empty"),
        *("shallow", "file url", "http", "option", "command", "ssh option", "secret", "nothing"),
    ],
)
def test_an_origin_that_cannot_be_used_leaves_nothing(
    plane: RealPlane, origins: dict[str, str], name: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        plane.services.projects.add("new", origins[name], plane.clock())
    [error] = refusal.value.members["errors"]
    assert error["field"] == "origin"
    assert error["message"] == refusal.value.detail
    assert "secret" not in refusal.value.detail
    plane.rest()
    assert plane.ledgers.projects.all() == []
    assert mirrors(plane) == []
    assert not (plane.folder / "canary").exists()


def test_an_address_where_nobody_answers_leaves_nothing(plane: RealPlane) -> None:
    # nothing listens on port 1
    with pytest.raises(ForgeUnavailable, match="did not answer"):
        plane.services.projects.add("new", "https://127.0.0.1:1/x.git", plane.clock())
    assert plane.ledgers.projects.all() == []
    assert mirrors(plane) == []


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("base_branch", {"base_branch": "develop"}),
        ("base_branch", {"base_branch": "--upload-pack=touch canary"}),
        ("base_branch", {"base_branch": "refs/heads/main"}),
        ("agent", {"agent": "nobody"}),
        ("branch_pattern", {"branch_pattern": "afk/"}),
        ("branch_pattern", {"branch_pattern": "<N>/<N>"}),
        ("branch_pattern", {"branch_pattern": "-<N>"}),
        ("branch_pattern", {"branch_pattern": "a b/<N>"}),
        ("branch_pattern", {"branch_pattern": "refs/heads/<N>"}),
        ("agent_command", {"agent_command": ["a\0b"]}),
        ("setup_command", {"setup_command": ["\0"]}),
        ("tags", {"tags": ["web", "x" * 41]}),
        ("tags", {"tags": ["web, billing"]}),
        ("tags", {"tags": ["a\u202eb"]}),
    ],
)
def test_settings_that_cannot_be_leave_nothing(
    twin: TwinPlane, field: str, settings: dict[str, Any]
) -> None:
    origin = twin.world.add_origin("/good")
    with pytest.raises(Invalid) as refusal:
        twin.services.projects.add("new", origin, twin.clock(), **settings)
    assert [error["field"] for error in refusal.value.members["errors"]] == [field]
    assert twin.ledgers.projects.all() == []
    # nor can they be set later
    project = twin.add_project()
    with pytest.raises(Invalid):
        twin.services.projects.change(project.id, **settings)
    assert twin.project(project.id) == project


def test_a_repository_whose_head_names_no_branch_asks_for_the_base(plane: RealPlane) -> None:
    origin = make_origin(plane.folder / "detached")
    run_git(origin, "checkout", "-q", "--detach")
    with pytest.raises(Invalid) as refusal:
        plane.services.projects.add("new", str(origin), plane.clock())
    assert [error["field"] for error in refusal.value.members["errors"]] == ["base_branch"]
    assert "empty" not in refusal.value.detail
    project = plane.add_project(origin=origin, base_branch="main")
    assert project.base_branch == "main"


@pytest.mark.parametrize("name", ["one", " one", "one "])
def test_a_name_is_given_once(twin: TwinPlane, name: str) -> None:
    twin.add_project(name="one")
    other = twin.world.add_origin("/other")
    before = list(twin.world.mirrors)
    with pytest.raises(NameTaken) as refusal:
        twin.services.projects.add(name, other, twin.clock(), agent="claude")
    assert refusal.value.detail == "Name already in use"
    assert refusal.value.members["errors"][0]["field"] == "name"
    twin.rest()
    assert len(twin.ledgers.projects.all()) == 1
    assert list(twin.world.mirrors) == before


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\nb", "a\u202eb"])
def test_a_name_that_is_none_is_refused(twin: TwinPlane, name: str) -> None:
    origin = twin.world.add_origin("/good")
    with pytest.raises(Invalid) as refusal:
        twin.services.projects.add(name, origin, twin.clock(), agent="claude")
    assert refusal.value.members["errors"][0]["field"] == "name"


def test_a_project_is_known_before_its_mirror_is_there(plane: RealPlane) -> None:
    origin = make_origin(plane.folder / "good")
    run_git(origin, "branch", "develop")
    plane.workers.close()
    project = plane.services.projects.add("new", f"{origin}/", plane.clock(), agent="claude")
    assert (project.state, project.base_branch) == ("cloning", "main")
    assert project.origin == str(origin)
    names = [branch.name for branch in plane.services.projects.branches(project.id)]
    assert names == ["main", "develop"]
    # runs are accepted, and wait
    plane.ledgers.projects.change(project.id, agent="script", agent_command=["/bin/true"])
    run = plane.accept(plane.order(project))
    plane.services.sweep.fill_once(plane.clock())
    assert plane.run(run.id).hold == "the repository is being cloned"


def test_a_clone_that_a_restart_interrupted_is_begun_again(tmp_path: Path) -> None:
    origin = make_origin(tmp_path / "good")
    with real_plane(tmp_path) as plane:
        plane.workers.close()
        project = plane.services.projects.add(
            "new", str(origin), plane.clock(), agent_command=["/bin/true"]
        )
        plane.accept(plane.order(project))
        # the state a killed clone leaves
        (plane.settings.runs_root / "mirrors").mkdir(parents=True)
        assert plane.project(project.id).state == "cloning"
    with real_plane(tmp_path) as plane:
        assert plane.services.projects.resume_clones() == 1
        plane.rest()
        assert plane.project(project.id).state == "ready"
        assert mirrors(plane) == [f"{project.id}.git"]
        # the waiting run has started
        [run_id] = plane.rows()
        assert plane.run(run_id).status == "running"
        plane.see_end(plane.run(run_id))


def test_a_clone_that_fails_says_why_and_is_not_ready(plane: RealPlane) -> None:
    origin = make_origin(plane.folder / "good")
    plane.workers.close()
    project = plane.services.projects.add("new", str(origin), plane.clock(), agent="claude")
    origin.rename(plane.folder / "moved")
    assert plane.services.projects.clone_once(project.id) is False
    project = plane.project(project.id)
    assert project.state == "broken"
    assert "no folder" in (project.state_because or "")
    assert mirrors(plane) == []
    assert plane.services.projects.progress(project.id) is None


def test_a_project_is_cloned_once(twin: TwinPlane) -> None:
    project = twin.add_project()
    assert twin.services.projects.clone_once(project.id) is False
    assert twin.services.projects.clone_once("proj_none") is False
    assert twin.services.projects.resume_clones() == 0


def test_a_project_with_an_open_run_is_not_archived(twin: TwinPlane) -> None:
    project = twin.add_project("sleep 600")
    run = twin.start_running(project)
    with pytest.raises(ProjectBusy):
        twin.services.projects.archive(project.id, twin.clock())
    assert twin.project(project.id).archived_at is None
    twin.stop_run(run)
    archived = twin.services.projects.archive(project.id, twin.clock())
    assert archived.archived_at == twin.clock()
    # archiving again keeps the history and the first time
    first = twin.clock()
    twin.clock.advance(60)
    assert twin.services.projects.archive(project.id, twin.clock()).archived_at == first
    assert twin.run(run.id).status == "stopped"
    assert twin.services.projects.find(project.id).name == project.name


def test_an_archived_project_is_not_changed(twin: TwinPlane) -> None:
    project = twin.add_project()
    twin.services.projects.archive(project.id, twin.clock())
    with pytest.raises(ProjectArchived):
        twin.services.projects.change(project.id, budget_seconds=5)


def test_settings_are_changed_one_by_one(twin: TwinPlane) -> None:
    project, other = twin.add_project(name="one"), twin.add_project(name="two")
    changed = twin.services.projects.change(project.id, name="three", budget_seconds=5)
    assert (changed.name, changed.budget_seconds) == ("three", 5)
    assert changed.origin == project.origin
    with pytest.raises(NameTaken):
        twin.services.projects.change(project.id, name=other.name)
    assert twin.services.projects.change(project.id) == changed


def test_a_tag_is_kept_once_as_it_was_first_written(twin: TwinPlane) -> None:
    origin = twin.world.add_origin("/good")
    tags = ["Web", "billing", "web", "Billing"]
    made = twin.services.projects.add(
        "new", origin, twin.clock(), agent_command=["x"], agent="script", tags=tags
    )
    assert made.tags == ["Web", "billing"]
    assert twin.services.projects.change(made.id, tags=["ops", "OPS"]).tags == ["ops"]
    assert twin.services.projects.change(made.id, tags=[]).tags == []


def test_a_run_without_a_model_has_that_of_its_project_unless_its_agent_is_another(
    twin: TwinPlane,
) -> None:
    project = twin.add_project()
    twin.services.projects.change(project.id, model="opus")
    orders = {"opus": {}, "haiku": {"model": "haiku"}, None: {"agent": "claude"}}
    for model, wishes in orders.items():
        project = twin.project(project.id)
        assert model_for(twin.order(project, **wishes), project) == model
    assert twin.accept(twin.order(project)).model == "opus"
    assert model_for(twin.order(project), None) is None


def test_what_is_not_there_is_not_found(twin: TwinPlane) -> None:
    desk = twin.services.projects
    calls = [
        lambda: desk.find("proj_none"),
        lambda: desk.change("proj_none", name="x"),
        lambda: desk.archive("proj_none", twin.clock()),
        lambda: desk.branches("proj_none"),
        lambda: twin.services.issues.all("proj_none"),
        lambda: twin.services.issues.add("proj_none", "t", "", [], twin.clock()),
        lambda: twin.services.changes.all("proj_none"),
        lambda: twin.services.changes.merge("proj_none", 1, twin.clock()),
    ]
    for call in calls:
        with pytest.raises(Refusal) as refusal:
            call()
        assert type(refusal.value) is NotFound


def test_the_pattern_of_branches_stays_while_an_issue_is_claimed_by_it(twin: TwinPlane) -> None:
    project = twin.add_project("exit 3")
    run = twin.see_end(twin.start_running_issue(project))
    with pytest.raises(ProjectBusy, match="merge, close or discard them first"):
        twin.services.projects.change(project.id, branch_pattern="work/<N>")
    assert twin.project(project.id).branch_pattern == "afk/<N>"
    twin.adapters.mirrors.release(twin.repository(project), run.work_branch, expected_sha=None)
    changed = twin.services.projects.change(project.id, branch_pattern="work/<N>")
    assert changed.branch_pattern == "work/<N>"


@pytest.mark.parametrize("place", range(3))
def test_wherever_a_project_that_cannot_be_read_stands_the_others_are_read(
    twin: TwinPlane, place: int
) -> None:
    projects = [twin.add_project(name=name) for name in ("first", "second", "third")]
    with unreadable(twin, projects[place]):
        readable = [one.name for one in twin.ledgers.projects.all()]
        shown = [view.project.name for view in twin.services.overview.all()]
    names = [one.name for one in projects]
    assert readable == names[:place] + names[place + 1 :]
    assert sorted(shown) == names
