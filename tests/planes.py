"""A whole Runyard without its door: real repositories, real processes, and a clock to set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.config import Settings
from app.control_plane import ControlPlane
from app.domain.words import Depth, Trigger
from app.records.tables import Project, Run
from app.services.context import repository_of
from app.services.ports import Repository, Sight
from app.services.runs.requests import Asker, Order
from app.services.tracker.issues import IssueView
from tests.agents_for_tests.runs import Ears, shell, until
from tests.fresh_databases import own_database, put_database
from tests.repositories import make_origin
from tests.store_guard import OF_CONTROL

SECONDS = 60.0
# a busy machine may be late with the proof of an end
TRIES = 3
COMMIT = "echo new > new.txt && git add -A && git commit -qm 'Add a file'"
QUIET: dict[str, Any] = {"sweep_seconds": 3600.0, "kill_grace_seconds": 0.3}


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Go on, or back; the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now


class RealPlane(ControlPlane):
    """A control plane whose duties are called by the test: nothing ticks, nothing is heard."""

    clock: Clock

    def __init__(self, folder: Path, **settings: Any) -> None:
        # who shares a database says so of all of them
        own = {} if "database_url" in settings else own_database(folder / "data")
        # what these stories tell of processes, they see from outside
        usual: dict[str, Any] = QUIET | own | {"sandbox": "none"}
        super().__init__(Settings(data_dir=folder / "data", **usual | settings), clock=Clock())
        self.folder = folder
        # nobody else has a database that is this test's, of whatever kind
        self.leases.is_alone |= "database_url" not in settings
        put_database(self.settings)
        self.migrate()
        self.services.sweep.open()
        self.leases.renew_once(self.clock())
        self.person = self.services.accounts.operator(self.clock()).id
        self.ears = Ears(self.adapters.engine, lambda run_id: self.run(run_id).supervisor)

    # --- what a test begins with ---------------------------------------------------------------

    def add_project(
        self, agent: str | list[str] = COMMIT, *, origin: Path | None = None, **settings: Any
    ) -> Project:
        """A project that is ready; `agent` is a line of shell or an argv."""
        if origin is None:
            count = len(self.ledgers.projects.all())
            origin = make_origin(self.folder / f"origin{count}")
        command = shell(agent) if isinstance(agent, str) else agent
        name = settings.pop("name", origin.name)
        made = self.services.projects.add(
            name, str(origin), self.clock(), agent_command=command, **settings
        )
        self.rest()
        project = self.project(made.id)
        assert project.state == "ready", project.state_because
        return project

    def add_issue(self, project: Project, title: str = "Mend it", body: str = "") -> IssueView:
        """An open issue that is ready for an agent."""
        labels = ["ready-for-agent"]
        return self.services.issues.add(project.id, title, body, labels, self.clock())

    def order(self, project: Project, **wishes: Any) -> Order:
        """A plain order, quick and without a framework of its own."""
        return Order(project.id, wishes.pop("depth", Depth.QUICK), "auto", **wishes)

    def asker(self, key: str | None = None, *, person: str | None = None) -> Asker:
        """Somebody who asks; by default the operator."""
        return Asker(person or self.person, Trigger.API, key, "test", {"environment": "test"})

    # --- what happens --------------------------------------------------------------------------

    def accept(self, order: Order, key: str | None = None, *, person: str | None = None) -> Run:
        """Accept a run; whether it starts depends on what else goes on."""
        return self.services.trigger.accept(order, self.asker(key, person=person), self.clock()).run

    def launch(self, project: Project, **wishes: Any) -> Run:
        """Accept a run and let it be launched."""
        accepted = self.accept(self.order(project, **wishes))
        self.rest()
        return self.run(accepted.id)

    def start_running(self, project: Project, **wishes: Any) -> Run:
        """The same, for a launch that works."""
        run = self.launch(project, **wishes)
        assert run.status == "running", run.because
        return run

    def start_running_issue(self, project: Project) -> Run:
        """A run of a new issue, running."""
        return self.start_running(project, issue=self.add_issue(project).number)

    def see_end(self, run: Run) -> Run:
        """Wait until nothing of the run's processes is left, then look at it as a sweep does."""
        self.ears.wait_for(run.id, "gone")
        return self.reap(run)

    def reap(self, run: Run) -> Run:
        """Look at a run once, and let everything happen that follows."""
        assert self.reaper.reap_once(run.id)
        self.rest()
        return self.run(run.id)

    def finish(self, project: Project, **wishes: Any) -> Run:
        """A run from its order to its end, released."""
        run = self.see_end(self.start_running(project, **wishes))
        assert run.released_at is not None, self.lines(run)
        return run

    def stop_run(self, run: Run) -> Run:
        """Stop a run as a person does, and let everything happen that follows."""
        self.services.stopper.stop(run.id, "by a test", self.clock())
        self.rest()
        return self.run(run.id)

    def tick(self) -> None:
        """One whole sweep."""
        self.services.sweep.tick_once(self.clock())
        self.rest()

    def rest(self) -> None:
        """Wait until no duty is left."""
        assert self.workers.finish(SECONDS)

    # --- what is there -------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """The run as it stands."""
        found = self.ledgers.runs.find(run_id)
        assert found is not None
        return found

    def project(self, project_id: str) -> Project:
        """The project as it stands."""
        found = self.ledgers.projects.find(project_id)
        assert found is not None
        return found

    def kinds(self, run: Run) -> list[str]:
        """The kinds of its timeline's lines."""
        return [event.kind for event in self.ledgers.runs.timeline(run.id)]

    def lines(self, run: Run) -> list[str]:
        """Its timeline's sentences."""
        return [event.sentence for event in self.ledgers.runs.timeline(run.id)]

    def copy(self, run: Run) -> Path:
        """Where its working copy is or was."""
        return self.adapters.copies.path(run.id)

    def tip(self, run: Run) -> str | None:
        """The commit of its claim."""
        repo = self.repository(self.project(run.project_id))
        return self.adapters.mirrors.tip(repo, run.work_branch)

    def repository(self, project: Project) -> Repository:
        """What git adapters know of a project."""
        return repository_of(project)

    def look(self, run: Run) -> Sight:
        """The engine's sight of a run, with what its row knows."""
        return self.adapters.engine.look(run.id, self.run(run.id).supervisor)

    def end_processes(self) -> set[str]:
        """End whatever lives of any run; what is left."""
        engine, runs = self.adapters.engine, self.ledgers.runs
        for _ in range(TRIES):
            for run_id in engine.owned():
                run = runs.find(run_id)
                engine.kill(run_id, run.supervisor if run else None)
        return engine.owned()

    def is_gone(self, run: Run) -> bool:
        """True where no process of the run lives and it has neither a copy nor a branch."""
        return self.look(run).tree_gone and not self.copy(run).exists() and self.tip(run) is None

    def rows(self) -> list[str]:
        """Every run's id, newest first, of all projects."""
        return [
            run.id
            for project in self.ledgers.projects.all()
            for run in self.ledgers.runs.newest_of(project.id, limit=1000)
        ]

    def ask(self, query: Any) -> list[Any]:
        """What every database answers, once what runs have led to is written."""
        self.consequences.catch_up()
        found: list[Any] = []
        is_there_once = any(table.name in OF_CONTROL for table in query.get_final_froms())
        for database in [self.stores.control] if is_there_once else self.stores.all():
            with database.reading() as session:
                found += session.exec(query).all()
        return found

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something real that becomes true; its value."""
        return until(condition, what, SECONDS)


@contextmanager
def real_plane(folder: Path, **settings: Any) -> Iterator[RealPlane]:
    """A control plane for the length of a test; its processes end with it."""
    plane = RealPlane(folder, **settings)
    try:
        yield plane
    finally:
        try:
            plane.rest()
        finally:
            survivors = plane.end_processes()
            plane.stop()
        assert survivors == set()
