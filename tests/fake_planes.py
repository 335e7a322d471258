"""A whole Runyard over a world in memory: everything inside is real, nothing outside is."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from app.config import Settings
from app.control_plane import ControlPlane
from app.control_plane.outside import pick_adapters
from app.domain.words import Trigger
from app.records.database import Database
from app.records.migration import migrate
from app.records.tables import Project
from app.services.ports import Notifier
from app.services.trigger import Asker
from tests.fakes import FakeCopies, FakeEngine, FakeMirrors, World
from tests.planes import QUIET, Clock


@cache
def _migrated() -> Path:
    """A database with every table, made once for all stories."""
    folder = Path(tempfile.mkdtemp())
    database = Database(f"sqlite:///{folder / 'fresh.db'}", tell=lambda _: None)
    migrate(database, backups=folder, now=datetime.now(UTC))
    database.close()
    return folder / "fresh.db"


class FakePlane(ControlPlane):
    """A control plane over a world in memory."""

    clock: Clock

    def __init__(
        self, folder: Path, world: World, *, notifier: Notifier | None = None, **wishes: Any
    ) -> None:
        usual: dict[str, Any] = {"run_quota": 10_000, "repo_concurrency": 50}
        chosen = Settings(data_dir=folder, **QUIET | usual | wishes)
        adapters = pick_adapters(chosen)
        adapters = replace(
            adapters,
            mirrors=FakeMirrors(world),
            copies=FakeCopies(world),
            engine=FakeEngine(world),
            notifier=notifier or adapters.notifier,
        )
        file = make_url(chosen.database).database
        if file and not Path(file).exists():
            shutil.copyfile(_migrated(), file)
        super().__init__(chosen, clock=Clock(), adapters=adapters)
        self.services.sweep.open()
        self.leases.renew_once(self.clock())
        self.person = self.services.accounts.operator(self.clock()).id

    def rest(self) -> None:
        """Wait until no duty is left."""
        assert self.workers.finish(20)

    def tick(self) -> None:
        """One whole sweep, a second later."""
        self.clock.advance(1)
        self.services.sweep.tick_once(self.clock())
        self.rest()

    def add_project(self, world: World, **settings: Any) -> Project:
        """A project that is ready."""
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
        """An issue that is ready for an agent; its number."""
        labels = ["ready-for-agent"]
        return self.services.issues.add(project.id, "Mend it", "", labels, self.clock()).number

    def asker(self) -> Asker:
        """The operator, by hand."""
        return Asker(self.person, Trigger.MANUAL, None, "test", {"environment": "test"})
