"""The adapters of a server, its ids on this machine, and its clocks."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING

from app import __version__
from app.adapters.agents.forge_sign_ins import ForgeSignIns
from app.adapters.agents.presets import AgentPresets
from app.adapters.agents.private_homes import PrivateHomes
from app.adapters.engine.local import LocalEngine
from app.adapters.engine.processes import ProcessTable
from app.adapters.engine.records import LocalRunFolders
from app.adapters.engine.run_groups import tend_groups
from app.adapters.forge.builtin import BuiltinForge
from app.adapters.forge.registry import ForgeRegistry
from app.adapters.git.command import Git, read_identity
from app.adapters.git.mirrors import GitMirrors
from app.adapters.git.own_repositories import make_demo_repository, read_commit
from app.adapters.git.working_copies import GitWorkingCopies
from app.adapters.machine.secret_box import SecretBox
from app.adapters.notifications.apprise import AppriseNotifier
from app.adapters.notifications.web_push import WebPush
from app.adapters.people.openid_provider import OpenIdProvider
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.adapters.supervisor.kernel import hide_memory
from app.config import Settings
from app.domain.notifications import secrets_of_receiver
from app.domain.quota import Counted
from app.domain.secret_masks import Secret, secret_in
from app.folder_locks import LINK_LOCK, holder_of
from app.records.database.database import Database, DatabaseSilent
from app.records.database.sqlite_files import file_of
from app.records.people.reach import REACH
from app.records.projects.forge_ledger import ForgeLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.tables import ForgeServer
from app.server.startup import address_of, is_open, link_address_of
from app.services.context import Adapters, Here, Identity, Machine
from app.services.secret_values import SecretValues

if TYPE_CHECKING:
    from app.adapters.counters.redis_sets import RedisSets
    from app.adapters.counters.redis_windows import RedisWindows


ROOT = Path(__file__).parent.parent.parent
ASSETS = ROOT / "assets"


def pick_adapters(settings: Settings, tracker: TrackerLedger, forges: ForgeLedger) -> Adapters:
    """Create the adapters of this machine.

    `tracker` stores the built-in tracker's issues, `forges` the forges with their tokens.
    """
    box = SecretBox(settings.secret_key)
    registry = ForgeRegistry(
        builtin := BuiltinForge(tracker), tracker, partial(_forges_in, forges), box.unseal
    )
    root, git = settings.runs_root, Git(read_identity(), sign_in=registry.sign_in)
    mirrors = GitMirrors(root / "mirrors", git=git)
    agents = AgentPresets(os.environ)
    copies = GitWorkingCopies(root / "copies", root / "mirrors", git=git)
    sandbox = _sandbox(settings)
    homes = PrivateHomes(root / "homes", os.environ, lambda: datetime.now(UTC))
    sign_ins = ForgeSignIns(lent := root / "forge-sign-ins", os.environ)
    secrets = _secrets(settings, agents, homes, registry, _lent_tokens(sign_ins, lent))
    machine, records = _machine(settings, git), root / "records"
    instance = machine.here.instance
    return Adapters(
        mirrors=mirrors,
        copies=copies,
        engine=LocalEngine(records, instance=instance, sandbox=sandbox, secrets=secrets.all),
        agents=agents,
        forge_of=lambda project: builtin if project.forge_id is None else registry.of(project),
        forges=registry,
        secret_box=box,
        sandbox=sandbox,
        homes=homes,
        sign_ins=sign_ins,
        notifier=AppriseNotifier(),
        pusher=WebPush(),
        identity_provider=_identity_provider(settings),
        run_folders=LocalRunFolders(records),
        machine=machine,
        counters=_pick_counters(settings),
        active_sets=_pick_sets(settings),
        secrets=secrets,
        clearings=(
            copies.clear_leftovers,
            lambda _: mirrors.clear_leftovers(),
            lambda _: homes.clear_leftovers(),
            partial(tend_groups, instance),
        ),
    )


def _sandbox(settings: Settings) -> MachineSandbox:
    allows_none = settings.public_url is None or settings.allow_unsandboxed
    return MachineSandbox(own_places(settings), os.environ, allows_none=allows_none)


def _identity_provider(settings: Settings) -> OpenIdProvider | None:
    secret = settings.oidc_client_secret
    if settings.oidc_issuer is None or settings.oidc_client_id is None or secret is None:
        return None
    told = settings.oidc_issuer, settings.oidc_client_id, secret.get_secret_value()
    return OpenIdProvider(*told, lambda: datetime.now(UTC))


def _lent_tokens(sign_ins: ForgeSignIns, lent: Path) -> Callable[[], tuple[Secret, ...]]:
    # most servers lend none: then no start of a run asks
    return lambda: sign_ins.secrets() if lent.is_dir() else ()


def _secrets(
    settings: Settings,
    agents: AgentPresets,
    homes: PrivateHomes,
    registry: ForgeRegistry,
    lent: Callable[[], tuple[Secret, ...]],
) -> SecretValues:
    return SecretValues(
        agents.secrets, homes.secrets, lambda: _own_secrets(settings), lambda: registry.tokens, lent
    )


def _forges_in(ledger: ForgeLedger) -> list[ForgeServer] | None:
    """Return the stored forges, None if the database does not answer."""
    mark = REACH.set(None)  # the adapters keep them for everybody
    try:
        return ledger.all()
    except DatabaseSilent:
        return None
    finally:
        REACH.reset(mark)


def _machine(settings: Settings, git: Git) -> Machine:
    here, places, demo = find_place(settings), own_places(settings), ASSETS / "demo"
    return Machine(
        here=here,
        address=link_address_of(settings),
        own_address=address_of(settings),
        is_open=settings.public_url is None and is_open(settings.host),
        private=(*places.folders, *places.databases),
        git_version=git.version,
        seconds_ahead=slip,
        is_of_a_run=ProcessTable(here.instance).is_of_a_run,
        link_reader=partial(holder_of, settings.data_root / LINK_LOCK),
        make_demo_repository=partial(make_demo_repository, git, demo / "repository"),
        demo_agent=demo / "agent.py",
    )


def identify(settings: Settings, database: Database) -> Identity:
    """Return this server's identity, as recorded in the provenance of runs."""
    return Identity(
        environment=settings.environment,
        version=__version__,
        commit=read_commit(ROOT / ".git"),
        database=database.kind,
        host=socket.gethostname(),
    )


