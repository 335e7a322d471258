"""Issues and their comments over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem

ISSUE = ("number", "title", "body", "labels", "state", "ready", "claimable", "hold", "url")
KIB_256 = 256 * 1024
HOSTILE = "<b>\u202e \u3000 $(id) \x1b]52;c;x\x07"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server used by this file alone."""
    with open_workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def path(shop: Workshop) -> str:
    """The issues path of a project shared by several tests."""
    if "steady" not in shop.projects:
        shop.add_project("steady")
    return f"/projects/{shop.projects['steady']['id']}/issues"


@pytest.fixture
def one(shop: Workshop, path: str) -> str:
    """The path of a fresh issue, labeled `bug`."""
    body = {"title": "Mend it", "body": "As it was.", "labels": ["bug"]}
    return f"{path}/{shop.api.post(path, json=body).json()['number']}"


def test_issues_are_written_told_and_changed(shop: Workshop) -> None:
    project_id = shop.add_project("issues")
    path = f"/projects/{project_id}/issues"
    hostile = "<b>\u202e $(id) \x1b]52;c;x\x07"
    answer = shop.api.post(path, json={"title": f" {hostile} ", "body": hostile})
    assert answer.status_code == 201
    first = answer.json()
    assert set(ISSUE) <= set(first)
    assert (first["number"], first["title"], first["body"]) == (1, hostile.strip(), hostile)
    assert (first["ready"], first["claimable"]) == (False, False)
    assert first["hold"]
    ready = shop.api.patch(f"{path}/1", json={"labels": ["ready-for-agent", "x", "x"]}).json()
    assert (ready["ready"], ready["claimable"], ready["hold"]) == (True, True, None)
    assert ready["title"] == first["title"]
    assert shop.issue(project_id, "Second") == 2
    listed = shop.api.get(path).json()
    assert list(listed) == ["items"]
    assert [one["number"] for one in listed["items"]] == [1, 2]
    assert shop.api.get(f"/projects/{project_id}").json()["ready_count"] == 2
    closed = shop.api.patch(f"{path}/1", json={"state": "closed"}).json()
    assert (closed["state"], closed["claimable"]) == ("closed", False)
    assert shop.api.get(f"/projects/{project_id}").json()["ready_count"] == 1
    assert shop.api.patch(f"{path}/1", json={"state": "open"}).json()["state"] == "open"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        *[({"title": title}, "title") for title in ("", "  ", "x" * 301, None, 7, "nul\0")],
        *[
            ({"body": body}, "body")
            for body in ("nul\0", 7, "x" * (KIB_256 + 1), "é" * (KIB_256 // 2 + 1))
        ],
        *[({"labels": labels}, "labels") for labels in (["x"] * 51, "ready-for-agent")],
        *[({"labels": [one]}, "labels.0") for one in (" ", "x" * 101, "a\nb", "\x1b[0m", "nul\0")],
        ({"labels": ["sound", "line\u2028end"]}, "labels.1"),
        ({"labels": ["sound", "sound\u200b"]}, "labels.1"),
        ({"number": 7}, "number"),
    ],
    ids=lambda given: repr(given)[:40],
)
def test_a_malformed_issue_is_not_written(
    shop: Workshop, given: dict[str, Any], field: str
) -> None:
    if "steady" not in shop.projects:
        shop.add_project("steady")
    path = f"/projects/{shop.projects['steady']['id']}/issues"
    told = problem(shop.api.post(path, json={"title": "Sound", **given}))
    assert (told["status"], told["errors"][0]["field"]) == (422, field)
    assert shop.api.get(path).json()["items"] == []


