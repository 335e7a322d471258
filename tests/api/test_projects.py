"""Projects and branches over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.workshop import Workshop, open_workshop, problem
from tests.repositories import make_origin, run_git

NAMED = (
    *("id", "name", "origin", "base_branch", "tracker", "agent", "agent_command"),
    *("setup_command", "prompt", "budget_seconds", "stall_seconds", "max_concurrency"),
    *("open_pr", "branch_pattern", "frameworks", "sandbox", "auto_enabled", "state"),
    *("strikes", "paused", "recent_failures", "ready_count", "live_runs", "last_run"),
    *("hold", "archived_at", "created_at"),
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("projects")) as shop:
        yield shop


def names(shop: Workshop) -> list[str]:
    return [project["name"] for project in shop.api.get("/projects").json()["items"]]


def test_a_project_is_answered_whole_from_the_first_moment(shop: Workshop) -> None:
    origin = shop.origin("whole", branch="trunk")
    run_git(origin, "branch", "aside", "trunk")
    answer = shop.api.post("/projects", json={"name": " whole ", "origin": str(origin)})
    first = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/projects/{first['id']}"
    assert [name for name in NAMED if name not in first] == []
    assert first["state"] in {"cloning", "ready"}
    assert (first["name"], first["base_branch"], first["agent"]) == ("whole", "trunk", "script")
    assert (first["budget_seconds"], first["open_pr"], first["sandbox"]) == (
        *(7200, "runyard", "none"),
    )
    assert (first["auto_enabled"], first["paused"], first["strikes"]) == (False, False, 0)
    assert (first["tracker"], first["branch_pattern"]) == ("builtin", "afk/<N>")
    assert MOMENT.fullmatch(first["created_at"])
    branches = shop.api.get(f"/projects/{first['id']}/branches").json()["items"]
    assert [(one["name"], one["is_base"]) for one in branches] == [
        *(("trunk", True), ("aside", False)),
    ]
    ready = shop.wait(f"/projects/{first['id']}", lambda one: one["state"] == "ready")
    assert (ready["ready_count"], ready["live_runs"], ready["last_run"]) == (0, 0, None)
    branches = shop.api.get(f"/projects/{first['id']}/branches").json()["items"]
    assert [one["name"] for one in branches] == ["trunk", "aside"]
    assert all(MOMENT.fullmatch(one["updated_at"]) for one in branches)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"origin": ""}, "origin"),
        ({"origin": "relative/path"}, "origin"),
        ({"origin": "/nowhere/at/all"}, "origin"),
        ({"origin": "/"}, "origin"),
        ({"origin": "file:///etc"}, "origin"),
        ({"origin": "ext::sh -c id"}, "origin"),
        ({"origin": "--upload-pack=id"}, "origin"),
        ({"origin": "http://127.0.0.1/x.git"}, "origin"),
        ({"origin": "https://me:secret@127.0.0.1/x.git"}, "origin"),
        ({"base_branch": "none"}, "base_branch"),
        ({"base_branch": " "}, "base_branch"),
        ({"agent": "nobody"}, "agent"),
        ({"agent": ""}, "agent"),
        ({"agent_command": "sh -c id"}, "agent_command"),
        ({"agent_command": ["a\0b"]}, "agent_command"),
        ({"setup_command": [1]}, "setup_command.0"),
        ({"budget_seconds": 0}, "budget_seconds"),
        ({"budget_seconds": "x"}, "budget_seconds"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"branch_pattern": "afk"}, "branch_pattern"),
        ({"branch_pattern": "<N>/<N>"}, "branch_pattern"),
        ({"branch_pattern": "-<N>"}, "branch_pattern"),
        ({"open_pr": "agent"}, "open_pr"),
        ({"open_pr": "nobody"}, "open_pr"),
        ({"sandbox": "bubblewrap"}, "sandbox"),
        ({"frameworks": [""]}, "frameworks.0"),
        ({"prompt": "€" * 11000}, "prompt"),
        ({"strikes": 0}, "strikes"),
    ],
    ids=lambda given: repr(given)[:40],
)
class TestWhatIsMalformed:
    """The same words for a new project and for a change of one."""

    def test_makes_no_project(self, shop: Workshop, given: dict[str, Any], field: str) -> None:
        if not (shop.folder / "sound").exists():
            make_origin(shop.folder / "sound")
        before = names(shop)
        body = {"name": "sound", "origin": str(shop.folder / "sound"), **given}
        told = problem(shop.api.post("/projects", json=body))
        assert (told["status"], told["error"]) == (422, "invalid")
        assert told["errors"][0]["field"] == field
        assert "secret" not in str(told)
        assert names(shop) == before

    def test_changes_no_project(self, shop: Workshop, given: dict[str, Any], field: str) -> None:
        if "steady" not in shop.projects:
            shop.add_project("steady")
        path = f"/projects/{shop.projects['steady']['id']}"
        before = shop.api.get(path).json()
        told = problem(shop.api.patch(path, json=given))
        assert (told["status"], told["error"]) == (422, "invalid")
        assert told["errors"][0]["field"] == field
        assert shop.api.get(path).json() == before


def test_an_empty_repository_is_refused(shop: Workshop) -> None:
    origin = make_origin(shop.folder / "empty", files={})
    told = problem(shop.api.post("/projects", json={"name": "empty", "origin": str(origin)}))
    assert told["errors"] == [{"field": "origin", "message": "This repository is empty."}]


@pytest.mark.parametrize("tracker", ["forgejo", "github", "paper"])
def test_only_the_built_in_tracker_can_be_chosen(shop: Workshop, tracker: str) -> None:
    origin = make_origin(shop.folder / f"tracked {tracker}")
    body = {"name": tracker, "origin": str(origin), "tracker": tracker}
    told = problem(shop.api.post("/projects", json=body))
    assert (told["status"], told["errors"][0]["field"]) == (422, "tracker")


def test_only_what_is_given_is_changed(shop: Workshop) -> None:
    project_id = shop.add_project("changes", setup_command=["true"], prompt="{task}")
    before = shop.api.get(f"/projects/{project_id}").json()
    change = {"budget_seconds": 60, "setup_command": None, "name": "changed", "agent": "claude"}
    after = shop.api.patch(f"/projects/{project_id}", json=change).json()
    assert after == {**before, **change}
    assert shop.api.get(f"/projects/{project_id}").json() == after
    assert shop.api.patch(f"/projects/{project_id}", json={}).json() == after
    told = problem(shop.api.patch(f"/projects/{project_id}", json={"budget_seconds": None}))
    assert (told["status"], told["errors"][0]["field"]) == (422, "budget_seconds")


def test_the_loop_may_be_on_from_the_start_and_is_a_setting_like_others(shop: Workshop) -> None:
    project_id = shop.add_project("by itself", auto_enabled=True)
    path = f"/projects/{project_id}"
    assert shop.api.get(path).json()["auto_enabled"] is True
    off = shop.api.patch(path, json={"auto_enabled": False, "budget_seconds": 60}).json()
    assert (off["auto_enabled"], off["budget_seconds"]) == (False, 60)
    shop.issue(project_id, "Fail", body="please fail")
    assert shop.api.get(f"{path}/next").json()["because"] == "auto runs are off"
    shop.api.patch(path, json={"auto_enabled": True})
    begun = shop.wait(path, lambda one: one["last_run"] is not None)
    assert shop.api.get(f"/runs/{begun['last_run']['id']}").json()["trigger"] == "auto"
    told = problem(shop.api.patch(path, json={"auto_enabled": None}))
    assert (told["status"], told["errors"][0]["field"]) == (422, "auto_enabled")
    assert shop.api.patch(path, json={"auto_enabled": False}).json()["auto_enabled"] is False


def test_projects_are_listed_by_name_archived_ones_only_where_they_are_asked_for(
    shop: Workshop,
) -> None:
    for name in ("zebra", "ant"):
        shop.add_project(name)
    shop.api.delete(f"/projects/{shop.projects['ant']['id']}")
    listed = shop.api.get("/projects").json()
    assert list(listed) == ["items"]
    assert names(shop) == sorted(names(shop))
    assert {"ant", "zebra"} & set(names(shop)) == {"zebra"}
    assert listed == shop.api.get("/projects", params={"include_archived": "false"}).json()
    whole = shop.api.get("/projects", params={"include_archived": "true"}).json()["items"]
    assert sorted([*names(shop), "ant"]) == [
        one["name"] for one in whole if one["name"] == "ant" or one["archived_at"] is None
    ]
    assert shop.api.get("/projects", params={"include_archived": "odd"}).status_code == 422
    one = next(one for one in listed["items"] if one["name"] == "zebra")
    assert one == shop.api.get(f"/projects/{one['id']}").json()


def test_a_failure_is_told_on_its_project(shop: Workshop) -> None:
    project_id = shop.add_project("fails")
    number = shop.issue(project_id)
    run = shop.ended(shop.start(project_id, "please fail", issue=number)["id"])
    project = shop.wait(f"/projects/{project_id}", lambda one: one["strikes"])
    assert (project["strikes"], project["paused"]) == (1, False)
    assert project["recent_failures"] == [
        {"run_id": run["id"], "status": "died"}
        | {name: run[name] for name in ("label", "issue", "because", "ended_at")}
    ]
    assert project["last_run"]["id"] == run["id"]
    assert project["live_runs"] == 0


def test_a_project_tells_the_run_that_is_live_though_a_newer_one_has_ended(shop: Workshop) -> None:
    project_id = shop.add_project("two at once")
    live = shop.live(shop.start(project_id, "please wait")["id"])
    shop.ended(shop.start(project_id, "please fail")["id"])
    project = shop.wait(f"/projects/{project_id}", lambda one: one["live_runs"] == 1)
    assert project["last_run"]["id"] == live["id"]
    shop.stop(live["id"])
    shop.wait(f"/projects/{project_id}", lambda one: one["last_run"]["id"] != live["id"])
