"""Doctor: labels, the time of a check, and one check shared by concurrent requests."""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.agents.presets import AgentPresets
from app.domain.quota import LimitsMode
from app.domain.sandbox.levels import Means, SandboxLevel
from app.records.database.integrity import Backup, StoreFacts
from app.services.ports import AgentFinding, Capability, SignedIn
from app.services.system import doctor as doctor_module
from app.services.system.doctor import Checked, Doctor, DoctorChecks, Look, agent_findings, examine
from tests.drivers.planes import Clock

SOUND = AgentFinding(
    *("codex", "npm install -g it", "/bin/codex", "0.169.0"),
    floor="0.124.0",
    seen_with="0.169.0",
    unknown_flags=(),
    signed_in=SignedIn.YES,
    evidence="CODEX_API_KEY is set",
    sign_in="Run `codex login`.",
)
AGENTS = {
    "absent": (AgentFinding("codex", "npm install -g it"), "program", "none", "npm install -g it"),
    "sound": (SOUND, "program", "ok", ""),
    "old": (replace(SOUND, is_old=True), "program", "look", "npm install -g it"),
    "silent": (replace(SOUND, version=""), "program", "look", "/bin/codex --version"),
    "slow": (replace(SOUND, version=None), "program", "unknown", "check again"),
    "in": (SOUND, "sign-in", "ok", ""),
    "out": (replace(SOUND, signed_in=SignedIn.NO), "sign-in", "look", "Run `codex login`."),
    "perhaps": (
        *(replace(SOUND, signed_in=SignedIn.UNKNOWN), "sign-in", "unknown"),
        "If it is signed out: run `codex login`.",
    ),
    "flags": (SOUND, "flags", "ok", ""),
    "no flag": (replace(SOUND, unknown_flags=("--json",)), "flags", "look", "0.169.0"),
    "no help": (replace(SOUND, unknown_flags=None), "flags", "unknown", "first run"),
    "root": (replace(SOUND, root_variable="IS_SANDBOX"), "root", "look", "set IS_SANDBOX=1"),
}


@pytest.mark.parametrize("name", AGENTS)
def test_each_finding_of_an_agent_says_how_to_mend_it(name: str) -> None:
    agent, check, level, advice = AGENTS[name]
    [found] = [one for one in agent_findings(agent) if one.check == check]
    assert (found.level, found.about) == (level, "codex")
    assert advice in found.advice
    assert bool(found.advice) is bool(advice)