def test_an_issue_holds_as_much_as_it_may(shop: Workshop, path: str) -> None:
    labels = [f"{n:03} ".ljust(99, "é") + "x" for n in range(50)]
    body = {"title": "t" * 300, "body": "é" * (KIB_256 // 2), "labels": labels}
    answer = shop.api.post(path, json=body)
    assert answer.status_code == 201, answer.text[:300]
    told = shop.api.get(f"{path}/{answer.json()['number']}").json()
    assert {name: told[name] for name in body} == body
    assert told["created_at"].endswith("Z")


def test_one_issue_is_told_as_in_the_list(shop: Workshop, path: str, one: str) -> None:
    number = int(one.rpartition("/")[2])
    listed = {issue["number"]: issue for issue in shop.api.get(path).json()["items"]}
    assert shop.api.get(one).json() == listed[number]


@pytest.mark.parametrize("way", ["", "/comments"])
@pytest.mark.parametrize("number", ["4711", "2147483647"])
def test_what_is_not_there_is_not_found(shop: Workshop, path: str, number: str, way: str) -> None:
    assert problem(shop.api.get(f"{path}/{number}{way}"))["error"] == "not_found"
    if way:
        answer = shop.api.post(f"{path}/{number}{way}", json={"body": "said"})
        assert problem(answer)["error"] == "not_found"


# --- blocked issues --------------------------------------------------------------------------


def test_an_issue_waits_for_the_open_ones_that_it_names(shop: Workshop) -> None:
    project_id = shop.add_project("blocked")
    path = f"/projects/{project_id}/issues"
    first = shop.issue(project_id, "First")
    text = f"## BLOCKED BY\n- #{first}\n- #2\n- #99\n- other/repo#{first}\n"
    then = shop.issue(project_id, "Then", body=text)
    assert then == 2
    told = shop.api.get(f"{path}/2").json()
    assert (told["hold"], told["claimable"]) == (f"blocked by #{first}", False)
    assert shop.api.get(f"/projects/{project_id}").json()["ready_count"] == 1
    answer = problem(shop.api.post("/runs", json={"project_id": project_id, "issue": 2}))
    assert (answer["error"], answer["by"]) == ("issue_blocked", first)
    shop.api.patch(f"{path}/{first}", json={"state": "closed"})
    # the remaining references are to itself, and to closed, missing and foreign issues
    assert shop.api.get(f"{path}/2").json()["hold"] is None
    started = shop.start(project_id, "please commit", issue=2)
    assert shop.ended(started["id"])["status"] == "succeeded"
    assert shop.api.get(f"{path}/2").json()["hold"].startswith("delivered: change request #")


def test_blockers_are_a_field_of_a_new_issue_and_of_an_edit(shop: Workshop) -> None:
    path = f"/projects/{shop.add_project('waiting')}/issues"
    for title in ("First", "Second"):
        shop.api.post(path, json={"title": title}).raise_for_status()
    new = {"title": "Then", "labels": ["ready-for-agent"], "blocked_by": [1]}
    told = shop.api.post(path, json=new).json()
    assert (told["body"], told["blocked_by"]) == ("Blocked by #1", [1])
    assert told["hold"] == "blocked by #1"
    changed = shop.api.patch(f"{path}/3", json={"blocked_by": [2]}).json()
    assert (changed["blocked_by"], changed["body"]) == ([2], "Blocked by #2")
    for number, sentence in ((3, "An issue cannot wait for itself."), (9, "#9 does not exist.")):
        refused = problem(shop.api.patch(f"{path}/3", json={"blocked_by": [number]}))
        assert refused["errors"] == [{"field": "blocked_by", "message": sentence}]
    circle = problem(shop.api.patch(f"{path}/2", json={"blocked_by": [3]}))
    assert circle["detail"] == "#3 waits for #2 already, so neither would ever start."
    assert problem(shop.api.post(path, json=new | {"blocked_by": [99]}))["status"] == 422
    assert len(shop.api.get(path).json()["items"]) == 3


# --- concurrent edits ------------------------------------------------------------------------


def test_the_later_save_of_a_stale_text_is_told_and_changes_nothing(
    shop: Workshop, one: str
) -> None:
    seen = {"title": "Mend it", "body": "As it was."}
    first = shop.api.patch(one, json={"body": "By Ann.", "was": seen})
    assert (first.status_code, first.json()["body"]) == (200, "By Ann.")
    late = problem(shop.api.patch(one, json={"body": "By Bob.", "was": seen}))
    assert (late["status"], late["error"]) == (409, "edited_meanwhile")
    assert late["stands"] == {
        "title": "Mend it",
        "body": "By Ann.",
        "labels": ["bug"],
        "state": "open",
    }
    assert shop.api.get(one).json()["body"] == "By Ann."
    again = shop.api.patch(one, json={"body": "By Bob.", "was": {"body": late["stands"]["body"]}})
    assert again.json()["body"] == "By Bob."


def test_of_labels_set_at_the_same_moment_none_is_lost_unseen(shop: Workshop, one: str) -> None:
    def label(number: int) -> Any:
        body = {"labels": ["bug", f"by {number}"], "was": {"labels": ["bug"]}}
        return shop.api.patch(one, json=body)

    answers = at_once(4, label)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert len(shop.api.get(one).json()["labels"]) == 2


def test_an_edit_without_what_was_seen_is_taken_as_it_comes(shop: Workshop, one: str) -> None:
    for title in ("First", "Second"):
        assert shop.api.patch(one, json={"title": title}).json()["title"] == title


def test_a_closed_issue_can_be_edited_and_stays_closed(shop: Workshop, one: str) -> None:
    closed = shop.api.patch(one, json={"state": "closed"}).json()
    assert closed["closed_at"]
    told = shop.api.patch(one, json={"title": "Later", "labels": ["ready-for-agent"]}).json()
    assert (told["title"], told["state"], told["ready"]) == ("Later", "closed", False)
    assert (told["hold"], told["closed_at"]) == ("closed", closed["closed_at"])
    opened = shop.api.patch(one, json={"state": "open"}).json()
    assert (opened["ready"], opened["closed_at"]) == (True, None)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"title": " "}, "title"),
        ({"state": "merged"}, "state"),
        ({"labels": ["x" * 101]}, "labels.0"),
        ({"was": {"number": 1}}, "was.number"),
        ({"hold": "none"}, "hold"),
    ],
)
def test_a_malformed_edit_changes_nothing(
    shop: Workshop, one: str, given: dict[str, Any], field: str
) -> None:
    before = shop.api.get(one).json()
    told = problem(shop.api.patch(one, json={"body": "new", **given}))
    assert (told["status"], told["errors"][0]["field"]) == (422, field)
    assert shop.api.get(one).json() == before


