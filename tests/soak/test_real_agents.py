"""The real command lines, installed in the versions that the presets quote, and signed out.

They are kept in the user's cache folder; skipped where npm or its registry is not available.
Observed on a machine without a network: claude and gemini say that they are signed out, and exit;
codex retries its model again and again; opencode prints nothing at all.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
import pytest

from app.adapters.agents.catalogue.preset import Preset, built_in
from app.adapters.agents.presets import AgentPresets
from app.domain.agents.final_output import Failure
from app.domain.agents.reports import Tally
from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.rules import RunFacts, classify
from app.domain.sandbox.levels import SandboxLevel
from app.domain.words import Cause
from app.services.ports import AgentFinding, Job, SignedIn
from tests.builders.repositories import make_origin
from tests.drivers.sandboxes import PLAIN, ROOT, trial_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

BY_NPM = "npm install -g "
INSTALL_SECONDS = 600
# some unpack themselves at their first start
START_SECONDS = 30
NAMES = ("claude", "codex", "gemini", "opencode")
CHOSEN = [preset for preset in built_in() if preset.name in NAMES]
SESSIONS = {"opencode": "ses_3b11bfdcdffeITCXse4fCuIRnU"}
UNKNOWN_WORDS = ("unknown option", "unexpected argument", "unknown argument", "unknown command")


def package_of(preset: Preset) -> str:
    """Return its npm package, in the version that the preset quotes."""
    return f"{preset.install.removeprefix(BY_NPM)}@{preset.version}"


@pytest.fixture(scope="module")
def programs() -> Path:
    """The folder of the installed programs."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on this machine: the real agents were not tried")
    packages = [package_of(preset) for preset in CHOSEN]
    mark = "-".join(package.rpartition("@")[2] for package in packages)
    folder = Path(platformdirs.user_cache_dir("runyard-tests", appauthor=False)) / mark
    programs = folder / "node_modules" / ".bin"
    if not all((programs / preset.executable).exists() for preset in CHOSEN):
        folder.mkdir(parents=True, exist_ok=True)
        argv = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", *packages]
        answer = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_SECONDS
        )
        if answer.returncode != 0:
            pytest.skip(f"npm could not install the real agents: {answer.stderr[-500:]!r}")
    return programs


@pytest.fixture
def agents(programs: Path, tmp_path: Path) -> AgentPresets:
    """The presets of these programs, with a home that was never signed in to anything."""
    home = tmp_path / "home"
    home.mkdir()
    path = f"{programs}:{os.environ['PATH']}"
    return AgentPresets({"PATH": path, "HOME": str(home), "IS_SANDBOX": "1"}, CHOSEN)


def found_of(agents: AgentPresets, name: str) -> AgentFinding:
    [finding] = [one for one in agents.findings() if one.name == name]
    return finding


@pytest.mark.parametrize("preset", CHOSEN, ids=lambda preset: preset.name)
def test_doctor_knows_the_real_program(agents: AgentPresets, preset: Preset) -> None:
    finding = found_of(agents, preset.name)
    assert (finding.version, finding.is_old) == (preset.version, False)
    assert finding.unknown_flags == ()
    expected = SignedIn.NO if preset.sign_in.is_whole else SignedIn.UNKNOWN
    assert finding.signed_in is expected
    unready = agents.unready(preset.name, None)
    assert (unready.cause if unready else None) == (Cause.AUTH if preset.sign_in.is_whole else None)


@pytest.mark.parametrize("preset", CHOSEN, ids=lambda preset: preset.name)
def test_its_command_line_is_taken_and_being_signed_out_is_told(
    agents: AgentPresets, preset: Preset, tmp_path: Path
) -> None:
    copy = make_origin(tmp_path / "copy")
    job = Job("Say hello.", tmp_path / "prompt", copy, "main", None, None)
    code, output = run(agents, preset, job, copy)
    tally, reader = Tally(), agents.reader(preset.name)
    assert reader is not None
    for event in [*reader.feed(output), *reader.finish()]:
        tally.add(event)
    word = tally.report.last_word
    if code is None:
        # it never exits by itself: the project's stall time would end it
        assert word.failure in (Failure.AUTH, Failure.NETWORK, None)
        assert word.failure is not None or not output
        return
    failure = word.failure or agents.exit_failure(preset.name, code)
    now = datetime.now(UTC)
    facts = RunFacts(
        delivered=False,
        exit=ExitRecord(code, None, ExitReason.EXITED, now),
        alive=False,
        now=now,
        deadline=None,
        word=replace(word, failure=failure),
    )
    assert classify(facts).cause in (Cause.AUTH, Cause.NETWORK)


@pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed: nothing was sandboxed"
)
@pytest.mark.parametrize("level", [SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED])
@pytest.mark.parametrize("preset", CHOSEN, ids=lambda preset: preset.name)
def test_it_starts_inside_a_sandbox_from_a_home_folder(
    programs: Path, preset: Preset, level: SandboxLevel
) -> None:
    with trial_of(ROOT if os.geteuid() == 0 else PLAIN) as trial:
        asked = {"project": "proj_1" if level is SandboxLevel.SANDBOXED else "", "budget": 60}
        agent = {"agent": preset.name, "env": {"IS_SANDBOX": "1"}}
        argv = [str(programs / preset.executable), "--version"]
        tried = trial.run("", level, argv=argv, **asked, **agent)
        assert (tried.code, preset.version in tried.log) == (0, True), tried
        if preset.name == "claude":
            argv = [argv[0], "-p", "--dangerously-skip-permissions", "Say hello."]
            tried = trial.run("", level, argv=argv, run="run_2", **asked, **agent)
            # as root it refuses, unless it knows that it is in a sandbox
            assert "root" not in tried.log
            assert "log" in tried.log.lower(), tried


@pytest.mark.parametrize("preset", CHOSEN, ids=lambda preset: preset.name)
def test_its_line_that_goes_on_with_a_session_is_taken(
    agents: AgentPresets, preset: Preset, tmp_path: Path
) -> None:
    copy = make_origin(tmp_path / "copy")
    session = SESSIONS.get(preset.name, "01a1fd75-982a-7e40-a45e-36eae85e1a6c")
    job = Job("Say hello.", tmp_path / "prompt", copy, "main", None, None, session=session)
    # no such session exists: a program that reports this has understood its command line
    run(agents, preset, job, copy)


def run(agents: AgentPresets, preset: Preset, job: Job, folder: Path) -> tuple[int | None, bytes]:
    """Run its command and check that it is understood; return the exit code and the output.

    The exit code is None if the program had to be killed.
    """
    environment = agents.environment(preset.name)
    argv = agents.command(preset.name, job, None)
    program = shutil.which(argv[0], path=environment["PATH"])
    assert program is not None
    log = folder.parent / "log"
    job.prompt_file.write_text(job.prompt)
    given = job.prompt_file if agents.reads_stdin(preset.name) else Path(os.devnull)
    with log.open("wb") as file, given.open("rb") as prompt:
        asked = subprocess.Popen(
            [program, *argv[1:]],
            stdin=prompt,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    with asked:
        try:
            code: int | None = asked.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
            os.killpg(asked.pid, signal.SIGKILL)
    output = log.read_bytes()
    told = output.decode(errors="replace").lower()
    assert [words for words in UNKNOWN_WORDS if words in told] == []
    assert code not in (2, 127)
    return code, output
