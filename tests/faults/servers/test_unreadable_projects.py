"""A project whose row cannot be read: its card says so, and everything else works as before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import NullPool, create_engine, text

from app.records.database.change_codec import notify_others
from app.records.feed import ProjectChanged
from tests.builders.databases import postgresql_in_brief, shared_database
from tests.drivers.servers.store_needs import PAGE
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.fakes.agents.runs import until
from tests.faults.stores.test_stores_away import pages

CANNOT = "cannot be read"


class Scene:
    """A server with a project whose row can be corrupted, and a sound one."""

    def __init__(self, shop: Workshop, address: str) -> None:
        self.shop = shop
        self._engine = create_engine(address, poolclass=NullPool)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self.sick, self.well = (shop.add_project(name) for name in ("sick", "well"))
        self.runs: dict[str, str] = {}
        self.changes: dict[str, str] = {}
        for project in (self.sick, self.well):
            shop.issue(project)
            run = shop.ended(shop.start(project, "please fail")["id"])
            self.runs[project] = run["id"]
            self.changes[project] = str(shop.delivered(project)["delivery"]["number"])

    def paths(self, project: str) -> list[str]:
        """Return every API path that reads this project or its run."""
        described = self.shop.api.get("/openapi.json").json()["paths"]
        there = [path for path, methods in described.items() if "get" in methods]
        found = [self.fill(path, project) for path in there if "{" in path]
        return [path for path in found if path and not path.endswith("/events")]

    def fill(self, path: str, project: str) -> str | None:
        """Fill a path with a project's ids; return None if it needs other ids."""
        number = self.changes[project] if "/changes/" in path else "1"
        try:
            return path.format(project_id=project, run_id=self.runs[project], number=number)
        except KeyError:
            return None

    @contextmanager
    def spoiled(self) -> Iterator[None]:
        """Put a value that Python cannot decode into the sick project's row inside the block."""
        good, bad = ("'[\"auto\"]'", "'{'") if self.is_sqlite else ("now()", "'infinity'")
        column = "frameworks" if self.is_sqlite else "created_at"
        self._write(column, bad)
        try:
            yield
        finally:
            self._write(column, good)

    def _write(self, column: str, value: str) -> None:
        with self._engine.begin() as writing:
            words = f"UPDATE project SET {column} = {value} WHERE id = :id"  # noqa: S608
            writing.execute(text(words), {"id": self.sick})
            if not self.is_sqlite:
                # announced as by another server; otherwise cached data is shown for half a minute
                notify_others(writing, [ProjectChanged(self.sick)], "another server")


@pytest.fixture(scope="module", params=postgresql_in_brief())
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("unreadable")
    address = shared_database(folder, request.param)
    settings = {"RUNYARD_DATABASE_URL": address, "RUNYARD_NOTIFY_URLS": "json://127.0.0.1:9/x"}
    settings["RUNYARD_SWEEP_SECONDS"] = "0.3"
    with open_workshop(folder, **settings) as shop:
        yield Scene(shop, address)


def test_every_list_shows_the_other_projects_and_the_spoiled_one_says_that_it_cannot_be_read(
    scene: Scene,
) -> None:
    api = scene.shop.api
    with scene.spoiled():
        told = {one["name"]: one for one in api.get("/projects").raise_for_status().json()["items"]}
        assert told["well"]["state"] == "ready"
        assert (told["sick"]["state"], CANNOT in told["sick"]["state_because"]) == ("broken", True)
        assert {run["project_id"] for run in api.get("/runs").json()["items"]} == {
            scene.sick,
            scene.well,
        }
        for path in ("/parked", "/batches", "/quarantine", "/system", "/doctor", "/quota/runs"):
            assert api.get(path).status_code == 200, path
        assert api.get(f"{scene.shop.server.url}/metrics").status_code == 200
    path = f"/projects/{scene.sick}"
    # the notice from another server takes a moment to arrive
    until(lambda: api.get(path).json()["state"] == "ready", "it is read again")


