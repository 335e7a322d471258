"""The shared parts that every capability is built from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from app.config import Settings
from app.records.feed import Feed
from app.records.projects.forge_ledger import ForgeLedger
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.runs.run_ledger import RunLedger
from app.records.stores.routing import Stores
from app.records.tables import Project
from app.services.concurrency import Locks, Workers
from app.services.ports import (
    ActiveSets,
    Agents,
    Counters,
    Engine,
    Forge,
    Forges,
    ForgeSignIns,
    Homes,
    IdentityProvider,
    Mirrors,
    Notifier,
    Pusher,
    Repository,
    Sandbox,
    SecretBox,
    WorkingCopies,
)
from app.services.ports.processes import RunFolders
from app.services.secret_values import SecretValues


@dataclass(frozen=True)
class Ledgers:
    """Ledgers of runs, projects, the built-in tracker and forges."""

    runs: RunLedger
    projects: ProjectLedger
    tracker: TrackerLedger
    forges: ForgeLedger


@dataclass(frozen=True)
class Here:
    """Identity of this server: its machine, and the mark that its runs' processes carry.

    `instance` is the same for servers that share one folder of runs.
    """

    host: str
    instance: str
    server: str


@dataclass(frozen=True)
class Identity:
    """Identity of this server, as recorded in the provenance of runs."""

    environment: str
    version: str
    commit: str
    database: str
    host: str

    def as_dict(self) -> dict[str, str]:
        """Return the fields as a dict, for a run's row."""
        return dict(self.__dict__)


# deletes leftovers of killed calls; given a test for runs that are over, returns how many
Clearing = Callable[[Callable[[str], bool]], int]


@dataclass(frozen=True)
class Machine:
    """Facts about this machine, and its few other programs that services use.

    `private` are the files and folders of this server that no agent may see. `seconds_ahead`
    returns by how much the wall clock is ahead of the monotonic clock. `is_of_a_run` says of a
    process id whether a run started it, `link_reader` returns the process that asks for a sign-in
    link, and `make_demo_repository` writes the demo's repository into a folder. Others can reach
    the `address` of an `is_open` server from other machines; programs here use `own_address`.
    """

    here: Here
    address: str
    own_address: str
    is_open: bool
    private: tuple[Path, ...]
    git_version: Callable[[], str]
    seconds_ahead: Callable[[], float]
    is_of_a_run: Callable[[int], bool]
    link_reader: Callable[[], int | None]
    make_demo_repository: Callable[[Path], None]
    demo_agent: Path


@dataclass(frozen=True)
class Adapters:
    """Everything outside Runyard, picked by the control plane.

    `forge_of` returns a project's tracker. Without `counters` and `active_sets` the tables alone
    count. `clearings` delete leftovers of killed calls: see Recovery.
    """

    mirrors: Mirrors
    copies: WorkingCopies
    engine: Engine
    agents: Agents
    forge_of: Callable[[Project], Forge]
    forges: Forges
    secret_box: SecretBox
    sandbox: Sandbox
    homes: Homes
    sign_ins: ForgeSignIns
    notifier: Notifier
    pusher: Pusher
    identity_provider: IdentityProvider | None
    run_folders: RunFolders
    machine: Machine
    counters: Counters | None = None
    active_sets: ActiveSets | None = None
    secrets: SecretValues = field(default_factory=SecretValues)
    clearings: tuple[Clearing, ...] = ()


class CallAt(Protocol):
    """Calls a duty once at a moment, on the scheduler's thread; it replaces one of this name."""

    def __call__(self, moment: datetime, duty: Callable[[], object], *, name: str) -> None:
        """Schedule the duty."""
        ...


@dataclass(frozen=True)
class Context:
    """The shared parts of one server; the first argument of every `build`.

    `inspect_run(run_id)` checks a run once more on the caller's thread; log lines within
    `speaking_for(correlation_id)` carry that id.
    """

    settings: Settings
    identity: Identity
    clock: Callable[[], datetime]
    feed: Feed
    stores: Stores
    ledgers: Ledgers
    workers: Workers
    locks: Locks
    adapters: Adapters
    call_at: CallAt
    inspect_run: Callable[[str], None]
    speaking_for: Callable[[str], AbstractContextManager[None]]


def repository_of(project: Project) -> Repository:
    """Return the fields of a project that the git adapters need."""
    agents = (project.pr_login,) if project.pr_login else ()
    return Repository(project.id, project.origin, project.owner_hooks, project.repository, agents)