def close_own_memory() -> None:
    """Close this server's memory, environment and open files to its user's other processes."""
    hide_memory()


def own_places(settings: Settings) -> OwnPlaces:
    """Return the places of this server that no agent may see."""
    addresses = filter(None, (settings.database, settings.runs_database_url))
    databases = [file for address in addresses if (file := file_of(address)) is not None]
    key = [] if settings.secret_key_file is None else [settings.secret_key]
    return OwnPlaces((settings.data_root, settings.runs_root), (*databases, *key))


def _own_secrets(settings: Settings) -> Iterator[Secret]:
    """Yield the secrets with which this server itself signs in elsewhere."""
    for url in settings.notify_urls:
        for part in secrets_of_receiver(url.get_secret_value()):
            yield Secret("a notification address", part)
    if settings.oidc_client_secret is not None:
        yield Secret(
            "the identity provider's secret", settings.oidc_client_secret.get_secret_value()
        )
    for name in ("database_url", "runs_database_url", "redis_url"):
        found = secret_in(name, getattr(settings, name) or "")
        if found is not None:
            yield found


def _pick_counters(settings: Settings) -> RedisWindows | None:
    """Return the Redis counters of accepted runs and batches, None without Redis."""
    if settings.redis_url is None:
        return None
    # imported only if used: it takes as long to load as a page takes to draw
    from app.adapters.counters.redis_windows import RedisWindows

    seconds = {Counted.RUNS: settings.run_window, Counted.BATCHES: settings.batch_window}
    return RedisWindows(settings.redis_url, seconds)


def _pick_sets(settings: Settings) -> RedisSets | None:
    """Return the Redis sets of each repository's active runs, None without Redis."""
    if settings.redis_url is None:
        return None
    from app.adapters.counters.redis_sets import RedisSets

    return RedisSets(settings.redis_url)


def find_place(settings: Settings) -> Here:
    """Return the ids of this server and of what it starts, created at the first start."""
    # servers share processes only if they share both the runs folder and the database; the data
    # folder's own database needs no digest, which would depend on the path to the folder
    named = settings.database_url is not None
    digest = hashlib.sha256(settings.database_place.encode()).hexdigest()[:12]
    mark = f"instance-{digest}" if named else "instance"
    return Here(
        host=socket.gethostname(),
        instance=_mark(settings.runs_root / mark),
        server=_mark(settings.data_root / "server"),
    )


def _mark(file: Path) -> str:
    """Return the random id in a file; create it atomically if it is missing."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_text(token_hex(8))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
        fresh.unlink()
    return file.read_text().strip()


def wall_clock() -> datetime:
    """Return the time now, UTC."""
    return datetime.now(UTC)


def slip() -> float:
    """Return the seconds by which the wall clock is ahead of the monotonic clock.

    The value changes only when the machine sleeps or its wall clock is set.
    """
    return datetime.now(UTC).timestamp() - monotonic()
