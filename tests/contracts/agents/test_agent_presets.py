"""Every preset's command line, exit codes and resume command; adding an agent takes only data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.agents.catalogue import preset as catalogue
from app.adapters.agents.catalogue.preset import NAMES, Preset, built_in, read_preset
from app.adapters.agents.formats import FORMATS
from app.adapters.agents.presets import AgentPresets
from app.domain.agents.reports import SessionNamed
from app.domain.sandbox.network_rules import NetworkRules, read_entry
from app.services.ports import Job, PromptTooLong

CATALOGUE = Path(catalogue.__file__).parent
JOB = Job("Mend it", Path("/runs/prompt.md"), Path("/copy"), "afk/7", 7, None)


def presets() -> AgentPresets:
    return AgentPresets({"PATH": "/nowhere"})


@pytest.mark.parametrize(
    ("agent", "argv"),
    [
        (
            "claude",
            "claude -p --output-format stream-json --verbose --dangerously-skip-permissions",
        ),
        (
            "codex",
            "codex exec --json --dangerously-bypass-approvals-and-sandbox -C /copy -",
        ),
        (
            "gemini",
            "gemini --output-format stream-json --approval-mode yolo --skip-trust",
        ),
        ("opencode", "opencode run --format json --auto"),
        (
            "aider",
            "aider --message-file /runs/prompt.md --yes-always --no-stream --no-pretty"
            " --no-check-update",
        ),
        ("amp", "amp -x --stream-json --dangerously-allow-all"),
        ("qwen", "qwen -o stream-json -y"),
        ("cursor", "cursor-agent -p --output-format stream-json --force"),
        ("copilot", "copilot --output-format json -s --allow-all --no-ask-user"),
        (
            "droid",
            "droid exec --output-format stream-json --skip-permissions-unsafe"
            " --file /runs/prompt.md",
        ),
    ],
)
def test_the_command_line_of_each_agent(agent: str, argv: str) -> None:
    assert presets().command(agent, JOB, None) == argv.split()


@pytest.mark.parametrize(
    ("agent", "begin"),
    [
        ("claude", ["claude", "--model", "M", "-p"]),
        ("codex", ["codex", "exec", "-m", "M", "--json"]),
        ("gemini", ["gemini", "-m", "M", "--output-format"]),
        ("opencode", ["opencode", "run", "-m", "M", "--format"]),
        ("aider", ["aider", "--model", "M", "--message-file"]),
    ],
)
def test_a_model_stands_behind_a_subcommand_and_never_between_flag_and_value(
    agent: str, begin: list[str]
) -> None:
    job = Job(JOB.prompt, JOB.prompt_file, JOB.workdir, JOB.branch, JOB.issue, "M")
    assert presets().command(agent, job, None)[: len(begin)] == begin


@pytest.mark.parametrize("preset", built_in(), ids=lambda preset: preset.name)
def test_a_prompt_stands_in_no_process_list_and_reaches_every_agent(preset: Preset) -> None:
    job = Job("--help; $(id) {workdir}", JOB.prompt_file, JOB.workdir, "b", None, None)
    argv = presets().command(preset.name, job, None)
    assert argv[0] == preset.executable
    assert not any("$(id)" in word for word in argv)
    assert (str(JOB.prompt_file) in argv) is not presets().reads_stdin(preset.name)


def test_a_prompt_for_a_script_is_one_argument_and_never_an_option() -> None:
    job = replace(JOB, prompt="--help; $(id) {workdir}")
    argv = presets().command("script", job, ["agent", "{prompt}"])
    assert argv == ["agent", " --help; $(id) {workdir}"]
    assert not presets().reads_stdin("script")


def test_a_prompt_too_long_for_an_argument_is_refused_with_the_way_that_works() -> None:
    job = replace(JOB, prompt="é" * 60_000)
    with pytest.raises(PromptTooLong, match=r"Use \{prompt_file\} instead of \{prompt\}"):
        presets().command("script", job, ["agent", "--prompt={prompt}"])
    by_file = presets().command("script", job, ["agent", "{prompt_file}"])
    assert by_file == ["agent", str(JOB.prompt_file)]


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        ("claude", "claude --resume s-1"),
        ("codex", "codex resume s-1"),
        ("gemini", "gemini --resume latest"),
        ("opencode", "opencode --session s-1"),
        ("aider", ""),
        ("script", ""),
        ("qwen", "qwen -r s-1"),
    ],
)
def test_how_a_person_continues(agent: str, line: str) -> None:
    assert presets().continue_command(agent, "s-1") == line


@pytest.mark.parametrize(
    ("agent", "code", "words"),
    [
        ("gemini", 41, "it is not signed in"),
        ("gemini", 53, "it has used up its turns"),
        ("gemini", 1, ""),
        ("codex", 2, "it does not know its arguments"),
        ("claude", 1, ""),
        ("script", 41, ""),
    ],
)
def test_an_exit_code_is_put_into_words_where_it_has_a_meaning(
    agent: str, code: int, words: str
) -> None:
    assert presets().exit_words(agent, code) == words


@pytest.mark.parametrize("preset", built_in(), ids=lambda preset: preset.name)
def test_a_preset_quotes_its_version_and_names_a_stream_that_is_read(preset: Preset) -> None:
    assert preset.version
    assert preset.stream in FORMATS
    assert presets().reader(preset.name) is not None


def test_every_file_of_the_catalogue_is_in_use() -> None:
    assert {file.stem for file in CATALOGUE.glob("*.toml")} == set(NAMES)
    assert [preset.name for preset in built_in()] == list(NAMES)


@pytest.mark.parametrize(
    ("line", "wrong", "sentence"),
    [
        ('floor = "0.61.0"', 'flor = "1"', "flor: no such key"),
        ('model_flag = "-m"', "", "model_flag: is missing"),
        ('model_flag = "-m"', "model_flag = 1", "model_flag: must be a text"),
        ('name = "gemini"', 'name = "codex"', "name: must be 'gemini', as the file is called"),
        ("is_whole = true", "is_whole = 1", "sign_in.is_whole: must be true or false"),
        ("is_whole = true", "whole = true", "sign_in.whole: no such key"),
        ('folder = "~/.gemini"', "folder = []", "sign_in.files[0].folder: must be a text"),
        ('newest = "expiry_date"', "", "sign_in.lent[0].renewal.newest: is missing"),
        ('holds = ["token"]', 'holds = "token"', "sign_in.files[0].holds: must be a list"),
        ('holds = ["token"]', 'holds = ["a", 1]', "sign_in.files[0].holds[1]: must be a text"),
        ('130 = "', 'never = "', "exit_codes.never: the key must be a whole number"),
        ('41 = "auth"', '41 = "tired"', "exit_failures.41: must be one of auth, network, other"),
        ("[exit_failures]", "[[exit_failures]]", "exit_failures: must be a table"),
        ("[sign_in]", "[sign_in", "Expected ']'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_key(
    line: str, wrong: str, sentence: str, tmp_path: Path
) -> None:
    text = (CATALOGUE / "gemini.toml").read_text()
    assert line in text
    file = tmp_path / "gemini.toml"
    file.write_text(text.replace(line, wrong, 1))
    with pytest.raises(ValueError, match=re.escape(f"gemini.toml: {sentence}")):
        read_preset(file)


def test_a_further_agent_is_read_by_its_entry_alone() -> None:
    reader = presets().reader("qwen")
    assert reader is not None
    assert reader.feed(b'{"type":"system","subtype":"init","session_id":"q-1"}\n') == [
        SessionNamed("q-1")
    ]


def test_a_script_of_ones_own_is_not_read() -> None:
    assert presets().reader("script") is None


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("claude", ["--dangerously-skip-permissions", "--resume", "s-1"]),
        ("codex", ["-C", "/copy", "resume", "s-1", "-"]),
        ("gemini", ["--skip-trust", "--resume", "latest"]),
        ("opencode", ["--auto", "--session", "s-1"]),
    ],
)
def test_an_agent_continues_its_own_session(agent: str, expected: list[str]) -> None:
    presets = AgentPresets({})
    argv = presets.command(agent, replace(JOB, prompt="Go on", session="s-1"), None)
    at = argv.index(expected[0])
    assert argv[at : at + len(expected)] == expected
    assert presets.can_continue(agent, "s-1")


@pytest.mark.parametrize("session", ["--help", "", "a b", "a\nb", "../x", "$(id)", "x" * 200])
def test_a_session_by_no_name_is_never_gone_on_with(session: str) -> None:
    assert not AgentPresets({}).can_continue("claude", session)


def test_what_has_no_sessions_cannot_go_on() -> None:
    assert not any(AgentPresets({}).can_continue(agent, "s-1") for agent in ("script", "aider"))


def test_another_key_is_another_account() -> None:
    accounts = {
        AgentPresets(environment).account("claude")
        for environment in ({}, {"ANTHROPIC_API_KEY": "one"}, {"HOME": "/somebody"})
    }
    assert len(accounts) == 3
    key = {"OPENAI_API_KEY": "one"}
    assert AgentPresets(key).account("claude") == AgentPresets({}).account("claude")


@pytest.mark.parametrize("preset", built_in(), ids=lambda preset: preset.name)
def test_every_agent_names_the_hosts_it_cannot_work_without(preset: Preset) -> None:
    hosts = AgentPresets({}).hosts(preset.name)
    assert hosts == preset.hosts
    assert NetworkRules.read(hosts, []).known


def test_an_address_of_one_s_own_is_a_host_of_the_agent_s() -> None:
    def chosen(url: str) -> list[str]:
        return list(AgentPresets({"ANTHROPIC_BASE_URL": url}).chosen_hosts("claude"))

    assert chosen("https://gateway.example/v1") == ["gateway.example:443"]
    assert chosen("http://LOCALHOST:11434") == ["localhost:11434"]
    assert chosen("http://[::1]:80/x") == ["[::1]:80"]
    assert AgentPresets({"ANTHROPIC_BASE_URL": "http://x.example"}).chosen_hosts("codex") == []
    for wrong in ("", "gateway.example", "http://x:99999", "http://[::1", "ftp://x", "http://a b"):
        assert all(map(read_entry, chosen(wrong)))
