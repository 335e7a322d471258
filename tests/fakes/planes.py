"""A complete Runyard over an in-memory world: only the adapters are fakes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.config import Settings
from app.control_plane import ControlPlane
from app.domain.words import Trigger
from app.records.tables import Project, Run
from app.services.context import Adapters
from app.services.ports import IdentityProvider, Notifier, Pusher, Sandbox
from app.services.runs.requests import Requester
from tests.builders.databases import own_database, put_database
from tests.drivers.planes import COMMIT, QUIET, Clock, DrivenPlane
from tests.fakes.acting import act
from tests.fakes.engine import FakeEngine
from tests.fakes.world import FakeCopies, FakeMirrors, FakeSandbox, World


class FakePlane(ControlPlane):
    """A control plane over an in-memory world."""

    clock: Clock

    def __init__(
        self,
        folder: Path,
        world: World,
        *,
        notifier: Notifier | None = None,
        pusher: Pusher | None = None,
        identity_provider: IdentityProvider | None = None,
        surrounds: Sandbox | None = None,
        **wishes: Any,
    ) -> None:
        usual: dict[str, Any] = {"run_quota": 10_000, "repo_concurrency": 50}
        usual |= {} if "database_url" in wishes else own_database(folder)
        chosen = Settings(data_dir=folder, **QUIET | usual | wishes)
        put_database(chosen)

        def adapt(picked: Adapters) -> Adapters:
            faked = _faked(picked, world, surrounds)
            return replace(
                faked,
                notifier=notifier or picked.notifier,
                pusher=pusher or picked.pusher,
                identity_provider=identity_provider or picked.identity_provider,
            )

        super().__init__(chosen, clock=Clock(), adapt=adapt)
        # the database, of whatever kind, is this test's own: no lease is needed
        self.leases.is_alone |= "database_url" not in wishes
        self.services.sweep.open()
        self.leases.renew_once(self.clock())
        self.person = self.services.accounts.operator(self.clock()).id
        # as at every start
        self.services.directory.load()

    def rest(self) -> None:
        """Wait until no background duty is left."""
        assert self.workers.finish(20)

    def tick(self) -> None:
        """Advance the clock by a second and run one whole sweep."""
        self.clock.advance(1)
        self.services.sweep.tick_once(self.clock())
        self.rest()

    def add_project(self, world: World, **settings: Any) -> Project:
        """Register a project and check that it is ready."""
        name = f"yard{len(self.ledgers.projects.all())}"
        origin = world.add_origin(f"/{name}")
        settings = {"agent_command": ["/bin/true"]} | settings
        made = self.services.projects.add(name, origin, self.clock(), **settings)
        self.rest()
        project = self.ledgers.projects.find(made.id)
        assert project is not None
        assert project.state == "ready", project.state_because
        return project

    def add_issue(self, project: Project) -> int:
        """Add an issue labelled `ready-for-agent`; return its number."""
        labels = ["ready-for-agent"]
        return self.services.issues.add(project.id, "Mend it", "", labels, self.clock()).number

    def requester(self) -> Requester:
        """Return the operator as the requester of a manual run."""
        return Requester(self.person, Trigger.MANUAL, None, "test", {"environment": "test"})


class TwinPlane(DrivenPlane):
    """The in-memory twin of `RealPlane`: agents act when a test waits for their end."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.world = World()
        usual: dict[str, Any] = QUIET | own_database(folder / "data") | {"sandbox": "none"}
        chosen = Settings(data_dir=folder / "data", **usual | settings)
        put_database(chosen)
        super().__init__(
            chosen, clock=Clock(), adapt=lambda picked: _faked(picked, self.world, None)
        )
        # the database, of whatever kind, is this test's own: no lease is needed
        self.leases.is_alone = True
        self.services.sweep.open()
        self.leases.renew_once(self.clock())
        self.person = self.services.accounts.operator(self.clock()).id
        # as at every start
        self.services.directory.load()

    def add_project(self, agent: str | list[str] = COMMIT, **settings: Any) -> Project:
        """Register a project with a new repository of this world."""
        count = len(self.ledgers.projects.all())
        name = settings.pop("name", f"origin{count}")
        origin = self.world.add_origin(f"/{name}")
        return self.register(origin, agent, name, settings)

    def see_end(self, run: Run) -> Run:
        """Let the agent act to its end, then reap the run as a sweep does."""
        act(self.world, run.id)
        return self.reap(run)


@contextmanager
def twin_plane(folder: Path, **settings: Any) -> Iterator[TwinPlane]:
    """Run an in-memory control plane for the length of a test."""
    plane = TwinPlane(folder, **settings)
    try:
        yield plane
        plane.rest()
    finally:
        plane.stop()


def _faked(picked: Adapters, world: World, surrounds: Sandbox | None) -> Adapters:
    return replace(
        picked,
        mirrors=FakeMirrors(world),
        copies=FakeCopies(world),
        engine=FakeEngine(world),
        sandbox=surrounds or FakeSandbox(),
    )
