"""Detection of agents on this machine: installed, signed in, and of a known version."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from app.adapters.agents import probes
from app.adapters.agents.catalogue.preset import Preset, built_in
from app.adapters.agents.presets import AgentPresets
from app.adapters.agents.probes import find_sign_in, flags_of, is_older
from app.domain.sandbox.levels import SandboxLevel
from app.domain.words import Cause
from app.services.ports import AgentFinding, SignedIn
from tests.fakes.agents.runs import is_living, until

BY_NAME = {preset.name: preset for preset in built_in()}
WHOLE = ("claude", "codex", "gemini")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


def install(folder: Path, preset: Preset, script: str) -> AgentPresets:
    """Install a script under the preset's executable name; return presets that find it."""
    program = folder / "bin" / preset.executable
    write(program, f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.defpath}"
    return AgentPresets({"PATH": path, "HOME": str(folder / "home")}, [preset])


def install_native(folder: Path, preset: Preset) -> AgentPresets:
    """Install a native program, which cannot be a person's own wrapper script."""
    agents = install(folder, preset, "")
    shutil.copy("/bin/true", folder / "bin" / preset.executable)
    return agents


def found(folder: Path, preset: Preset, script: str) -> AgentFinding:
    [finding] = install(folder, preset, script).findings()
    return finding


def answering(version: str, help_text: str) -> str:
    return f'[ "$1" = --version ] && echo "{version}" && exit\necho "--help {help_text}"'


SIGN_INS = [
    ("claude", {"ANTHROPIC_API_KEY": "x"}, {}, SignedIn.YES),
    ("claude", {"ANTHROPIC_API_KEY": ""}, {}, SignedIn.NO),
    ("claude", {}, {".claude/.credentials.json": '{"claudeAiOauth":{"accessToken":"x"}}'}, "yes"),
    ("claude", {}, {".claude/.credentials.json": "{}"}, SignedIn.NO),
    ("claude", {}, {".claude.json": '{"primaryApiKey":"x"}'}, SignedIn.YES),
    ("claude", {}, {".claude.json": '{"numStartups":3}'}, SignedIn.NO),
    ("claude", {}, {".claude/settings.json": '{"apiKeyHelper":"/bin/key"}'}, SignedIn.UNKNOWN),
    ("claude", {}, {".claude/settings.json": '{"env":{"A":"1"}}'}, SignedIn.UNKNOWN),
    ("claude", {}, {".claude/settings.json": '{"model":"opus"}'}, SignedIn.NO),
    ("codex", {"CODEX_API_KEY": "x"}, {}, SignedIn.YES),
    ("codex", {"OPENAI_API_KEY": "x"}, {}, SignedIn.UNKNOWN),
    ("codex", {}, {".codex/auth.json": '{"tokens":{"access_token":"x"}}'}, SignedIn.YES),
    ("codex", {}, {".codex/config.toml": 'model_provider = "mine"'}, SignedIn.UNKNOWN),
    ("codex", {}, {".codex/config.toml": 'cli_auth_credentials_store = "keyring"'}, "cannot tell"),
    ("codex", {}, {".codex/config.toml": 'model = "m"'}, SignedIn.NO),
    ("gemini", {"GEMINI_API_KEY": "x"}, {}, SignedIn.YES),
    ("gemini", {"GOOGLE_GENAI_USE_VERTEXAI": "true"}, {}, SignedIn.UNKNOWN),
    ("gemini", {}, {".gemini/oauth_creds.json": '{"refresh_token":"x"}'}, SignedIn.YES),
    ("gemini", {}, {".gemini/settings.json": '{"security":{"auth":{"selectedType":"x"}}}'}, "?"),
    ("gemini", {}, {".env": "GEMINI_API_KEY=x"}, SignedIn.UNKNOWN),
    ("gemini", {}, {".gemini/settings.json": '{"ui":{}}'}, SignedIn.NO),
    ("opencode", {"OPENAI_API_KEY": "x"}, {}, SignedIn.YES),
    ("opencode", {}, {".local/share/opencode/auth.json": '{"a":{"key":"x"}}'}, SignedIn.YES),
    # a sign-in that cannot be determined is never reported as absent
    ("opencode", {}, {}, SignedIn.UNKNOWN),
    ("aider", {}, {}, SignedIn.UNKNOWN),
    ("amp", {}, {}, SignedIn.UNKNOWN),
    ("copilot", {}, {}, SignedIn.UNKNOWN),
    *((name, {}, {}, SignedIn.NO) for name in WHOLE),
]


