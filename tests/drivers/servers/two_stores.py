"""A server with two databases that is killed at failpoints and restarted."""

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
from tests.builders.databases import run_store
from tests.builders.repositories import run_git, tip_of
from tests.drivers.servers.killed import SHORT, Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for

COMMIT = "echo $RUNYARD_RUN_ID > new.txt && git add new.txt && git commit -qm 'Add a file'"
Act = Callable[[httpx.Client], Any]


@dataclass
class Apart(Doomed):
    """A server with a separate run store; three runs date from before the split."""

    old: list[dict[str, Any]] = field(default_factory=list)

    @property
    def runs_url(self) -> str:
        """The URL of the run store."""
        return run_store(self.server.data_dir)

    @property
    def begun_runs(self) -> Path:
        """The file in which each agent writes its run's id when it starts."""
        return self.folder / "begun"

    @property
    def agent(self) -> str:
        """The shell command of its agents, which source the file that `let` writes."""
        return f'echo "$RUNYARD_RUN_ID" >> {self.begun_runs}; . {self.folder}/how'

    def let(self, how: str) -> None:
        """Set the shell commands that agents run from now on."""
        (self.folder / "how").write_text(how)

    def ask(self, path: str, **query: Any) -> Any:
        """GET a path of the API; return the decoded answer."""
        with self.server.client() as client:
            return client.get(path, params=query).raise_for_status().json()

    def post(self, path: str, body: Any = None, key: str = "") -> httpx.Response:
        """POST to the API, with an idempotency key if given."""
        with self.server.client() as client:
            headers = {"x-idempotency-key": key} if key else {}
            return client.post(path, json=body, headers=headers).raise_for_status()

    def die_at(self, point: str, act: Act) -> None:
        """Call `act`, at which the server dies at the point; then restart it."""
        self.arm(point)
        # the server may die before it answers
        with self.server.client() as client, suppress(httpx.TransportError):
            act(client)
        self.see_death()
        self.arm("")

    def strikes(self) -> int:
        """Return the project's strike count."""
        return int(self.ask(f"/projects/{self.project}")["strikes"])

    def see_strikes(self, count: int) -> None:
        """Wait for this strike count."""
        with self.server.client() as client:
            wait_for(client, f"/projects/{self.project}", lambda one: one["strikes"] == count)

    def lines(self, run_id: str) -> list[str]:
        """Return the sentences of a run's timeline."""
        return [one["sentence"] for one in self.ask(f"/runs/{run_id}/timeline")["items"]]

    def starts(self, run_id: str) -> int:
        """Return how many agents have started for a run."""
        return self.begun_runs.read_text().split().count(run_id)

    def later(self, **more: Any) -> dict[str, Any]:
        """Return a run order that is delayed by a day."""
        return {"project_id": self.project, "delay": 86_400, **more}

    def change_runs(self, statement: Any) -> None:
        """Execute a statement on the run store while no server runs."""
        self.server.kill()
        with closing(self.open_runs()) as database, database.transaction() as tx:
            tx.execute(statement)

    def open_runs(self) -> Database:
        """Open the run store."""
        return Database(self.runs_url, publish=lambda _: None)

    def keep_in_both(self, old: dict[str, Any]) -> dict[str, Any]:
        """Make a run of the run store whose work is parked on the same branch as an older run's."""
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
    """A server that puts new runs in a run store, after three older runs died and left work."""
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
