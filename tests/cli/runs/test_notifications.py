"""`runyard notifications`: requests and output."""

from __future__ import annotations

from tests.builders.api_samples import AT
from tests.drivers.cli.shells import Here
from tests.fakes.recorded_server import RecordedServer

ARRANGED = {"kinds": ["delivered"], "quiet_hours": "", "digest_at": "", "zone": "UTC"}
READY = {
    "receiver": "slack://…",
    "problem": None,
    "pending": 0,
    "next_at": None,
    "last_at": AT,
    "last_taken": True,
    "last_because": None,
}


def test_receivers_are_listed_with_what_waits_and_what_went_wrong(
    here: Here, server: RecordedServer
) -> None:
    late = READY | {"pending": 2, "last_taken": False, "last_because": "It answered 500."}
    odd = READY | {"receiver": "nonsense://…", "problem": "It cannot be used."}
    server.on("GET", "/notifications", ARRANGED | {"items": [READY, late, odd]})
    ended = here("notifications", "list")
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split(maxsplit=2) for line in ended.out.splitlines()]
    assert rows == [
        ["RECEIVER", "WAITING", "LAST MESSAGE"],
        ["slack://…", "0", "taken"],
        ["slack://…", "2", "It answered 500."],
        ["nonsense://…", "0", "It cannot be used."],
    ]


def test_where_they_are_off_it_says_how_to_switch_them_on(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/notifications", ARRANGED | {"items": []})
    ended = here("notifications", "list")
    assert (ended.code, ended.out) == (0, "")
    assert "set RUNYARD_NOTIFY_URLS" in ended.err


def test_a_test_says_who_took_it_and_fails_where_one_did_not(
    here: Here, server: RecordedServer
) -> None:
    took = {"receiver": "slack://…", "taken": True, "because": None}
    not_taken = {"receiver": "json://x/…", "taken": False, "because": "It answered 403."}
    server.on("POST", "/notifications/test", {"items": [took]})
    assert here("notifications", "test").code == 0
    server.script.clear()
    server.on("POST", "/notifications/test", {"items": [took, not_taken]})
    ended = here("notifications", "test")
    assert ended.code == 1
    assert "It answered 403." in ended.out
    assert "Not every receiver accepted the message." in ended.err


def test_messages_are_chosen_for_one_project_and_for_all(
    here: Here, server: RecordedServer
) -> None:
    one = {"project_id": "p1", "project_name": "shop", "kinds": ["failed"]}
    server.on("GET", "/projects", {"items": [{"id": "p1", "name": "shop"}]})
    server.on("PUT", "/notifications/subscriptions", {"items": [one], "kinds": ["needs_you"]})
    ended = here("notifications", "choose", "failed", "--project", "shop")
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert rows == [["PROJECT", "MESSAGES"], ["all", "needs_you"], ["shop", "failed"]]
    for word, kinds in (("none", []), ("default", None), ("failed,paused", ["failed", "paused"])):
        assert here("notifications", "choose", word).code == 0
        assert server.asked[-1].body == {"project_id": None, "kinds": kinds}