@pytest.mark.parametrize(("name", "variables", "files", "answer"), SIGN_INS)
def test_a_sign_in_shows_in_files_and_variables(
    name: str, variables: dict[str, str], files: dict[str, str], answer: str, home: Path
) -> None:
    for file, content in files.items():
        write(home / file, content)
    environment = {"HOME": str(home), **variables}
    told, evidence = find_sign_in(BY_NAME[name].sign_in, environment, files_tell_all=True)
    assert told == ("cannot tell" if answer == "?" else answer)
    assert evidence
    assert str(home) not in evidence


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_keychain_may_hold_is_never_a_no(name: str, home: Path) -> None:
    sign_in = BY_NAME[name].sign_in
    told, _ = find_sign_in(sign_in, {"HOME": str(home)}, files_tell_all=False)
    assert told is SignedIn.UNKNOWN
    assert find_sign_in(sign_in, {}, files_tell_all=True)[0] is SignedIn.UNKNOWN


def test_what_cannot_be_read_is_never_a_no(home: Path) -> None:
    (home / ".codex" / "auth.json").mkdir(parents=True)
    told, _ = find_sign_in(BY_NAME["codex"].sign_in, {"HOME": str(home)}, files_tell_all=True)
    assert told is SignedIn.UNKNOWN


def test_a_pipe_in_the_place_of_credentials_keeps_nobody_waiting(home: Path) -> None:
    (home / ".codex").mkdir()
    os.mkfifo(home / ".codex" / "auth.json")
    told, _ = find_sign_in(BY_NAME["codex"].sign_in, {"HOME": str(home)}, files_tell_all=True)
    assert told is SignedIn.NO


def test_a_folder_named_by_a_variable_is_the_one_looked_into(home: Path) -> None:
    write(home / "mine" / "auth.json", '{"OPENAI_API_KEY": "x"}')
    environment = {"HOME": str(home), "CODEX_HOME": str(home / "mine")}
    told, evidence = find_sign_in(BY_NAME["codex"].sign_in, environment)
    assert (told, evidence) == (SignedIn.YES, "~/mine/auth.json is there")


def test_an_agent_is_known_to_be_of_no_use_where_it_is_missing_or_signed_out(
    tmp_path: Path, home: Path
) -> None:
    codex = BY_NAME["codex"]
    missing = AgentPresets({"PATH": str(home), "HOME": str(home)}).unready("codex", None)
    assert missing is not None
    assert missing.cause is Cause.AGENT_MISSING
    assert codex.install in missing.sentence
    agents = install_native(tmp_path, codex)
    signed_out = agents.unready("codex", None)
    assert signed_out is not None
    assert (signed_out.cause, codex.sign_in.remedy in signed_out.sentence) == (Cause.AUTH, True)
    # usable as soon as the user has signed in
    write(home / ".codex" / "auth.json", '{"tokens": {"access_token": "x"}}')
    assert agents.unready("codex", None) is None


def test_an_agent_that_no_preset_calls_is_reported_as_missing(tmp_path: Path) -> None:
    home = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    unready = AgentPresets(home).unready("of-tomorrow", None)
    assert unready is not None
    assert unready.cause == "agent_missing"
    assert unready.sentence == "No agent is called 'of-tomorrow'."


@pytest.mark.parametrize("preset", built_in(), ids=lambda preset: preset.name)
def test_a_preset_says_how_to_install_and_how_to_sign_in(preset: Preset) -> None:
    assert preset.install
    assert preset.sign_in.remedy.endswith(".")
    # every variable that reveals a sign-in must reach the agent, or the check would be wrong
    handed = set(preset.environment)
    asked = {*preset.sign_in.variables, *preset.sign_in.doubtful_variables, preset.root_variable}
    asked |= {one.variable for one in (*preset.sign_in.files, *preset.sign_in.doubts)}
    assert asked - {""} <= handed


def test_a_program_tells_its_version_and_its_flags(tmp_path: Path, home: Path) -> None:
    preset = BY_NAME["codex"]
    finding = found(tmp_path, preset, answering("codex-cli 0.169.0", " ".join(flags_of(preset))))
    assert finding.path == str(tmp_path / "bin" / "codex")
    assert (finding.version, finding.is_old, finding.unknown_flags) == ("0.169.0", False, ())


def test_a_flag_that_is_gone_and_an_old_version_are_seen(tmp_path: Path, home: Path) -> None:
    preset = BY_NAME["codex"]
    finding = found(tmp_path, preset, answering("codex-cli 0.99.9", "-C -m --json-schema"))
    assert (finding.version, finding.is_old) == ("0.99.9", True)
    assert finding.unknown_flags == ("--json", "--dangerously-bypass-approvals-and-sandbox")


def test_flags_that_are_accepted_without_being_listed_are_not_missed() -> None:
    assert "--dangerously-allow-all" in BY_NAME["amp"].arguments
    assert "--dangerously-allow-all" not in flags_of(BY_NAME["amp"])


@pytest.mark.parametrize(
    "script",
    ["exit 1", "exit 127", "kill -9 $$", "true", "head -c 3000000 /dev/zero", "cat; exit 3"],
)
def test_a_program_that_says_nothing_of_use_is_reported_as_that(
    tmp_path: Path, home: Path, script: str
) -> None:
    finding = found(tmp_path, BY_NAME["claude"], script)
    assert (finding.version, finding.unknown_flags) == ("", None)


