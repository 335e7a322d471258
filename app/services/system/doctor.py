"""Doctor: findings about this machine and server, each with its remedy."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from app.domain.formatting import size_words
from app.domain.quota import LimitsMode
from app.domain.sandbox.levels import OPENS, UNSANDBOXED, SandboxLevel
from app.records.database.integrity import Backup, StoreFacts
from app.services.ports import AgentFinding, Agents, Capability, SignedIn, root_remedy

PYTHON_FLOOR = (3, 11)
GIT_FLOOR = (2, 38)
NICEGUI_FLOOR = (3, 17)
SQLITE_FLOOR = (3, 35)
# F43: older ones may lose a write if several programs close a write-ahead log at once
SQLITE_SAFE = (3, 51, 3)
DISK_FLOOR = 1024**3
FRESH_FOR = timedelta(minutes=5)
SERVER = "server"
STUCK_SHOWN = 5


class Level(StrEnum):
    """Severity of a finding; `none` is for something absent that is not required."""

    OK = "ok"
    LOOK = "look"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True)
class Checked:
    """One finding: the check, its result, the remedy, and the agent or part it is about."""

    level: Level
    check: str
    found: str
    advice: str = ""
    about: str = "machine"


def agent_findings(agent: AgentFinding) -> Iterator[Checked]:
    """Yield one agent's findings, in the order in which to fix them."""
    if agent.path is None:
        yield Checked(Level.NONE, "program", "not installed", agent.install, agent.name)
        return
    yield _program(agent, agent.path)
    yield _sign_in(agent)
    yield _flags(agent)
    if agent.root_variable:
        yield Checked(
            Level.LOOK,
            "root",
            "it refuses to run as root outside a sandbox",
            root_remedy(agent.root_variable),
            agent.name,
        )


def _program(agent: AgentFinding, path: str) -> Checked:
    level, advice = Level.OK, ""
    if agent.version is None:
        level, advice = Level.UNKNOWN, "Reading its version took too long; check again later."
    elif not agent.version:
        level, advice = (
            Level.LOOK,
            f"No version reported: run `{path} --version`.",
        )
    elif agent.is_old:
        level = Level.LOOK
        advice = f"Older than {agent.floor}, the oldest version known to work: `{agent.install}`"
    found = f"{agent.version or 'version unknown'} · {path}"
    return Checked(level, "program", found, advice, agent.name)


def _sign_in(agent: AgentFinding) -> Checked:
    how = agent.sign_in
    level, word, advice = {
        SignedIn.YES: (Level.OK, "signed in", ""),
        SignedIn.NO: (Level.LOOK, "signed out", how),
        SignedIn.UNKNOWN: (
            *(Level.UNKNOWN, "cannot tell"),
            f"If it is signed out: {how[:1].lower()}{how[1:]}",
        ),
    }[agent.signed_in]
    return Checked(level, "sign-in", f"{word}: {agent.evidence}", advice, agent.name)


def _flags(agent: AgentFinding) -> Checked:
    if agent.unknown_flags is None:
        found, advice = "cannot tell: its help could not be read", "Its first run will show it."
        return Checked(Level.UNKNOWN, "flags", found, advice, agent.name)
    if not agent.unknown_flags:
        found = f"all supported, as in {agent.seen_with}"
        return Checked(Level.OK, "flags", found, "", agent.name)
    found = f"its help does not list {', '.join(agent.unknown_flags)}"
    advice = f"Install the version that Runyard was tried with: {agent.seen_with}."
    return Checked(Level.LOOK, "flags", found, advice, agent.name)


@dataclass(frozen=True)
class DoctorChecks:
    """Facts about the server that doctor checks.

    `is_open`: other machines can reach its address. `has_unnamed_proxy`: everybody seems to come
    from the proxy's. `private` are files and folders that are for its user alone. The callables are
    called at each examination: `kept` (how long logs are kept, and what is removed next),
    `databases` (the run store second), `backup` (the newest), `git`, `sandbox`, `unsandboxed`
    (names of projects), `allowing` (`docker allowed: shop`), `limits`, `receivers` (of
    notifications, each with its problem), `stuck` (quarantined keys, with the reason).
    """

    bind: str
    is_open: bool
    runs_dir: Path
    private: dict[str, Path]
    kept: Callable[[], str]
    nicegui: tuple[int, ...]
    databases: Callable[[], list[StoreFacts]]
    backup: Callable[[], Backup | None]
    git: Callable[[], tuple[int, ...]]
    sandbox: Callable[[], Capability]
    unsandboxed: Callable[[], list[str]]
    limits: Callable[[], LimitsMode]
    receivers: Callable[[], list[tuple[str, str | None]]]
    stuck: Callable[[], list[tuple[str, str]]]
    allowing: Callable[[], list[str]] = list
    agents_needed: Callable[[], list[str]] = list
    low_disks: Callable[[], list[str]] = list
    has_unnamed_proxy: bool = False


