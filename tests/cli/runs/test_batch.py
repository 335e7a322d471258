"""`runyard batch`: one batch per file, even if sending is interrupted and repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.api.client import batch_calls, calls
from app.cli.client.connection import connect
from tests.builders.api_samples import a_project
from tests.drivers.cli.live_shell import LiveShell
from tests.drivers.cli.shells import Ended
from tests.fakes.recorded_server import RecordedServer, Reply

QUICK: dict[str, Any] = {"depth_level": "quick", "delivers": "report"}


def write(folder: Path, *lines: Any) -> str:
    file = folder / "night.ndjson"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(file)


def test_a_file_becomes_a_batch_and_sent_again_it_goes_on_with_it(
    live: LiveShell, tmp_path: Path
) -> None:
    file = write(tmp_path, *({"task": f"please look {n}", **QUICK} for n in range(3)))
    first = live.run("batch", file, "-p", "shop", "--wait")
    assert first.code == 0, first.err
    assert first.out.startswith("batch_")
    assert first.err.splitlines()[0].startswith("key batch-")
    assert "sent 3 of 3" in first.err
    assert first.err.splitlines()[-1] == "Completed · 3 delivered"
    again = live.run("batch", file, "-p", "shop")
    assert (again.code, again.out) == (0, first.out)
    assert "already created batch" in again.err
    other = live.run("batch", file, "-p", "shop", "--key", f"another-{tmp_path.name}", "--json")
    assert other.json["id"] != first.out.strip()


def test_only_what_is_missing_is_sent(live: LiveShell, tmp_path: Path) -> None:
    lines = [{"index": n, "task": "please look", **QUICK} for n in range(30)]
    file, key = write(tmp_path, *lines), f"half-{tmp_path.name}"
    server = connect(live.folder)
    project = next(one for one in server.ask(calls.projects())["items"] if one["name"] == "shop")
    batch = server.ask(batch_calls.make_batch(project["id"], 30, key))["id"]
    some = "\n".join(json.dumps(lines[n]) for n in (0, 5, 29)).encode()
    server.send(batch_calls.add_items(batch, some))
    done = live.run("batch", file, "-p", "shop", "--key", key)
    assert (done.code, done.out.strip()) == (0, batch)
    assert [line for line in done.err.splitlines() if line.startswith("sent ")] == [
        "sent 3 of 30",
        "sent 28 of 30",
        "sent 30 of 30",
    ]
    server.send(batch_calls.stop_batch(batch))


def test_what_cannot_be_started_is_told_with_its_place_and_is_exit_4_when_waited_for(
    live: LiveShell, tmp_path: Path
) -> None:
    file = write(tmp_path, {"task": "please look", **QUICK}, {"issue": 4711})
    done = live.run("batch", file, "-p", "shop", "--wait", "--json")
    assert done.code == 4
    assert "Line 2 was not started: There is no issue #4711." in done.err
    assert done.json["status"] == "partly_failed"
    assert (done.json["delivered"], done.json["failed"]) == (1, 1)


def test_on_a_terminal_it_is_a_bar(live: LiveShell, tmp_path: Path) -> None:
    file = write(tmp_path, *({"task": "please look", **QUICK} for _ in range(2)))
    key = f"bar-{tmp_path.name}"
    shown = live.run_on_a_terminal("batch", file, "-p", "shop", "--key", key).out
    assert "░" * 30 + " sent 0 of 2" in shown
    assert "█" * 30 + " sent 2 of 2" in shown


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "holds no lines"),
        ("{}\n\n{", "Line 3 is not JSON."),
        ("[]", "Line 1 is not a JSON object."),
        ('{"index": 0}\n{}', "Line 2 has no index"),
        ('{"index": 0}\n{"index": 0}', "Line 2: the 2 lines must have the indexes 0 to 1"),
        ('{"index": "0"}', "Line 1: the 1 lines must have the indexes 0 to 0"),
    ],
)
def test_a_file_that_makes_no_sense_names_its_line_and_makes_nothing(
    live: LiveShell, tmp_path: Path, content: str, sentence: str
) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_text(content)
    done = live.run("batch", str(file), "-p", "shop")
    assert (done.code, done.out) == (2, "")
    assert sentence in " ".join(done.err.split())


def script_a_batch(server: RecordedServer, count: int, *stands: dict[str, Any]) -> None:
    """Script a batch of `count` runs; each GET of it returns the next of `stands`."""
    told = {"id": "batch_1", "run_count": count, "label": "Processing", "cost_usd": None}
    told |= dict.fromkeys(("delivered", "no_change", "failed", "held", "stopped", "live"), 0)
    server.on("GET", "/projects", {"items": [a_project(name="shop")]})
    server.on("POST", "/batches", {"id": "batch_1", "run_count": count, "replayed": True})
    server.on("GET", "/batches/batch_1", *(told | {"waiting": count} | one for one in stands))
    server.on("GET", "/batches/batch_1/items", {"items": [], "next_cursor": None})


@pytest.mark.parametrize("words", ["", "--wait", "--json"])
@pytest.mark.parametrize(
    ("because", "sentence"),
    [("stopped by Ann", "nothing is sent: stopped by Ann."), (None, "it was stopped.")],
)
def test_a_batch_that_was_aborted_is_refused(
    here: Callable[..., Ended],
    server: RecordedServer,
    tmp_path: Path,
    words: str,
    because: str | None,
    sentence: str,
) -> None:
    script_a_batch(server, 1, {"status": "aborted", "missing": [], "because": because})
    done = here("batch", write(tmp_path, {"task": "please look"}), "-p", "shop", *words.split())
    assert (done.code, done.out) == (1, "")
    assert sentence in " ".join(done.err.split())
    assert "goes on" not in done.err
    assert "another --key" in done.err
    assert server.calls("POST", "/batches/batch_1/items") == []


def test_a_complete_batch_that_nobody_sealed_is_asked_to_begin(
    here: Callable[..., Ended], server: RecordedServer, tmp_path: Path
) -> None:
    complete = {"missing": []}
    script_a_batch(server, 1, complete | {"status": "pending"}, complete | {"status": "processing"})
    taken = {"items": [], "sealed": True, "expected": 1, "received": 1}
    server.on("POST", "/batches/batch_1/items", taken)
    done = here("batch", write(tmp_path, {"task": "please look"}), "-p", "shop")
    assert (done.code, done.out) == (0, "batch_1\n")
    [asked] = server.calls("POST", "/batches/batch_1/items")
    assert asked.body == []
    assert done.err.splitlines()[-1] == "Processing · 1 waiting"


SHOP, YARD = a_project(name="shop"), a_project(name="yard", id="proj_2")
GONE = a_project(name="gone", id="proj_3", archived_at="2026-11-01T00:00:00Z")


@pytest.mark.parametrize(
    ("projects", "words", "lines", "taken"),
    [
        ([SHOP], "", [{}], "proj_1"),
        ([GONE, YARD], "", [{}], "proj_2"),
        ([SHOP, YARD], "", [{"project": "yard"}, {}], "proj_2"),
        ([SHOP, YARD], "", [{}, {"project_id": "proj_2"}], "proj_2"),
        ([SHOP, YARD], "", [{"project": "yard"}, {"project_id": "proj_2"}], "proj_2"),
        ([SHOP, YARD], "-p yard", [{"project": "yard", "index": 0}], "proj_2"),
        ([SHOP, YARD], "", [{}], "Name the project: with --project, or as"),
        ([SHOP, YARD], "", [{}], "The projects are: shop, yard."),
        ([GONE], "", [{}], "There are none yet: register one with:"),
        ([SHOP, YARD], "-p shop", [{}, {"project": "yard"}], "The file is for yard, and --project"),
        (
            [SHOP, YARD],
            "",
            [{}, {"project": "shop"}, {"project": "yard"}],
            "Line 3 is for yard, and line 2 for shop: a batch is for one project.",
        ),
        ([SHOP], "", [{"project": 1}], "Line 1: its project must be a name or an id."),
        ([SHOP], "", [{"project": "other"}], "There is no project other."),
    ],
)
def test_a_file_is_for_the_project_it_names_or_for_the_only_one(
    here: Callable[..., Ended],
    server: RecordedServer,
    tmp_path: Path,
    projects: list[dict[str, Any]],
    words: str,
    lines: list[dict[str, Any]],
    taken: str,
) -> None:
    pending = {"status": "pending", "missing": list(range(len(lines)))}
    script_a_batch(server, len(lines), pending, {"status": "processing", "missing": []})
    server.on("GET", "/projects", {"items": projects})
    receipt = {"items": [], "sealed": True, "expected": len(lines), "received": len(lines)}
    server.on("POST", "/batches/batch_1/items", receipt)
    done = here("batch", write(tmp_path, *lines), *words.split())
    made = [one.body["project_id"] for one in server.calls("POST", "/batches")]
    if not taken.startswith("proj_"):
        assert taken in " ".join(done.err.split())
        assert (done.code > 0, made) == (True, [])
        return
    assert (done.code, made) == (0, [taken]), done.err
    [sent] = server.calls("POST", "/batches/batch_1/items")
    assert sent.body == [{"index": index} for index in range(len(lines))]


def test_lines_that_cannot_be_decided_keep_the_others_of_the_file_not_out(
    here: Callable[..., Ended], server: RecordedServer, tmp_path: Path
) -> None:
    script_a_batch(server, 30, {"status": "pending", "missing": list(range(30))})
    silent = {"detail": "The repository's server did not answer.", "error": "forge_unavailable"}
    taken = {"items": [], "sealed": False, "expected": 30, "received": 29}
    server.on("POST", "/batches/batch_1/items", Reply(502, silent), taken)
    done = here("batch", write(tmp_path, *({"issue": n} for n in range(30))), "-p", "shop")
    assert (done.code, done.out) == (1, "")
    assert "did not answer" in done.err
    sent = server.calls("POST", "/batches/batch_1/items")
    assert [len(one.body) for one in sent] == [25, 5]


@pytest.mark.parametrize("is_silent", [True, False])
def test_lines_that_were_refused_are_told_though_the_answer_of_their_piece_was_another(
    here: Callable[..., Ended], server: RecordedServer, tmp_path: Path, is_silent: bool
) -> None:
    pending = {"status": "pending", "missing": [0, 1, 2]}
    script_a_batch(server, 3, pending, *[{"status": "processing"}] * (not is_silent))
    silent = {"detail": "The repository's server did not answer.", "error": "forge_unavailable"}
    away = Reply(502, silent) if is_silent else Reply(dropped=True)
    server.on("POST", "/batches/batch_1/items", away)
    pages = [
        {"items": [{"index": at, "run": {"because": f"There is no issue #{at}."}}]} for at in (0, 2)
    ]
    more = {"next_cursor": "more"}
    items = [pages[0] | more, pages[1] | {"next_cursor": None}]
    server.on("GET", "/batches/batch_1/items", *items)
    done = here("batch", write(tmp_path, *({"issue": n} for n in range(3))), "-p", "shop")
    assert done.code == int(is_silent)
    told = [line for line in done.err.splitlines() if "not started" in line]
    assert told == [f"Line {at + 1} was not started: There is no issue #{at}." for at in (0, 2)]
    asked = server.calls("GET", "/batches/batch_1/items")
    assert [one.query["status"] for one in asked] == [["not_started"]] * 2
    assert asked[1].query["cursor"] == ["more"]