def test_what_a_program_complains_of_is_not_its_version(tmp_path: Path, home: Path) -> None:
    script = "echo 'WARNING: node 18.0.0 is old' >&2; echo 2.1.197"
    assert found(tmp_path, BY_NAME["claude"], script).version == "2.1.197"


def test_a_program_that_hangs_is_ended_with_its_children(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"sleep 60 & echo $! >> {tmp_path}/children; wait"
    # a busy machine may need longer until both programs are there
    for seconds in (0.4, 2.0, 10.0):
        monkeypatch.setattr(probes, "ASK_SECONDS", seconds)
        (tmp_path / "children").write_text("")
        assert found(tmp_path, BY_NAME["claude"], script).version is None
        children = (tmp_path / "children").read_text().split()
        if len(children) == 2:
            break
    assert len(children) == 2
    for child in children:
        until(lambda child=child: not is_living(int(child)), "a child is ended, too")


@pytest.mark.parametrize(
    ("version", "floor", "older"),
    [
        ("0.123.9", "0.124.0", True),
        ("0.124.0", "0.124.0", False),
        ("0.124", "0.124.0", True),
        ("1.0", "0.124.0", False),
        ("2.1.9", "2.1.45", True),
        (None, "2.1.45", False),
        ("0.0.1", "", False),
    ],
)
def test_versions_are_compared_number_by_number(
    version: str | None, floor: str, older: bool
) -> None:
    assert is_older(version, floor) is older


@pytest.mark.parametrize(
    ("first_line", "is_known"),
    [
        ("#!/bin/sh", False),
        ("#!/usr/bin/env bash", False),
        ("#!/usr/bin/env node", True),
        ("#!/usr/bin/env -S node --no-warnings=DEP0040", True),
        ("\x7fELF", True),
    ],
)
def test_a_script_of_ones_own_around_an_agent_may_sign_in_by_itself(
    tmp_path: Path, home: Path, first_line: str, *, is_known: bool
) -> None:
    agents = install(tmp_path, BY_NAME["codex"], "")
    program = tmp_path / "bin" / "codex"
    program.write_text(f"{first_line}\n")
    assert (agents.unready("codex", None) is not None) is is_known
    [finding] = agents.findings()
    assert finding.signed_in is (SignedIn.NO if is_known else SignedIn.UNKNOWN)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
@pytest.mark.parametrize(
    ("variable", "settings", "works"),
    [
        ("", "", False),
        ("true", "", False),
        ("1", "", True),
        # observed: claude reads the user's settings before it refuses to run as root
        ("", '{"env": {"IS_SANDBOX": "1"}}', True),
    ],
)
def test_as_root_claude_wants_a_variable_and_is_refused_without(
    tmp_path: Path, home: Path, variable: str, settings: str, *, works: bool
) -> None:
    install_native(tmp_path, BY_NAME["claude"])
    write(home / ".claude" / "settings.json", settings)
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(home), "IS_SANDBOX": variable}
    agents = AgentPresets(environment | {"ANTHROPIC_API_KEY": "x"}, [BY_NAME["claude"]])
    unready, [finding] = agents.unready("claude", None), agents.findings()
    if works:
        assert (unready, finding.root_variable) == (None, "")
        return
    assert unready is not None
    assert "set IS_SANDBOX=1" in unready.sentence
    assert finding.root_variable == "IS_SANDBOX"


def test_other_agents_do_not_mind_root(tmp_path: Path, home: Path) -> None:
    install_native(tmp_path, BY_NAME["opencode"])
    agents = AgentPresets({"PATH": str(tmp_path / "bin")}, [BY_NAME["opencode"]])
    assert agents.unready("opencode", None) is None


@pytest.mark.parametrize("level", [SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED])
def test_inside_a_sandbox_claude_works_as_root_without_the_servers_variable(
    tmp_path: Path, home: Path, level: SandboxLevel
) -> None:
    install_native(tmp_path, BY_NAME["claude"])
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(home), "ANTHROPIC_API_KEY": "x"}
    agents = AgentPresets(environment, [BY_NAME["claude"]])
    assert agents.unready("claude", None, level) is None
    assert agents.environment("claude", level)["IS_SANDBOX"] == "1"
    assert "IS_SANDBOX" not in agents.environment("claude")


@pytest.mark.skipif(os.geteuid() != 0, reason="a plain user's agents may nest theirs")
@pytest.mark.parametrize("name", ["gemini", "qwen"])
def test_as_root_an_agents_own_sandbox_is_off_inside_ours(name: str, home: Path) -> None:
    agents = AgentPresets({"PATH": "/bin", "HOME": str(home)})
    inside = agents.environment(name, SandboxLevel.CONTAINED)
    assert inside["GEMINI_SANDBOX"] == "false"
    assert "GEMINI_SANDBOX" not in agents.environment(name)