@pytest.fixture
def doctor_checks(tmp_path: Path) -> DoctorChecks:
    (tmp_path / "token").touch(0o600)
    tmp_path.chmod(0o700)
    return DoctorChecks(
        bind="127.0.0.1:8080",
        is_open=False,
        runs_dir=tmp_path,
        private={"data folder": tmp_path, "token": tmp_path / "token"},
        kept=lambda: "logs: 30 days",
        databases=lambda: [FILE],
        backup=lambda: Backup("runyard-1.zip", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        nicegui=(3, 18, 0),
        git=lambda: (2, 39, 5),
        sandbox=lambda: EVERYTHING,
        unsandboxed=list,
        limits=lambda: LimitsMode.TABLE,
        receivers=lambda: [("slack://…", None)],
        stuck=list,
    )


LEVELS = (SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED)
EVERYTHING = Capability(Means.BUBBLEWRAP, LEVELS)
HALF = Capability(Means.NAMESPACES, LEVELS[:1], "It is not installed.", "Install bubblewrap.")
NOTHING = Capability(None, (), "It is not installed.", "Install bubblewrap.")
NOBODY = AgentPresets({}, [])
FILE = StoreFacts("SQLite", "/data/runyard.db", (3, 52, 0), 3 * 1024**2, "")
SERVER = StoreFacts("PostgreSQL", "runyard on db.example", (15, 4), 5 * 1024**3, "")


def test_a_database_is_told_with_its_version_its_place_and_its_size(
    doctor_checks: DoctorChecks,
) -> None:
    both = replace(doctor_checks, databases=lambda: [FILE, SERVER])
    found = {one.check: one.found for one in examine(NOBODY, both)}
    assert found["database"] == "SQLite 3.52.0 · /data/runyard.db · 3.1 MB"
    assert found["run store"] == "PostgreSQL 15.4 · runyard on db.example · 5.4 GB"
    assert found["backup"] == "runyard-1.zip · 2026-01-02 03:04 UTC"


def level_of(doctor_checks: DoctorChecks, check: str) -> tuple[str, str]:
    [found] = [one for one in examine(NOBODY, doctor_checks) if one.check == check]
    return found.level, found.advice


def open_token(doctor_checks: DoctorChecks) -> DoctorChecks:
    doctor_checks.private["token"].chmod(0o644)
    return doctor_checks


def open_folder(doctor_checks: DoctorChecks) -> DoctorChecks:
    doctor_checks.private["data folder"].chmod(0o755)
    return doctor_checks


def lose_token(doctor_checks: DoctorChecks) -> DoctorChecks:
    doctor_checks.private["token"].unlink()
    return doctor_checks


def having(**parts: object) -> Callable[[DoctorChecks], DoctorChecks]:
    return lambda doctor_checks: replace(doctor_checks, **parts)


MACHINE = {
    "sound git": (having(), "git", "ok", ""),
    "old git": (having(git=lambda: (2, 37, 1)), "git", "look", "Install git 2.38 or newer."),
    "no git": (having(git=tuple), "git", "look", "Install git 2.38 or newer."),
    "nicegui": (having(), "nicegui", "ok", ""),
    "old nicegui": (having(nicegui=(3, 9, 1)), "nicegui", "look", "install Runyard's packages"),
    "python": (having(), "python", "ok", ""),
    "open": (having(is_open=True), "bind", "look", "set RUNYARD_HOST=127.0.0.1"),
    "closed": (having(), "bind", "ok", ""),
    "behind a proxy": (having(bind="https://runyard.example.org"), "bind", "ok", ""),
    "token": (having(), "token", "ok", ""),
    "open token": (open_token, "token", "look", "chmod 600 "),
    "open folder": (open_folder, "data folder", "look", "chmod 700 "),
    "no token": (lose_token, "token", "none", ""),
    "sandbox": (having(), "sandbox", "ok", ""),
    "no sandbox": (having(sandbox=lambda: NOTHING), "sandbox", "look", "Install bubblewrap."),
    "half a sandbox": (having(sandbox=lambda: HALF), "sandbox", "ok", "Install bubblewrap."),
    "unsandboxed": (
        having(unsandboxed=lambda: ["my shop", "till"]),
        *("projects", "look", "Choose Contained in the browser, in the settings of my shop."),
    ),
    "unsandboxed, and no way": (
        having(sandbox=lambda: NOTHING, unsandboxed=lambda: ["till"]),
        *("sandbox", "look", "Install bubblewrap."),
    ),
    "docker allowed": (
        having(allowing=lambda: ["docker allowed: my shop"]),
        *("projects", "look", "With these, agents can start programs outside any sandbox."),
    ),
    "limits": (having(limits=lambda: LimitsMode.DEGRADED), "limiter mode", "look", "Redis"),
    "receivers": (
        having(receivers=lambda: [("slack://…", "It cannot be used.")]),
        "notifications",
        "look",
        "It cannot be used.",
    ),
    "stuck": (
        having(stuck=lambda: [("look.run_1", "KeyError: 'x'")]),
        "stuck",
        "look",
        "runyard stuck retry look.run_1",
    ),
    "no runs folder": (having(runs_dir=Path("/no/such")), "disk", "unknown", "the folder exists"),
    "silent database": (
        having(databases=lambda: [replace(FILE, size=None, trouble="Look at the disk.")]),
        "database",
        "look",
        "Look at the disk.",
    ),
    "on the network": (
        having(databases=lambda: [replace(FILE, network="nfs4")]),
        "database",
        "look",
        "RUNYARD_DATA_DIR to a disk of this machine",
    ),
    "two databases": (having(databases=lambda: [FILE, SERVER]), "run store", "ok", ""),
    "silent run store": (
        having(databases=lambda: [FILE, replace(SERVER, version=(), size=None, trouble="Look!")]),
        "run store",
        "look",
        "Look!",
    ),
    "backup": (having(), "backup", "ok", ""),
    "no backup": (having(backup=lambda: None), "backup", "none", "runyard backup"),
    "retention": (having(), "retention", "ok", ""),
    "other database": (having(databases=lambda: [SERVER]), "database", "ok", ""),
}


@pytest.mark.parametrize("name", MACHINE)
def test_each_finding_of_the_machine_says_how_to_mend_it(
    doctor_checks: DoctorChecks, name: str
) -> None:
    change, check, level, advice = MACHINE[name]
    found, told = level_of(change(doctor_checks), check)
    assert found == level
    if name != "limits":
        assert advice in told
    assert bool(told) is bool(advice)


@pytest.mark.parametrize(
    ("version", "level", "advice"),
    [
        ((3, 51, 3), "ok", ""),
        ((3, 52, 0), "ok", ""),
        ((3, 51, 2), "ok", "let no other program write"),
        ((3, 40, 1), "ok", "let no other program write"),
        ((3, 34, 1), "look", "SQLite 3.35 or newer"),
    ],
)
def test_f43_an_sqlite_with_the_fault_of_its_log_is_warned_of(
    doctor_checks: DoctorChecks, version: tuple[int, ...], level: str, advice: str
) -> None:
    found, told = level_of(
        replace(doctor_checks, databases=lambda: [replace(FILE, version=version)]), "database"
    )
    assert found == level
    assert advice in told
    assert bool(told) is bool(advice)


def test_a_disk_that_is_nearly_full_is_to_look_at(
    doctor_checks: DoctorChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda _: usage(10, 10, 1024**2))
    assert level_of(doctor_checks, "disk")[0] == "look"


class Patient(AgentPresets):
    """Agent presets that are found once the test allows it; counts the checks."""

    def __init__(self) -> None:
        super().__init__({}, [])
        self.looks = 0
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self.found: Sequence[AgentFinding] = ()

    def findings(self) -> list[AgentFinding]:
        self.looks += 1
        self.began.set()
        assert self.may_end.wait(10)
        return list(self.found)


@pytest.fixture
def patient() -> Patient:
    return Patient()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def doctor(patient: Patient, doctor_checks: DoctorChecks, clock: Clock, told: list[str]) -> Doctor:
    return Doctor(patient, doctor_checks, clock, lambda: told.append("changed"))


@pytest.fixture
def at_once() -> Iterator[list[threading.Thread]]:
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(10)


def test_what_was_seen_is_remembered_for_a_while(
    doctor: Doctor, patient: Patient, clock: Clock
) -> None:
    assert doctor.examine(Look.NO).at is None
    assert patient.looks == 0
    first = doctor.examine()
    assert (first.at, patient.looks) == (clock(), 1)
    clock.advance(299)
    assert doctor.examine() is doctor.examine(Look.NO) is first
    clock.advance(1)
    assert doctor.examine(Look.NO) is first
    assert doctor.examine().at == clock()
    assert doctor.examine(Look.ANEW).at == clock()
    assert patient.looks == 3


def test_a_change_is_told_once(doctor: Doctor, patient: Patient, told: list[str]) -> None:
    doctor.examine(Look.ANEW)
    doctor.examine(Look.ANEW)
    assert told == ["changed"]
    patient.found = (SOUND,)
    seen = doctor.examine(Look.ANEW).items
    assert told == ["changed", "changed"]
    assert [one.check for one in seen if one.about == "codex"] == ["program", "sign-in", "flags"]


def test_one_look_does_for_all_who_ask_while_another_is_under_way(
    doctor: Doctor, patient: Patient, at_once: list[threading.Thread]
) -> None:
    patient.may_end.clear()
    seen: list[tuple[Checked, ...]] = []

    def ask(look: Look) -> None:
        seen.append(doctor.examine(look).items)

    at_once.append(threading.Thread(target=ask, args=(Look.ANEW,)))
    at_once[0].start()
    assert patient.began.wait(10)
    # requested after the first check had begun, which may have missed a recent change
    at_once += [threading.Thread(target=ask, args=(Look.ANEW,)) for _ in range(3)]
    at_once += [threading.Thread(target=ask, args=(Look.STALE,)) for _ in range(3)]
    for thread in at_once[1:]:
        thread.start()
    patient.may_end.set()
    for thread in at_once:
        thread.join(10)
    assert len(seen) == 7
    assert 2 <= patient.looks <= 4


def test_what_surrounds_agents_is_told_by_level_with_whose_agents_nothing_does(
    doctor_checks: DoctorChecks,
) -> None:
    bare = replace(doctor_checks, sandbox=lambda: HALF, unsandboxed=lambda: ["shop", "till"])
    found = {one.check: one.found for one in examine(NOBODY, bare)}
    assert found["sandbox"] == "contained by util-linux · sandboxed: not on this machine"
    assert found["projects"] == "Unsandboxed: shop, till"


def test_a_public_url_without_trusted_proxies_is_told_with_what_to_set(
    doctor_checks: DoctorChecks,
) -> None:
    def told(checks: DoctorChecks) -> list[Checked]:
        return [one for one in examine(NOBODY, checks) if one.check == "proxies"]

    assert told(doctor_checks) == []
    [found] = told(replace(doctor_checks, has_unnamed_proxy=True))
    assert (found.level, found.about) == ("look", "server")
    assert "RUNYARD_TRUSTED_PROXIES" in found.advice
