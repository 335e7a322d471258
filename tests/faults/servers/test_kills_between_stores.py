"""kill -9 between the commits of two stores: the next server completes each effect, once.

The points are those of docs/decisions/two-databases-one-truth.md, one for each way of repair; the
others are for the soak. tests/services shows most of them with a program that ends there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import select

from app.domain.ids import Store, store_of
from app.records.database.database import Database
from app.records.tables import Outgoing, Setting
from tests.builders.databases import own_database, run_store
from tests.builders.repositories import make_origin
from tests.drivers.servers.killed import SHORT
from tests.drivers.servers.processes import WAIT_SECONDS, RunyardServer, wait_for
from tests.drivers.servers.two_stores import COMMIT, Apart, begun_apart
from tests.drivers.web.batches import NDJSON, line
from tests.fakes.agents.runs import until
from tests.fakes.receivers import local_receiver

CLEARED = "not counted: the strikes were set to zero first"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with begun_apart(tmp_path_factory.mktemp("apart")) as one:
        yield one


# --- orders -------------------------------------------------------------------------------------


def test_a_run_is_accepted_once(apart: Apart) -> None:
    used = apart.ask("/quota/runs")["used"]
    order = apart.later(task="Once")
    key = {"x-idempotency-key": "once"}
    apart.die_at("accept.between_stores", lambda api: api.post("/runs", json=order, headers=key))
    [run_id] = {apart.post("/runs", order, "once").json()["id"] for _ in range(2)}
    assert store_of(run_id) is Store.RUNS
    assert [one["id"] for one in apart.ask("/runs", status="delayed")["items"]] == [run_id]
    assert apart.ask("/quota/runs")["used"] == used + 1


@pytest.mark.soak
def test_a_batch_is_opened_and_charged_once(apart: Apart) -> None:
    used = apart.ask("/quota/batches")["used"]
    order, key = {"project_id": apart.project, "run_count": 4}, {"x-idempotency-key": "night"}
    apart.die_at("batch.between_stores", lambda api: api.post("/batches", json=order, headers=key))
    told = [apart.post("/batches", order, "night").json() for _ in range(2)]
    assert [one["replayed"] for one in told] == [False, True]
    assert [one["id"] for one in apart.ask("/batches")["items"]] == [told[0]["id"]]
    assert apart.ask("/quota/batches")["used"] == used + 4


@pytest.mark.soak
def test_a_key_is_reset(apart: Apart) -> None:
    order = apart.later(task="Under a key")
    first = apart.post("/runs", order, "spare").json()["id"]
    path, body = "/idempotency-keys/spare/reset", {"project_id": apart.project}
    apart.die_at("key_reset.between_stores", lambda api: api.post(path, json=body))
    assert apart.post("/runs", order, "spare").json()["id"] == first
    apart.post(path, body)
    assert apart.post("/runs", order | {"task": "Another"}, "spare").json()["id"] != first
    assert apart.lines(first).count("its idempotency key was reset") == 1


def test_a_project_is_archived(apart: Apart) -> None:
    body = {"name": "spare", "origin": str(make_origin(apart.folder / "spare", bare=True))}
    with apart.server.client() as client:
        spare = client.post("/projects", json=body | {"agent_command": ["/bin/true"]}).json()["id"]
        wait_for(client, f"/projects/{spare}", lambda one: one["state"] == "ready")
    apart.die_at("archive.between_stores", lambda api: api.delete(f"/projects/{spare}"))
    assert apart.ask(f"/projects/{spare}")["archived_at"]
    with apart.server.client() as client:
        refused = client.post("/runs", json={"project_id": spare, "task": "Too late"})
    assert refused.is_client_error


# --- effects of runs ----------------------------------------------------------------------------


def test_a_run_that_is_taken_is_started_once(apart: Apart) -> None:
    apart.let("exit 0")
    order = {"project_id": apart.project, "task": "Look", "delivers": "report"}
    apart.die_at("take.between_stores", lambda api: api.post("/runs", json=order))
    [run] = apart.ask("/runs", limit=1)["items"]
    assert apart.released(run["id"])["status"] == "succeeded"
    assert apart.starts(run["id"]) == 1


@pytest.mark.parametrize(
    "point",
    ["before_consequences", pytest.param("consequences_delivered", marks=pytest.mark.soak)],
)
def test_a_strike_is_counted_once(apart: Apart, point: str) -> None:
    apart.let("exit 3")
    strikes = apart.strikes()
    ordered: list[str] = []
    apart.die_at(point, lambda _: ordered.append(apart.run_an_issue()))
    assert apart.released(ordered[0])["status"] == "died"
    apart.see_strikes(strikes + 1)
    with closing(apart.open_runs()) as database, database.reading() as session:
        assert session.exec(select(Outgoing)).all() == []


@pytest.mark.soak
def test_a_strike_that_could_not_be_counted_stays_void_after_a_reset(apart: Apart) -> None:
    apart.let("exit 3")
    ordered: list[str] = []
    apart.arm("before_consequences")
    ordered.append(apart.run_an_issue())
    apart.see_death()
    apart.change_runs(update(Outgoing).values(data={}))
    apart.die_at(
        "reset.between_stores", lambda api: api.post(f"/projects/{apart.project}/afk/reset")
    )
    for _ in range(2):
        assert apart.released(ordered[0])["status"] == "died"
        assert apart.strikes() == 0
        assert apart.lines(ordered[0]).count(CLEARED) == 1
        apart.server.kill()
        apart.arm("")
    assert apart.ask("/quarantine")["items"] == []


def test_work_is_delivered_and_merged_once(apart: Apart) -> None:
    apart.let(COMMIT)
    ordered: list[str] = []
    apart.die_at("before_reap_commit", lambda _: ordered.append(apart.run_an_issue()))
    run = apart.released(ordered[0])
    assert (run["status"], apart.starts(run["id"])) == ("succeeded", 1)
    changes = apart.ask(f"/projects/{apart.project}/changes")["items"]
    assert [one["number"] for one in changes] == [run["delivery"]["number"]]
    merge = f"/projects/{apart.project}/changes/{run['delivery']['number']}/merge"
    apart.die_at("after_change_ended", lambda api: api.post(merge))
    with apart.server.client() as client:
        path = f"/runs/{run['id']}"
        wait_for(client, path, lambda one: one["delivery"]["state"] == "merged")
    number = run["delivery"]["number"]
    assert apart.lines(run["id"]).count(f"change request #{number} merged") == 1
    assert apart.ask(f"/projects/{apart.project}/issues/{run['issue']}")["state"] == "closed"


# tests/faults/agents/test_batches.py kills a server there in `make test`
@pytest.mark.soak
def test_what_is_done_to_many_is_done_to_each_once(apart: Apart) -> None:
    runs = [apart.post("/runs", apart.later(task=f"Many {number}")).json()["id"] for number in "12"]
    order = {"action": "stop", "filter": {"project_id": apart.project, "status": ["delayed"]}}
    apart.die_at("bulk_done", lambda api: api.post("/bulk", json=order))
    bulk = apart.ask("/bulk")["items"][0]["id"]
    until(lambda: apart.ask(f"/bulk/{bulk}")["ended_at"], "it is over", WAIT_SECONDS)
    done = apart.ask(f"/bulk/{bulk}")
    assert (done["done"], done["pending"]) == (done["total"], 0)
    for run in runs:
        kinds = [one["kind"] for one in apart.ask(f"/runs/{run}/timeline")["items"]]
        assert (apart.ask(f"/runs/{run}")["status"], kinds.count("reaped")) == ("stopped", 1)


@pytest.mark.soak
def test_a_batch_that_is_stopped_is_stopped_whole(apart: Apart) -> None:
    apart.let("sleep 60")
    batch = apart.post("/batches", {"project_id": apart.project, "run_count": 2}).json()["id"]
    with apart.server.client() as client:
        lines = b"\n".join(line(index) for index in range(2))
        client.post(f"/batches/{batch}/items", content=lines, headers=NDJSON).raise_for_status()
    apart.die_at("batch_aborted", lambda api: api.post(f"/batches/{batch}/stop"))
    with apart.server.client() as client:
        # the item that was being launched is rolled back
        ended = {"stopped", "not_started"}
        wait_for(client, f"/batches/{batch}", lambda told: set(told["counts"]) <= ended)
    assert len(apart.ask(f"/batches/{batch}/items")["items"]) == 2


# --- parked work of runs in both stores ---------------------------------------------------------


@pytest.mark.soak
def test_kept_work_is_discarded(apart: Apart) -> None:
    old = apart.old[0]
    new = apart.keep_in_both(old)
    branch = old["work_branch"]
    body = {"project_id": apart.project, "branch": branch, "confirm": branch}
    apart.die_at("discard.between_stores", lambda api: api.post("/parked/discard", json=body))
    assert branch in [one["branch"] for one in apart.ask("/parked")["items"]]
    apart.post("/parked/discard", body)
    assert branch not in [one["branch"] for one in apart.ask("/parked")["items"]]
    for run in (old, new):
        assert not apart.ask(f"/runs/{run['id']}")["parked"]


@pytest.mark.parametrize(
    ("point", "source", "number"),
    [
        ("pass_on.between_stores", "parked", 1),
        pytest.param("rename.between_stores", "fresh", 2, marks=pytest.mark.soak),
    ],
)
def test_kept_work_belongs_to_one_side_only(
    apart: Apart, point: str, source: str, number: int
) -> None:
    old = apart.old[number]
    new = apart.keep_in_both(old)
    branch = old["work_branch"]
    retry = f"/runs/{new['id']}/retry"
    apart.let(COMMIT)
    apart.die_at(point, lambda api: api.post(retry, json={"from": source}))
    # the retry is queued again, and finds the work where it was
    heir = apart.released(apart.ask(f"/runs/{new['id']}")["retried_by"][-1])
    assert (heir["status"], heir["work_branch"]) == ("succeeded", branch), heir
    passed_on = source == "parked"
    for run in (old, new):
        now = apart.ask(f"/runs/{run['id']}")
        assert (now["work_branch"] == branch, now["parked"]) == (passed_on, not passed_on)
        told = apart.lines(run["id"]).count(f"a retry continues on {branch}")
        assert told == passed_on


# --- the stores themselves ----------------------------------------------------------------------


@pytest.mark.soak
def test_stores_that_were_killed_while_they_learned_of_each_other_learn_it_later(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    url = run_store(data)
    control = own_database(data).get("database_url", f"sqlite:///{data / 'runyard.db'}")
    server = RunyardServer(data, SHORT | {"RUNYARD_RUNS_DATABASE_URL": url, "RUNYARD_TEST": "1"})
    server.settings["RUNYARD_FAILPOINT"] = "agree.between_stores:kill9"
    with pytest.raises(AssertionError, match="the server did not start"):
        server.start()
    assert (told_of(control, "run_store"), bool(told_of(url, "control_store"))) == (None, True)
    del server.settings["RUNYARD_FAILPOINT"]
    try:
        for _ in range(2):
            server.start()
            assert told_of(control, "run_store") == told_of(url, "nonce")
            assert told_of(control, "nonce") == told_of(url, "control_store")
            server.kill()
    finally:
        server.kill()


def told_of(url: str, name: str) -> str | None:
    """Return a setting from a database, or None."""
    query = select(Setting.value).where(Setting.name == name)
    with closing(Database(url, publish=lambda _: None)) as database, database.reading() as session:
        return session.exec(query).first()


def test_a_digest_is_sent_once(apart: Apart) -> None:
    clock, due = apart.folder / "clock", datetime.now(UTC) + timedelta(hours=1)
    usual = apart.settings
    with local_receiver() as receiver:
        apart.settings = usual | {
            "RUNYARD_NOTIFY_URLS": receiver.address,
            "RUNYARD_NOTIFY_KINDS": "digest",
            "RUNYARD_NOTIFY_ZONE": "UTC",
            "RUNYARD_DIGEST_AT": f"{due:%H:%M}",
            "RUNYARD_TEST_CLOCK": str(clock),
            "RUNYARD_SWEEP_SECONDS": "0.2",
        }
        apart.die_at("digest.between_stores", lambda _: clock.write_text("3700"))
        until(lambda: apart.ask("/notifications")["items"][0]["last_taken"], "it is sent")
        apart.server.kill()
        apart.settings = usual
    [told] = receiver.taken
    assert told["title"].startswith("Runyard: ")