# --- comments --------------------------------------------------------------------------------


def test_comments_are_told_oldest_first_as_they_were_written(shop: Workshop, one: str) -> None:
    assert shop.api.get(f"{one}/comments").json() == {"items": []}
    shop.api.patch(one, json={"state": "closed"})
    for body in (HOSTILE, " two\n\nlines "):
        answer = shop.api.post(f"{one}/comments", json={"body": body})
        assert answer.status_code == 201
        assert set(answer.json()) == {"id", "author", "body", "created_at"}
    items = shop.api.get(f"{one}/comments").json()["items"]
    assert [said["body"] for said in items] == [HOSTILE, " two\n\nlines "]
    assert items[0]["id"] < items[1]["id"]
    assert items[0]["author"]


@pytest.mark.parametrize(
    "body", ["", " \n ", "nul\0", None, 7, "x" * (KIB_256 + 1)], ids=lambda body: repr(body)[:20]
)
def test_a_malformed_comment_is_not_written(shop: Workshop, one: str, body: object) -> None:
    told = problem(shop.api.post(f"{one}/comments", json={"body": body}))
    assert (told["status"], told["errors"][0]["field"]) == (422, "body")
    assert shop.api.get(f"{one}/comments").json() == {"items": []}


# --- archived projects -----------------------------------------------------------------------


def test_an_archived_project_keeps_its_issues_and_takes_no_words(shop: Workshop) -> None:
    project_id = shop.add_project("archived")
    path = f"/projects/{project_id}/issues"
    shop.issue(project_id, "Old")
    shop.api.post(f"{path}/1/comments", json={"body": "said"})
    shop.delivered(project_id)
    assert shop.api.delete(f"/projects/{project_id}").status_code == 200
    refused = [
        shop.api.post(f"/projects/{project_id}/changes/2/merge"),
        shop.api.post(path, json={"title": "New"}),
        shop.api.patch(f"{path}/1", json={"title": "New"}),
        shop.api.post(f"{path}/1/comments", json={"body": "more"}),
    ]
    assert [problem(one)["error"] for one in refused] == ["project_archived"] * 4
    assert [one["title"] for one in shop.api.get(path).json()["items"]] == ["Old"]
    assert len(shop.api.get(f"{path}/1/comments").json()["items"]) == 1
    assert shop.api.get(f"/projects/{project_id}/changes/2").json()["state"] == "open"