def test_everything_of_another_project_is_answered_as_before(scene: Scene) -> None:
    api = scene.shop.api
    paths = scene.paths(scene.well)
    assert len(paths) > 10
    before = {path: api.get(path).status_code for path in paths}
    with scene.spoiled():
        assert {path: api.get(path).status_code for path in paths} == before
        run = scene.shop.ended(scene.shop.start(scene.well, "please commit")["id"])
        assert run["status"] == "succeeded"


def test_nothing_of_the_spoiled_project_is_a_fault_of_runyards(scene: Scene) -> None:
    api, paths = scene.shop.api, scene.paths(scene.sick)
    usual = {path: api.get(path).status_code for path in paths}
    with scene.spoiled():
        answers = {path: api.get(path) for path in paths}
        odd = {
            path: one.text
            for path, one in answers.items()
            if one.status_code not in (usual[path], 409)
        }
        refused = [one for one in answers.values() if one.status_code == 409]
        start = api.post("/runs", json={"project_id": scene.sick, "task": "please commit"})
        retry = api.post(f"/runs/{scene.runs[scene.sick]}/retry")
    assert odd == {}
    for one in (*refused, start):
        assert (one.json()["error"], CANNOT in one.json()["detail"]) == ("project_broken", True)
    assert retry.status_code == 409
    assert "its project cannot be read" in retry.json()["detail"]


def test_a_retry_whose_project_row_is_gone_says_so_and_is_no_404(scene: Scene) -> None:
    api, shop = scene.shop.api, scene.shop
    gone = shop.add_project("gone")
    run = shop.ended(shop.start(gone, "please fail")["id"])
    with scene._engine.begin() as writing:
        if scene.is_sqlite:
            writing.execute(text("PRAGMA foreign_keys = OFF"))
        writing.execute(text("DELETE FROM project WHERE id = :id"), {"id": gone})
    answer = api.post(f"/runs/{run['id']}/retry")
    assert answer.status_code == 409, answer.text
    assert "its project cannot be read" in answer.json()["detail"]
    assert api.get("/runs").status_code == 200


def test_every_page_still_shows_what_can_be_read(scene: Scene) -> None:
    with scene.spoiled():
        for call in pages():
            path = scene.fill(call.route, scene.well)
            if path is None:
                continue
            answer = scene.shop.api.get(scene.shop.server.url + path, headers=dict(PAGE))
            assert answer.status_code == 200, (path, answer.text[:300])
            assert "Something went wrong" not in answer.text, path
        home = scene.shop.api.get(scene.shop.server.url + "/plain", headers=dict(PAGE)).text
    assert "well" in home
    assert CANNOT in home


def test_a_run_of_the_spoiled_project_is_left_to_a_person_though_notifications_are_on(
    scene: Scene,
) -> None:
    api, shop = scene.shop.api, scene.shop
    run = shop.live(shop.start(scene.sick, "please wait")["id"])

    def held() -> list[str]:
        return [one["key"] for one in api.get("/quarantine").json()["items"]]

    with scene.spoiled():
        end_agent(run["id"])
        until(lambda: held() != [], "five tries have failed", 60)
        (key,) = held()
        assert run["id"] in key
        sentence = next(
            one["sentence"]
            for one in api.get(f"/runs/{run['id']}/timeline").json()["items"]
            if "not tried again" in one["sentence"]
        )
        assert "5 times" in sentence
    api.post(f"/quarantine/{key}/retry").raise_for_status()
    assert shop.ended(run["id"])["status"] == "died"
    assert held() == []


def end_agent(run_id: str) -> None:
    """Kill the agent of a run, and nothing else."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            # the workshop's agent waits as this program
            is_agent = process.cmdline()[:1] == ["sleep"]
            if is_agent and process.environ().get("RUNYARD_RUN_ID") == run_id:
                process.kill()
