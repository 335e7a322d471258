"""Templates over HTTP: versions, the default one, and refusals; preview and what a run was told."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("templates")) as shop:
        yield shop


def listed(shop: Workshop, project: str) -> list[tuple[str, int, bool]]:
    items = shop.api.get(f"/projects/{project}/templates").json()["items"]
    return [(one["name"], one["version"], one["default"]) for one in items]


def add(shop: Workshop, project: str, name: str, text: str = "Go.", **more: Any) -> Any:
    body = {"name": name, "text": text, **more}
    return shop.api.post(f"/projects/{project}/templates", json=body)


def preview(shop: Workshop, project: str, **order: Any) -> Any:
    return shop.api.post("/runs/preview", json={"project_id": project, **order})


def test_a_template_is_added_changed_and_removed(shop: Workshop, project: str) -> None:
    assert listed(shop, project) == [("fix-tests", 1, True)]
    added = add(shop, project, "nightly", "Look at {{issue.title}}", default=True)
    assert added.status_code == 201, added.text
    assert added.json() | {"created_at": None} == {
        "name": "nightly",
        "version": 1,
        "text": "Look at {{issue.title}}",
        "default": True,
        "built_in": False,
        "created_by": added.json()["created_by"],
        "created_at": None,
    }
    path = f"/projects/{project}/templates/nightly"
    assert shop.api.patch(path, json={"text": "Other"}).json()["version"] == 2
    assert shop.api.get(path).json()["text"] == "Other"
    assert shop.api.get(path, params={"version": 1}).json()["text"] == "Look at {{issue.title}}"
    assert listed(shop, project) == [("fix-tests", 1, False), ("nightly", 2, True)]
    assert shop.api.patch(path, json={"default": False}).json()["version"] == 2
    assert shop.api.delete(path).json()["name"] == "nightly"
    assert listed(shop, project) == [("fix-tests", 1, True)]
    assert shop.api.get(path).status_code == 404
    assert add(shop, project, "nightly").json()["version"] == 3, "versions are never given twice"


def test_only_one_template_is_the_default(shop: Workshop, project: str) -> None:
    add(shop, project, "one", default=True)
    add(shop, project, "two", default=True)
    assert listed(shop, project)[1:] == [("one", 1, False), ("two", 1, True)]
    shop.api.patch(f"/projects/{project}/templates/one", json={"default": True})
    assert listed(shop, project)[1:] == [("one", 1, True), ("two", 1, False)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a", "text": "{{issue.owner}}"}, "text"),
        ({"name": "a", "text": "{{task"}, "text"),
        ({"name": "a b", "text": "x"}, "name"),
        ({"name": "prompt", "text": "x"}, "name"),
        ({"name": "fix-tests", "text": "x"}, "name"),
        ({"name": "a", "text": "x" * 33_000}, "text"),
        ({"name": "a", "text": "x", "version": 7}, "version"),
    ],
)
def test_a_wrong_template_is_refused_by_field(
    shop: Workshop, project: str, body: dict[str, Any], field: str
) -> None:
    answer = shop.api.post(f"/projects/{project}/templates", json=body)
    assert answer.status_code == 422
    assert problem(answer)["errors"][0]["field"] == field
    assert len(listed(shop, project)) == 1


def test_names_and_built_in_ones_are_kept(shop: Workshop, project: str) -> None:
    add(shop, project, "one")
    assert problem(add(shop, project, "one"))["error"] == "name_taken"
    for name in ("fix-tests", "prompt"):
        path = f"/projects/{project}/templates/{name}"
        assert shop.api.patch(path, json={"text": "x"}).status_code == 422
        assert shop.api.delete(path).status_code == 422
    missing = f"/projects/{project}/templates/none"
    assert shop.api.delete(missing).status_code == 404
    assert shop.api.patch(missing, json={"default": True}).status_code == 404
    assert shop.api.get("/projects/proj_none/templates").status_code == 404


def test_the_setting_prompt_is_listed_as_the_default(shop: Workshop, project: str) -> None:
    shop.api.patch(f"/projects/{project}", json={"prompt": "Mine: {task}"})
    assert [one[::2] for one in listed(shop, project)] == [("fix-tests", False), ("prompt", True)]
    wrong = shop.api.patch(f"/projects/{project}", json={"prompt": "{{issue.titel}}"})
    assert wrong.status_code == 422
    assert problem(wrong)["errors"][0]["field"] == "prompt"


def test_a_preview_shows_the_prompt_and_writes_nothing(shop: Workshop, project: str) -> None:
    add(shop, project, "small", "Only {{task}} for {{project.name}}.")
    used = shop.api.get("/quota/runs").json()["used"]
    acts = len(shop.api.get("/audit").json()["items"])
    made = preview(shop, project, task="this – that", template="small").json()
    assert (made["template"], made["version"]) == ("small", 1)
    assert made["text"].startswith("Only this – that for ")
    assert made["bytes"] == len(made["text"].encode())
    plain = preview(shop, project, task="Do it.").json()
    assert (plain["template"], plain["version"]) == (None, None)
    assert plain["text"].startswith("Do it.\n")
    assert preview(shop, project).json()["template"] == "fix-tests"
    assert shop.api.get("/runs", params={"project_id": project}).json()["items"] == []
    assert shop.api.get("/quota/runs").json()["used"] == used
    assert len(shop.api.get("/audit").json()["items"]) == acts


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"branch": "nowhere"}, 422),
        ({"template": "none"}, 422),
        ({"issue": 99}, 422),
        ({"no_such_field": 1}, 422),
        ({"agent": " "}, 422),
        ({"project_id": "proj_none"}, 404),
    ],
)
def test_a_preview_is_refused_like_the_run(
    shop: Workshop, project: str, order: dict[str, Any], status: int
) -> None:
    refused = preview(shop, project, **order)
    body = {"project_id": project, **order}
    started = shop.api.post("/runs", json=body)
    assert (refused.status_code, started.status_code) == (status, status)
    assert problem(refused)["detail"] == problem(started)["detail"]


def test_what_a_run_was_told_is_answered_and_exported(shop: Workshop, project: str) -> None:
    started = shop.api.post("/runs", json={"project_id": project, "template": "fix-tests"}).json()
    assert started["provenance"]["template"] == "fix-tests@1"
    run = shop.ended(started["id"])
    assert run["title"] == "fix-tests"
    (turn,) = shop.api.get(f"/runs/{run['id']}/prompt").json()["turns"]
    assert (turn["n"], turn["template"], turn["version"]) == (1, "fix-tests", 1)
    assert turn["text"].startswith("Run the tests of this repository")
    packed = shop.api.get(f"/runs/{run['id']}/export").content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.read(f"{run['id']}/prompt.md").decode() == turn["text"]


def test_a_run_that_waits_was_told_nothing_yet(shop: Workshop, project: str) -> None:
    body = {"project_id": project, "task": "later", "delay": "1d"}
    run = shop.api.post("/runs", json=body).json()
    assert run["provenance"]["template"] is None
    assert shop.api.get(f"/runs/{run['id']}/prompt").json() == {"turns": []}
    assert shop.api.get("/runs/run_none/prompt").status_code == 404


def test_another_template_is_another_body_under_a_key(shop: Workshop, project: str) -> None:
    add(shop, project, "one")
    body = {"project_id": project, "task": "x", "delay": "1d", "x_idempotency_key": "key-1"}
    assert shop.api.post("/runs", json=body).status_code == 201
    assert shop.api.post("/runs", json=body).status_code == 200
    other = shop.api.post("/runs", json={**body, "template": "one"})
    assert problem(other)["error"] == "key_reused"


def test_a_reason_of_a_close_is_kept_with_the_change(shop: Workshop, project: str) -> None:
    run = shop.delivered(project, "please commit", issue=shop.issue(project))
    path = f"/projects/{project}/changes/{run['delivery']['number']}"
    closed = shop.api.post(f"{path}/close", json={"because": "  Wrong file. "})
    assert closed.json()["closed_because"] == "Wrong file."
    assert shop.api.get(path).json()["closed_because"] == "Wrong file."
