"""A server with two databases that is killed at named points, and begins again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import update
from sqlmodel import col

from app.domain.ids import Store, store_of
from app.records.database.database import Database
from app.records.tables import Run
from tests.faults.doomed import SHORT, Doomed
from tests.fresh_databases import run_store
from tests.repositories import run_git, tip_of
from tests.servers import RunyardServer, wait_for

COMMIT = "echo $RUNYARD_RUN_ID > new.txt && git add new.txt && git commit -qm 'Add a file'"
Act = Callable[[httpx.Client], Any]


@dataclass
class Apart(Doomed):
    """One whose runs have a database of their own; three runs are from before that."""

    old: list[dict[str, Any]] = field(default_factory=list)

    @property
    def runs_url(self) -> str:
        """The address of the run store."""
        return run_store(self.server.data_dir)

    @property
    def begun_runs(self) -> Path:
        """Where each agent writes that it has begun."""
        return self.folder / "begun"

    @property
    def agent(self) -> str:
        """What its agents do."""
        return f'echo "$RUNYARD_RUN_ID" >> {self.begun_runs}; . {self.folder}/how'

    def let(self, how: str) -> None:
        """What agents do from now on, in shell."""
        (self.folder / "how").write_text(how)

    def ask(self, path: str, **query: Any) -> Any:
        """What the API answers."""
        with self.server.client() as client:
            return client.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """Order something that is done."""
        with self.server.client() as client:
            headers = {"x-idempotency-key": key} if key else {}
            return client.post(path, json=body, headers=headers).raise_for_status()

    def die_at(self, point: str, act: Act) -> None:
        """Do something at which the server ends, and begin again."""
        self.arm(point)
        # it may die before its answer is out
        with self.server.client() as client, suppress(httpx.TransportError):
            act(client)
        self.see_death()
        self.arm("")

    def strikes(self) -> int:
        """The project's count."""
        return int(self.ask(f"/projects/{self.project}")["strikes"])

    def see_strikes(self, count: int) -> None:
        """Wait until there are so many."""
        with self.server.client() as client:
            wait_for(client, f"/projects/{self.project}", lambda one: one["strikes"] == count)

    def lines(self, run_id: str) -> list[str]:
        """A run's timeline."""
        return [one["sentence"] for one in self.ask(f"/runs/{run_id}/timeline")["items"]]

    def starts(self, run_id: str) -> int:
        """How often an agent has begun for a run."""
        return self.begun_runs.read_text().split().count(run_id)

    def later(self, **more: Any) -> dict[str, Any]:
        """An order of a run for another day."""
        return {"project_id": self.project, "delay": 86_400, **more}

    def change_runs(self, statement: Any) -> None:
        """Write into the run store while no server runs."""
        self.server.kill()
        with closing(self.open_runs()) as database, database.transaction() as tx:
            tx.execute(statement)

    def open_runs(self) -> Database:
        """The run store."""
        return Database(self.runs_url, tell=lambda _: None)

    def keep_in_both(self, old: dict[str, Any]) -> dict[str, Any]:
        """A run of the run store whose work lies on an older one's branch, as that one's does."""
        self.let(f"{COMMIT}; exit 3")
        new = self.released(self.run_an_issue())
        branch = old["work_branch"]
        same = {"work_branch": branch, "issue": old["issue"]}
        self.change_runs(update(Run).where(col(Run.id) == new["id"]).values(**same))
        mirror = self.server.data_dir / "runs" / "mirrors" / f"{self.project}.git"
        refs = f"refs/heads/{new['work_branch']}", f"refs/heads/{branch}"
        run_git(mirror, "update-ref", refs[1], tip_of(mirror, refs[0]))
        run_git(mirror, "update-ref", "-d", refs[0])
        self.arm("")
        assert [one["branch"] for one in self.ask("/parked")["items"]].count(branch) == 1
        return dict(self.ask(f"/runs/{new['id']}"))


@contextmanager
def begun_apart(folder: Path) -> Iterator[Apart]:
    """One whose runs live apart by now, over three that died with work before."""
    (folder / "data").mkdir(mode=0o700)
    one = Apart(folder, RunyardServer(folder / "data"))
    two = SHORT | {
        "RUNYARD_RUNS_DATABASE_URL": one.runs_url,
        "RUNYARD_CHANGE_STORES": "1",
        "RUNYARD_REPO_CONCURRENCY": "50",
    }
    one.settings = two | {"RUNYARD_RUNS_SPLIT": "off"}
    one.let(f"{COMMIT}; exit 3")
    with one.begun(one.agent):
        one.old = [one.released(run_id) for run_id in [one.run_an_issue() for _ in range(3)]]
        assert {store_of(run["id"]) for run in one.old} == {Store.CONTROL}
        one.settings = two
        one.arm("")
        yield one