def test_a_blocker_that_does_not_exist_is_told_and_blocks_nothing(shop: Workshop) -> None:
    project_id = shop.add_project("blockers")
    path = f"/projects/{project_id}/issues"
    ready = {"labels": ["ready-for-agent"]}
    shop.api.post(path, json={"title": "First", **ready})
    waits = shop.api.post(path, json={"title": "Then", "body": "Blocked by #1, #999", **ready})
    assert waits.json()["hold"] == "blocked by #1"
    assert waits.json()["unknown_blockers"] == [999]
    assert waits.json()["notes"] == ["#999 does not exist"]
    free = shop.api.post(path, json={"title": "Free", "body": "- Depends on #999", **ready}).json()
    assert (free["claimable"], free["unknown_blockers"]) == (True, [999])
    shop.api.patch(f"{path}/1", json={"state": "closed"})
    freed = {one["number"]: one for one in shop.api.get(path).json()["items"]}[2]
    assert (freed["claimable"], freed["unknown_blockers"]) == (True, [999])


def test_an_issue_is_placed_in_the_queue_over_http(shop: Workshop) -> None:
    project_id = shop.add_project("queue")
    path = f"/projects/{project_id}/issues"
    made = shop.api.post(path, json={"title": "Later", "priority": "low"}).json()
    assert (made["priority"], made["rank"], made["notes"]) == ("low", None, [])
    for title in ("Two", "Three"):
        new = shop.api.post(path, json={"title": title, "labels": ["ready-for-agent"]}).json()
        assert (new["priority"], new["rank"]) == ("normal", None)
    moved = shop.api.patch(f"{path}/3", json={"before": 2}).json()
    assert (moved["priority"], moved["rank"]) == ("normal", 1)
    said = shop.api.get(f"/projects/{project_id}/next").json()["holds"]
    assert [one["issue"] for one in said] == [1, 2, 3]
    raised = shop.api.patch(f"{path}/1", json={"before": 3}).json()
    assert (raised["priority"], raised["rank"]) == ("normal", 1)
    behind = shop.api.patch(f"{path}/1", json={"after": 2}).json()
    assert (behind["priority"], behind["rank"]) == ("normal", 3)
    urgent = shop.api.patch(f"{path}/2", json={"priority": "urgent"}).json()
    assert (urgent["priority"], urgent["rank"]) == ("urgent", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"priority": "soon"}, "priority"),
        ({"before": 0}, "before"),
        ({"before": 10**7}, "before"),
        ({"after": 10**7}, "after"),
        ({"before": 1, "after": 2}, "body"),
    ],
)
def test_a_place_or_priority_that_is_none_is_refused_by_name(
    shop: Workshop, one: str, body: dict[str, Any], field: str
) -> None:
    refused = shop.api.patch(one, json=body)
    assert refused.status_code == 422
    assert problem(refused)["error"] == "invalid"
    assert [wrong["field"] for wrong in problem(refused)["errors"]] == [field]


def test_a_number_that_a_project_has_not_is_named_with_its_project(
    shop: Workshop, path: str
) -> None:
    changes = path.removesuffix("issues") + "changes"
    asked = {
        ("GET", f"{path}/999"): "steady has no issue #999.",
        ("PATCH", f"{path}/999"): "steady has no issue #999.",
        ("GET", f"{path}/999/comments"): "steady has no issue #999.",
        ("GET", f"{changes}/4000"): "steady has no change request #4000.",
        ("POST", f"{changes}/4000/merge"): "steady has no change request #4000.",
        ("POST", f"{changes}/4000/close"): "steady has no change request #4000.",
    }
    for (method, where), sentence in asked.items():
        body = {"title": "x"} if method == "PATCH" else {} if method == "POST" else None
        told = problem(shop.api.request(method, where, json=body))
        assert (told["error"], told["detail"]) == ("not_found", sentence), (method, where)


def test_an_issue_goes_back_to_the_queue_when_its_change_is_closed(shop: Workshop) -> None:
    project_id = shop.add_project("again")
    number = shop.issue(project_id)
    run = shop.delivered(project_id, issue=number)
    path = f"/projects/{project_id}/changes/{run['delivery']['number']}/close"
    told = problem(shop.api.post(path, json={"issue": "later"}))
    assert (told["status"], told["errors"][0]["field"]) == (422, "issue")
    answer = shop.api.post(path, json={"because": "Too slow.", "issue": "queue"})
    assert (answer.status_code, answer.json()["closed_because"]) == (200, "Too slow.")
    issue = shop.api.get(f"/projects/{project_id}/issues/{number}").json()
    assert (issue["claimable"], issue["hold"]) == (True, None)
    assert shop.api.get("/parked").json()["items"] == []