class Look(StrEnum):
    """When doctor examines before it answers: never, if its findings are stale, or always."""

    NO = "no"
    STALE = "stale"
    ANEW = "anew"


@dataclass(frozen=True)
class Examined:
    """Doctor's findings, and when they were made (UTC, None before the first examination)."""

    items: tuple[Checked, ...] = ()
    at: datetime | None = None


class Doctor:
    """Examines the machine, one examination at a time, and remembers the findings."""

    def __init__(
        self,
        agents: Agents,
        doctor_checks: DoctorChecks,
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self._agents = agents
        self._checks = doctor_checks
        self._clock = clock
        self._on_change = on_change
        self._latest = Examined()
        self._begun = 0
        self._one_at_a_time = threading.Lock()

    def examine(self, look: Look = Look.STALE) -> Examined:
        """Return the findings; an examination takes seconds if many agents are installed."""
        if look is Look.NO or (look is Look.STALE and self._is_fresh()):
            return self._latest
        begun_before = self._begun
        with self._one_at_a_time:
            # another caller's examination will do; for ANEW only if it began after this call
            is_done = self._begun != begun_before if look is Look.ANEW else self._is_fresh()
            if not is_done:
                self._inspect()
        return self._latest

    def _inspect(self) -> None:
        self._begun += 1
        before = self._latest
        self._latest = Examined(tuple(examine(self._agents, self._checks)), self._clock())
        if self._latest.items != before.items:
            self._on_change()

    def _is_fresh(self) -> bool:
        at = self._latest.at
        return at is not None and abs(self._clock() - at) < FRESH_FOR


def examine(agents: Agents, doctor_checks: DoctorChecks) -> Iterator[Checked]:
    """Yield every finding, agents first."""
    for agent in agents.findings():
        yield from agent_findings(agent)
    yield _git(doctor_checks.git())
    yield _python()
    yield _nicegui(doctor_checks.nicegui)
    for name, facts in zip(("database", "run store"), doctor_checks.databases(), strict=False):
        yield _database(name, facts)
    yield _backup(doctor_checks.backup())
    for problem in doctor_checks.agents_needed():
        yield Checked(Level.LOOK, "agent", problem, "No run of these projects can start.", SERVER)
    yield _disk(doctor_checks.runs_dir)
    for low in doctor_checks.low_disks():
        yield Checked(Level.LOOK, "room", low, "Make room: below 64 MB nothing starts.", SERVER)
    yield from _sandbox(doctor_checks.sandbox(), doctor_checks.unsandboxed())
    for allowed in doctor_checks.allowing():
        yield Checked(Level.LOOK, "projects", allowed, f"{OPENS}.")
    yield _bind(doctor_checks.bind, is_open=doctor_checks.is_open)
    if doctor_checks.has_unnamed_proxy:
        yield _UNNAMED_PROXY
    for name, path in doctor_checks.private.items():
        yield _private(name, path)
    yield _limits(doctor_checks.limits())
    yield Checked(Level.OK, "retention", doctor_checks.kept(), about=SERVER)
    yield from _notifications(doctor_checks.receivers())
    yield from _stuck(doctor_checks.stuck())


def _git(version: tuple[int, ...]) -> Checked:
    if version >= GIT_FLOOR:
        return Checked(Level.OK, "git", _dotted(version))
    found = _dotted(version) if version else "not found"
    return Checked(Level.LOOK, "git", found, f"Install git {_dotted(GIT_FLOOR)} or newer.")


def _python() -> Checked:
    found = f"{_dotted(sys.version_info[:3])} · {sys.executable}"
    if sys.version_info >= PYTHON_FLOOR:
        return Checked(Level.OK, "python", found)
    return Checked(Level.LOOK, "python", found, f"Install Python {_dotted(PYTHON_FLOOR)} or newer.")


def _nicegui(version: tuple[int, ...]) -> Checked:
    if version >= NICEGUI_FLOOR:
        return Checked(Level.OK, "nicegui", _dotted(version))
    advice = (
        f"Older than {_dotted(NICEGUI_FLOOR)}, which fixes security holes: "
        "reinstall Runyard's packages."
    )
    return Checked(Level.LOOK, "nicegui", _dotted(version), advice)


def _database(name: str, facts: StoreFacts) -> Checked:
    size = "" if facts.size is None else f" · {size_words(facts.size)}"
    found = f"{' '.join((facts.kind, _dotted(facts.version))).strip()} · {facts.where}{size}"
    if facts.trouble:
        return Checked(Level.LOOK, name, f"{found} · cannot be changed", facts.trouble)
    if facts.network:
        advice = "It is slow and less safe there: set RUNYARD_DATA_DIR to a disk of this machine."
        return Checked(Level.LOOK, name, f"{found} · on the network ({facts.network})", advice)
    if facts.kind != "SQLite" or facts.version >= SQLITE_SAFE:
        return Checked(Level.OK, name, found)
    if facts.version < SQLITE_FLOOR:
        advice = f"Use a Python with SQLite {_dotted(SQLITE_FLOOR)} or newer."
        return Checked(Level.LOOK, name, found, advice)
    advice = (
        f"SQLite before {_dotted(SQLITE_SAFE)} has a bug in its write-ahead log: "
        "let no other program write to Runyard's database while it runs."
    )
    return Checked(Level.OK, name, found, advice)


def _backup(newest: Backup | None) -> Checked:
    if newest is None:
        found = "none in the data folder"
        return Checked(Level.NONE, "backup", found, "`runyard backup`", SERVER)
    found = f"{newest.name} · {newest.made_at:%Y-%m-%d %H:%M} UTC"
    return Checked(Level.OK, "backup", found, about=SERVER)


def _disk(folder: Path) -> Checked:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as problem:
        found = f"{folder} cannot be read: {problem.strerror}"
        return Checked(Level.UNKNOWN, "disk", found, "Check that the folder exists.")
    found = f"{size_words(free)} free in {folder}"
    if free >= DISK_FLOOR:
        return Checked(Level.OK, "disk", found)
    return Checked(Level.LOOK, "disk", found, "Make room, or move RUNYARD_RUNS_DIR elsewhere.")


def _sandbox(here: Capability, unsandboxed: list[str]) -> Iterator[Checked]:
    """Yield findings on the sandbox levels available here and on unsandboxed projects."""
    can_contain = here.can(SandboxLevel.CONTAINED)
    held = [
        f"{level} by {here.means}" if here.can(level) else f"{level}: not on this machine"
        for level in (SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED)
    ]
    remedy = f"{here.because} {here.remedy}".strip()
    yield Checked(Level.OK if can_contain else Level.LOOK, "sandbox", " · ".join(held), remedy)
    if unsandboxed:
        # not a command: while a project is unsandboxed, the token alone cannot change a level
        change = f"Choose Contained in the browser, in the settings of {unsandboxed[0]}."
        found = f"{UNSANDBOXED}: {', '.join(unsandboxed)}"
        yield Checked(Level.LOOK, "projects", found, change if can_contain else "")


def _bind(address: str, *, is_open: bool) -> Checked:
    if not is_open:
        reach = "behind a proxy" if address.startswith("https:") else "this machine only"
        return Checked(Level.OK, "bind", f"{address} · {reach}", about=SERVER)
    advice = "Other machines can reach it: set RUNYARD_HOST=127.0.0.1."
    return Checked(Level.LOOK, "bind", address, advice, SERVER)


_UNNAMED_PROXY = Checked(
    Level.LOOK,
    "proxies",
    "none is named: everybody has the address of the proxy",
    "Set RUNYARD_TRUSTED_PROXIES to the proxy's address, such as 127.0.0.1.",
    SERVER,
)


def _private(name: str, path: Path) -> Checked:
    try:
        status = path.stat()
    except FileNotFoundError:
        return Checked(Level.NONE, name, f"{path} · made at the first start", about=SERVER)
    except OSError as problem:
        found = f"{path} cannot be read: {problem.strerror}"
        return Checked(Level.LOOK, name, found, "Check who owns it.", SERVER)
    mode, wanted = status.st_mode & 0o777, 0o700 if path.is_dir() else 0o600
    found = f"{path} · {mode:o}"
    if mode & 0o077:
        return Checked(Level.LOOK, name, found, f"chmod {wanted:o} {path}", SERVER)
    return Checked(Level.OK, name, found, about=SERVER)


def _limits(mode: LimitsMode) -> Checked:
    if mode is not LimitsMode.DEGRADED:
        return Checked(Level.OK, "limiter mode", mode, about=SERVER)
    return Checked(
        Level.LOOK,
        "limiter mode",
        "limits degraded: Redis does not answer",
        "Limits stay exact: the database counts alone until Redis answers again.",
        SERVER,
    )


def _notifications(receivers: list[tuple[str, str | None]]) -> Iterator[Checked]:
    if not receivers:
        found = "off · RUNYARD_NOTIFY_URLS names no receiver"
        yield Checked(Level.NONE, "notifications", found, about=SERVER)
    for shown, problem in receivers:
        level = Level.OK if problem is None else Level.LOOK
        yield Checked(level, "notifications", shown, problem or "", SERVER)


def _stuck(held: list[tuple[str, str]]) -> Iterator[Checked]:
    for key, because in held[:STUCK_SHOWN]:
        advice = f"Once it is fixed: `runyard stuck retry {key}`"
        found = f"{key} failed again and again: {because}"
        yield Checked(Level.LOOK, "stuck", found, advice, SERVER)
    if (more := len(held) - STUCK_SHOWN) > 0:
        yield Checked(Level.LOOK, "stuck", f"and {more} more", "`runyard stuck list`", SERVER)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
