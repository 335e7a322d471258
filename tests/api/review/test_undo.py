"""Undo of a merge over HTTP: the change request that takes it back, its audit row and refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("undone")) as shop:
        yield shop


@pytest.fixture
def change(shop: Workshop, project: str) -> str:
    """The path of a merged change request that closed an issue."""
    number = shop.delivered(project, issue=shop.issue(project))["delivery"]["number"]
    path = f"/projects/{project}/changes/{number}"
    assert problem(shop.api.post(f"{path}/undo"))["error"] == "not_merged"
    shop.api.post(f"{path}/merge").raise_for_status()
    return path


def test_a_merge_is_undone_once_and_the_revert_is_merged_like_any_change(
    shop: Workshop, project: str, change: str
) -> None:
    before = shop.api.get(change).json()
    assert (before["reverts"], before["undone_by"]) == (None, None)
    answer = shop.api.post(f"{change}/undo", headers={"X-Correlation-Id": "undone"})
    assert answer.status_code == 201, answer.text
    revert = answer.json()
    assert (revert["reverts"], revert["run_id"], revert["state"]) == (
        before["number"],
        None,
        "open",
    )
    again = shop.api.post(f"{change}/undo")
    assert (again.status_code, again.json()["number"]) == (200, revert["number"])
    assert shop.api.get(change).json()["undone_by"] == revert["number"]
    listed = shop.api.get(f"/projects/{project}/changes").json()["items"]
    assert [one["undone_by"] for one in listed] == [None, revert["number"]]
    audited = shop.api.get("/audit", params={"limit": 100}).json()["items"]
    [row] = [row for row in audited if row["correlation_id"] == "undone"]
    assert (row["deed"], row["after"]) == ("undo", {"reverted_by": revert["number"]})
    [item] = [one for one in shop.api.get("/inbox").json()["items"] if one["kind"] == "change"]
    assert (item["title"], item["run_id"], item["action"]) == (revert["title"], None, "Merge")
    path = f"/projects/{project}/changes/{revert['number']}"
    assert shop.api.get(f"{path}/files").json()["items"]
    assert shop.api.get(f"{path}/diff").text.startswith("diff --git")
    assert len(shop.api.get(f"{path}/history").json()["commits"]) == 1
    comment = shop.api.post(f"{path}/comments", json={"text": "Why?"})
    assert comment.status_code == 201
    sent = shop.api.post(f"{path}/request-changes", json={"text": "Shorter."})
    assert problem(sent)["error"] == "no_run"
    assert problem(shop.api.post(f"{path}/resolve"))["error"] == "no_run"
    run = shop.api.post("/runs", json={"project_id": project, "pr_number": revert["number"]})
    assert problem(run)["error"] == "no_run"
    merged = shop.api.post(f"{path}/merge")
    assert merged.json()["state"] == "merged", merged.text
    told = problem(shop.api.post(f"{change}/undo"))
    assert (told["error"], told["change"]) == ("already_undone", revert["number"])
    assert shop.api.get(f"/projects/{project}/issues/1").json()["state"] == "closed"
    assert shop.api.get("/parked").json()["items"] == []


def test_a_revert_that_is_closed_can_be_asked_for_again(shop: Workshop, change: str) -> None:
    first = shop.api.post(f"{change}/undo").json()
    path = change.rsplit("/", 1)[0] + f"/{first['number']}"
    shop.api.post(f"{path}/close", json={"because": "It was right."}).raise_for_status()
    assert shop.api.get(change).json()["undone_by"] is None
    again = shop.api.post(f"{change}/undo")
    assert (again.status_code, again.json()["branch"]) == (201, first["branch"])


def test_an_archived_project_undoes_nothing(shop: Workshop, project: str, change: str) -> None:
    assert shop.api.delete(f"/projects/{project}").status_code == 200
    assert problem(shop.api.post(f"{change}/undo"))["error"] == "project_archived"


def test_a_change_that_is_not_there_is_not_undone(shop: Workshop, project: str) -> None:
    assert problem(shop.api.post(f"/projects/{project}/changes/9/undo"))["error"] == "not_found"
