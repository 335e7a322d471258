"""Projects and branches over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.repositories import make_origin, run_git
from tests.drivers.servers.workshop import Workshop, open_workshop, problem
from tests.fakes.agents.runs import until

NAMED = (
    *("id", "name", "origin", "base_branch", "tracker", "agent", "agent_command"),
    *("setup_command", "prompt", "budget_seconds", "stall_seconds", "max_concurrency"),
    *("open_pr", "branch_pattern", "frameworks", "sandbox", "auto_enabled", "state"),
    *("strikes", "paused", "recent_failures", "ready_count", "live_runs", "last_run"),
    *("hold", "archived_at", "created_at"),
)
TESTS = {"name": "tests", "command": ["make", "test"]}
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
    body = {"name": " whole ", "origin": str(origin), "agent_command": ["/bin/true"]}
    answer = shop.api.post("/projects", json=body)
    first = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/projects/{first['id']}"
    assert [name for name in NAMED if name not in first] == []
    assert first["state"] in {"cloning", "ready"}
    assert (first["name"], first["base_branch"], first["agent"]) == ("whole", "trunk", "script")
    assert (first["budget_seconds"], first["open_pr"], first["sandbox"]) == (
        *(7200, "runyard", "contained"),
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
        ({"sandbox": "jail"}, "sandbox"),
        ({"network": "some"}, "network"),
        ({"network": "none"}, "network"),
        ({"sandbox": "contained", "network": "allowed"}, "network"),
        ({"allowed_hosts": ["https://example.org/"]}, "allowed_hosts"),
        ({"allowed_hosts": ["example.org:0"]}, "allowed_hosts"),
        ({"allow": ["everything"]}, "allow.0"),
        ({"toolchains": ["bin"]}, "toolchains"),
        ({"toolchains": ["/no/such/folder"]}, "toolchains"),
        ({"toolchains": ["/"]}, "toolchains"),
        ({"toolchains": [str(Path.home())]}, "toolchains"),
        ({"limits": {"memory_mb": 1}}, "limits.memory_mb"),
        ({"limits": {"processes": 0}}, "limits.processes"),
        ({"limits": {"file_mb": "x"}}, "limits.file_mb"),
        ({"limits": {"disk": 1}}, "limits.disk"),
        ({"sandbox_chosen": False}, "sandbox_chosen"),
        ({"sandbox_notice": True}, "sandbox_notice"),
        ({"frameworks": [""]}, "frameworks.0"),
        ({"prompt": "€" * 11000}, "prompt"),
        ({"strikes": 0}, "strikes"),
        ({"checks": [{"name": "a", "command": []}]}, "checks.0.command"),
        ({"checks": [{"name": " ", "command": ["x"]}]}, "checks.0.name"),
        ({"checks": [{"name": "a", "command": ["x"], "shell": True}]}, "checks.0.shell"),
        ({"checks": [TESTS | {"timeout_seconds": 0}]}, "checks.0.timeout_seconds"),
        ({"checks": [TESTS | {"name": "a\u202eb"}]}, "checks"),
        ({"checks": [TESTS, TESTS]}, "checks"),
        ({"checks": [TESTS | {"name": f"{n}"} for n in range(11)]}, "checks"),
        ({"check_rounds": 6}, "check_rounds"),
        ({"check_rounds": -1}, "check_rounds"),
        ({"on_red": "merge"}, "on_red"),
    ],
    ids=lambda given: repr(given)[:40],
)
class TestWhatIsMalformed:
    """Refused settings: the same sentences on create and on update."""

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
    change = {"budget_seconds": 60, "setup_command": None, "name": "changed", "stall_seconds": 9}
    after = shop.api.patch(f"/projects/{project_id}", json=change).json()
    assert after == {**before, **change}
    assert shop.api.get(f"/projects/{project_id}").json() == after
    assert shop.api.patch(f"/projects/{project_id}", json={}).json() == after
    told = problem(shop.api.patch(f"/projects/{project_id}", json={"budget_seconds": None}))
    assert (told["status"], told["errors"][0]["field"]) == (422, "budget_seconds")


def test_checks_are_settings_like_others(shop: Workshop) -> None:
    project_id = shop.add_project("checked", checks=[TESTS], check_rounds=0, on_red="deliver")
    path = f"/projects/{project_id}"
    before = shop.api.get(path).json()
    assert before["checks"] == [TESTS | {"timeout_seconds": 600, "required": True}]
    assert (before["check_rounds"], before["on_red"]) == (0, "deliver")
    assert (before["checks_error"], before["suggested_checks"]) == (None, [])
    lint = {"name": "lint", "command": ["true"], "timeout_seconds": 5, "required": False}
    assert shop.api.patch(path, json={"checks": [lint]}).json() == before | {"checks": [lint]}
    assert shop.api.post(f"{path}/checks/try-again").json() == before | {"checks": [lint]}
    assert shop.api.patch(path, json={"checks": []}).json()["checks"] == []
    assert problem(shop.api.patch(path, json={"checks": None}))["status"] == 422
    assert problem(shop.api.post("/projects/proj_none/checks/try-again"))["status"] == 404


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
    without = shop.api.get("/projects", params={"include_archived": "false"}).json()
    assert [one["name"] for one in without["items"]] == names(shop)
    whole = shop.api.get("/projects", params={"include_archived": "true"}).json()["items"]
    assert sorted([*names(shop), "ant"]) == [
        one["name"] for one in whole if one["name"] == "ant" or one["archived_at"] is None
    ]
    path = f"/projects/{shop.projects['zebra']['id']}"
    assert shop.api.patch(path, json={"tags": ["Striped"]}).json()["tags"] == ["Striped"]
    tagged = shop.api.get("/projects", params={"tag": "striped"}).json()["items"]
    assert [one["name"] for one in tagged] == ["zebra"]
    assert shop.api.get("/projects", params={"include_archived": "odd"}).status_code == 422

    def tells_the_same() -> bool:
        # a background check may change the project between the two responses
        items = shop.api.get("/projects").json()["items"]
        one = next(one for one in items if one["name"] == "zebra")
        return bool(one == shop.api.get(f"/projects/{one['id']}").json())

    until(tells_the_same, "the list and the project tell the same", 30)


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


def test_a_project_without_somebody_to_do_the_work_is_refused(shop: Workshop) -> None:
    body = {"name": "idle hands", "origin": str(shop.origin("idle hands"))}
    for given, field in (
        ({}, "agent"),
        ({"agent": "script"}, "agent_command"),
        ({"agent": "script", "agent_command": []}, "agent_command"),
        ({"agent_command": []}, "agent"),
    ):
        told = problem(shop.api.post("/projects", json={**body, **given}))
        assert (told["status"], told["errors"][0]["field"]) == (422, field), given
    assert "idle hands" not in names(shop)


def test_a_change_that_leaves_script_without_a_command_is_refused(shop: Workshop) -> None:
    path = f"/projects/{shop.add_project('keeps its command')}"
    for given in ({"agent_command": None}, {"agent_command": []}):
        told = problem(shop.api.patch(path, json=given))
        assert (told["status"], told["errors"][0]["field"]) == (422, "agent_command")
    assert shop.api.patch(path, json={"agent": "codex", "agent_command": None}).status_code == 200
    told = problem(shop.api.patch(path, json={"agent": "script"}))
    assert told["errors"][0]["message"] == "The script agent needs a command."


def test_an_agent_that_is_not_installed_is_told_at_once(shop: Workshop) -> None:
    body = {"name": "no such agent", "origin": str(shop.origin("no such agent"))}
    made = shop.api.post("/projects", json={**body, "agent": "droid"})
    assert made.status_code == 201
    assert made.json()["agent_ready"] is False
    assert "was not found on this machine. To install it: " in made.json()["agent_problem"]
    ready = shop.api.get(f"/projects/{shop.add_project('ready agent')}").json()
    assert (ready["agent_ready"], ready["agent_problem"]) == (True, None)


def test_an_archived_project_is_taken_back(shop: Workshop) -> None:
    project_id = shop.add_project("comes back")
    path = f"/projects/{project_id}"
    assert shop.api.delete(path).json()["archived_at"]
    # an archived project keeps its name reserved
    taken = {"name": "comes back", "origin": str(shop.origin("other")), "agent": "claude"}
    assert problem(shop.api.post("/projects", json=taken))["error"] == "name_taken"
    back = shop.api.patch(path, json={"archived": False})
    assert (back.status_code, back.json()["archived_at"]) == (200, None)
    assert shop.api.patch(path, json={"archived": False}).status_code == 200
    assert shop.api.patch(path, json={"budget_seconds": 60}).status_code == 200
    assert shop.api.patch(path, json={"archived": True}).json()["archived_at"]


def test_an_origin_that_is_gone_is_told_without_breaking_the_project(shop: Workshop) -> None:
    origin = shop.origin("vanishes")
    project_id = shop.add_project("vanishes", origin=origin)
    away = origin.rename(origin.with_name("vanished"))
    order = {"project_id": project_id, "depth_level": "quick", "target_framework": "auto"}
    run = shop.api.post("/runs", json=order).json()
    shop.wait(f"/runs/{run['id']}", lambda one: one["status"] == "not_started")
    told = shop.api.get(f"/projects/{project_id}").json()
    assert (told["state"], told["unreachable"]) == ("ready", True)
    assert "There is no folder" in told["origin_because"]
    assert told["hold"].startswith("the repository cannot be reached: There is no folder")
    refused = problem(shop.api.post("/runs", json=order))
    assert (refused["status"], refused["error"]) == (409, "project_broken")
    assert refused["detail"].startswith("Repository unreachable: There is no folder")
    away.rename(origin)
    assert shop.api.post("/runs", json=order).status_code == 201
    assert shop.api.get(f"/projects/{project_id}").json()["unreachable"] is False


def test_a_folder_is_asked_for_its_own_remote(shop: Workshop) -> None:
    folder = shop.origin("remote")
    asked = {"folder": str(folder)}
    assert shop.api.get("/origins", params=asked).json() == {**asked, "remote": None}
    run_git(folder, "remote", "add", "origin", "git@example.org:me/shop.git")
    found = shop.api.get("/origins", params=asked).json()
    assert found == {**asked, "remote": "git@example.org:me/shop.git"}
    elsewhere = shop.api.get("/origins", params={"folder": "git@example.org:me/shop.git"}).json()
    assert elsewhere["remote"] is None
    assert shop.api.get("/origins").status_code == 422


def test_suggested_checks_are_told_until_somebody_answers(shop: Workshop) -> None:
    for name, answer in (("keeps", {"checks": [TESTS]}), ("declines", {"suggested_checks": []})):
        origin = shop.origin(name, files={"Makefile": "test:\n\ttrue\n"})
        path = f"/projects/{shop.add_project(name, origin=origin)}"
        told = {"name": "make test", "command": ["make", "test"]}
        assert shop.api.get(path).json()["suggested_checks"] == [told]
        assert problem(shop.api.patch(path, json={"suggested_checks": [told]}))["status"] == 422
        assert shop.api.patch(path, json=answer).json()["suggested_checks"] == []
        assert shop.api.get(path).json()["suggested_checks"] == []
