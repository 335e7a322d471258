"""A complete Runyard without its HTTP server, with a settable clock, and the real one of these."""

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
from app.services.ports import Observation, Repository
from app.services.runs.requests import Requester, RunRequest
from app.services.tracker.issue_views import IssueView
from tests.builders.databases import own_database, put_database
from tests.builders.repositories import make_origin
from tests.drivers.store_guard import OF_CONTROL
from tests.fakes.agents.runs import Ears, shell, until

SECONDS = 60.0
# a busy machine may be slow to prove that processes have ended
TRIES = 3
COMMIT = "echo new > new.txt && git add -A && git commit -qm 'Add a file'"
QUIET: dict[str, Any] = {"sweep_seconds": 3600.0, "kill_grace_seconds": 0.3}


class Clock:
    """A clock that moves only when a test advances it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Move the clock by `seconds`, also backwards; return the new time."""
        self.now += timedelta(seconds=seconds)
        return self.now


class DrivenPlane(ControlPlane):
    """A control plane whose duties the test calls itself: no scheduler, no engine events."""

    clock: Clock
    person: str

    def add_project(self, agent: str | list[str] = COMMIT, **settings: Any) -> Project:
        """Register a project with a new repository."""
        raise NotImplementedError

    def see_end(self, run: Run) -> Run:
        """Wait for the end of the run's processes, then reap it as a sweep does."""
        raise NotImplementedError

    # --- setup ---------------------------------------------------------------------------------

    def register(
        self, origin: str, agent: str | list[str], name: str, settings: dict[str, Any]
    ) -> Project:
        """Register a project and check that it is ready; `agent` is a line of shell or an argv."""
        command = shell(agent) if isinstance(agent, str) else agent
        made = self.services.projects.add(
            name, origin, self.clock(), agent_command=command, **settings
        )
        self.rest()
        project = self.project(made.id)
        assert project.state == "ready", project.state_because
        return project

    def add_issue(self, project: Project, title: str = "Mend it", body: str = "") -> IssueView:
        """Add an open issue labelled `ready-for-agent`."""
        labels = ["ready-for-agent"]
        return self.services.issues.add(project.id, title, body, labels, self.clock())

    def order(self, project: Project, **wishes: Any) -> RunRequest:
        """Return an order for a plain run: depth quick, framework `auto`."""
        return RunRequest(project.id, wishes.pop("depth", Depth.QUICK), "auto", **wishes)

    def requester(self, key: str | None = None, *, person: str | None = None) -> Requester:
        """Return a requester through the API, by default the operator."""
        return Requester(person or self.person, Trigger.API, key, "test", {"environment": "test"})

    # --- actions -------------------------------------------------------------------------------

    def accept(
        self, order: RunRequest, key: str | None = None, *, person: str | None = None
    ) -> Run:
        """Accept a run; it may have to wait for its launch."""
        return self.services.accept.accept(
            order, self.requester(key, person=person), self.clock()
        ).run

    def launch(self, project: Project, **wishes: Any) -> Run:
        """Accept a run and wait until all that follows is done."""
        accepted = self.accept(self.order(project, **wishes))
        self.rest()
        return self.run(accepted.id)

    def start_running(self, project: Project, **wishes: Any) -> Run:
        """Launch a run and check that it is running."""
        run = self.launch(project, **wishes)
        assert run.status == "running", run.because
        return run

    def start_running_issue(self, project: Project) -> Run:
        """Launch a run of a new issue and check that it is running."""
        return self.start_running(project, issue=self.add_issue(project).number)

    def reap(self, run: Run) -> Run:
        """Reap a run once, and wait until all that follows is done."""
        assert self.reaper.reap_once(run.id)
        self.rest()
        return self.run(run.id)

    def finish(self, project: Project, **wishes: Any) -> Run:
        """Launch a run, wait for its end and check that it is released."""
        run = self.see_end(self.start_running(project, **wishes))
        assert run.released_at is not None, self.lines(run)
        return run

    def stop_run(self, run: Run) -> Run:
        """Stop a run as a person does, and wait until all that follows is done."""
        self.services.stopper.stop(run.id, "by a test", self.clock())
        self.rest()
        return self.run(run.id)

    def tick(self) -> None:
        """Run one whole sweep."""
        self.services.sweep.tick_once(self.clock())
        self.rest()

    def rest(self) -> None:
        """Wait until no background duty is left."""
        assert self.workers.finish(SECONDS)

    # --- state ---------------------------------------------------------------------------------

    def run(self, run_id: str) -> Run:
        """Return the run's current row."""
        found = self.ledgers.runs.find(run_id)
        assert found is not None
        return found

    def project(self, project_id: str) -> Project:
        """Return the project's current row."""
        found = self.ledgers.projects.find(project_id)
        assert found is not None
        return found

    def kinds(self, run: Run) -> list[str]:
        """Return the kinds of the run's timeline events."""
        return [event.kind for event in self.ledgers.runs.timeline(run.id)]

    def lines(self, run: Run) -> list[str]:
        """Return the sentences of the run's timeline."""
        return [event.sentence for event in self.ledgers.runs.timeline(run.id)]

    def tip(self, run: Run) -> str | None:
        """Return the commit of the run's claim, or None without a claim."""
        repo = self.repository(self.project(run.project_id))
        return self.adapters.mirrors.tip(repo, run.work_branch)

    def repository(self, project: Project) -> Repository:
        """Return the project in the form that git adapters take."""
        return repository_of(project)

    def look(self, run: Run) -> Observation:
        """Inspect a run through the engine, with the facts kept in its row."""
        return self.adapters.engine.inspect(run.id, self.run(run.id).supervisor)

    def is_gone(self, run: Run) -> bool:
        """Return True if no process, working copy or branch of the run is left."""
        has_copy = self.adapters.copies.exists(run.id)
        return self.look(run).tree_gone and not has_copy and self.tip(run) is None

    def rows(self) -> list[str]:
        """Return the ids of all runs, project by project, newest first."""
        return [
            run.id
            for project in self.ledgers.projects.all()
            for run in self.ledgers.runs.newest_of(project.id, limit=1000)
        ]

    def ask(self, query: Any) -> list[Any]:
        """Query every database that holds these tables, after applying pending consequences."""
        self.services.outbox.catch_up()
        found: list[Any] = []
        is_there_once = any(table.name in OF_CONTROL for table in query.get_final_froms())
        for database in [self.stores.control] if is_there_once else self.stores.all():
            with database.reading() as session:
                found += session.exec(query).all()
        return found

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until a condition holds; return its value."""
        return until(condition, what, SECONDS)


class RealPlane(DrivenPlane):
    """A driven plane with real repositories and processes."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        # a test that shares a database passes the settings of all its databases
        own = {} if "database_url" in settings else own_database(folder / "data")
        # no sandbox: these tests look at agents' processes from outside
        usual: dict[str, Any] = QUIET | own | {"sandbox": "none"}
        super().__init__(Settings(data_dir=folder / "data", **usual | settings), clock=Clock())
        self.folder = folder
        # the database, of whatever kind, is this test's own: no lease is needed
        self.leases.is_alone |= "database_url" not in settings
        put_database(self.settings)
        self.migrate()
        self.services.sweep.open()
        self.leases.renew_once(self.clock())
        self.person = self.services.accounts.operator(self.clock()).id
        # as at every start
        self.services.directory.load()
        self.ears = Ears(self.adapters.engine, lambda run_id: self.run(run_id).supervisor)

    def add_project(
        self, agent: str | list[str] = COMMIT, *, origin: Path | None = None, **settings: Any
    ) -> Project:
        """Register a project with a real repository, by default a new one."""
        if origin is None:
            count = len(self.ledgers.projects.all())
            origin = make_origin(self.folder / f"origin{count}")
        name = settings.pop("name", origin.name)
        return self.register(str(origin), agent, name, settings)

    def see_end(self, run: Run) -> Run:
        """Wait until none of the run's processes is left, then reap it as a sweep does."""
        self.ears.wait_for(run.id, "gone")
        return self.reap(run)

    def copy(self, run: Run) -> Path:
        """Return the path of the run's working copy, whether it still exists or not."""
        return self.adapters.copies.path(run.id)

    def end_processes(self) -> set[str]:
        """Kill all live processes of runs; return the ids of runs that still have some."""
        engine, runs = self.adapters.engine, self.ledgers.runs
        for _ in range(TRIES):
            if not (owned := engine.owned()):
                return set()
            for run_id in owned:
                run = runs.find(run_id)
                engine.kill(run_id, run.supervisor if run else None)
        return engine.owned()


@contextmanager
def real_plane(folder: Path, **settings: Any) -> Iterator[RealPlane]:
    """Run a control plane for the length of a test; its processes end with it."""
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
