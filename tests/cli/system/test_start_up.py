"""Start-up time of the command line, and modules it must not import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import typer
from typer.main import get_command

from app.cli.main import COMPLETING, PARTS, Part, build, parts_for
from tests.builders.api_samples import a_run
from tests.drivers.cli.shells import DEADLINE_SECONDS, ROOT, Shell
from tests.fakes.recorded_server import RecordedServer

# CPU time relative to that of an empty Python: wall-clock time depends on the load of the machine
# (`make bench` measures it, with a goal of 0.3 s). The limits are almost three times the usual
# values, because other load on a core does not slow both equally.
TIMES_AN_EMPTY_PYTHON = {"--help": 30, "runs list": 60}
TRIES = 3


@pytest.mark.parametrize(
    ("words", "kind"),
    [("--help", "--help"), ("afk start --help", "--help"), ("runs list", "runs list")],
)
def test_the_first_word_costs_few_times_the_start_of_python(
    words: str, kind: str, shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": [a_run()]})
    both = ([sys.executable, "-c", "pass"], shell.argv(*words.split()))
    least = [float("inf"), float("inf")]
    for _ in range(TRIES):
        least = [
            min(one, processor_seconds(argv, shell)) for one, argv in zip(least, both, strict=True)
        ]
        if least[1] <= TIMES_AN_EMPTY_PYTHON[kind] * least[0]:
            return
    pytest.fail(f"an empty Python and the command took {least} s")


def processor_seconds(argv: list[str], shell: Shell) -> float:
    """Run a command and return its CPU time in seconds, user plus system."""
    env = {name: v for name, v in shell.env.items() if name != "PYTHONDONTWRITEBYTECODE"}
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
    pid = os.posix_spawn(argv[0], argv, {**env, "PYTHONPATH": str(ROOT)}, file_actions=quiet)
    _, status, used = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return used.ru_utime + used.ru_stime


HEAVY = (
    "nicegui",
    "sqlalchemy",
    "sqlmodel",
    "fastapi",
    "rich",
    "app.server.application",
    "app.control_plane",
    "app.config",
)


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], (*HEAVY, "httpx", "pydantic")),
        (["runs", "list", "--project", ""], (*HEAVY, "pydantic", "app.cli.commands.projects")),
    ],
    ids=["help", "a call"],
)
def test_nothing_heavy_is_loaded(
    words: list[str], heavy: tuple[str, ...], shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": [a_run()]})
    program = (
        "import sys\nfrom app.cli.main import main\n"
        f"sys.argv = ['runyard', *{words!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=shell.env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    assert done.stderr.strip() == "[]"


def helps_below(words: str, command: Any) -> dict[str, str]:
    """Return the help of a command and of all below it, by their words."""
    context = typer.Context(command, info_name=f"runyard {words}")
    found = {words: command.get_help(context)}
    for name, child in getattr(command, "commands", {}).items():
        found |= helps_below(f"{words} {name}", child)
    return found


def commands_of(parts: Sequence[Part]) -> dict[str, Any]:
    """Return the commands and groups of a command line with these parts."""
    root: Any = get_command(build(parts))
    return dict(root.commands)


def test_each_part_adds_what_it_names_and_nothing_else() -> None:
    whole = commands_of(PARTS)
    assert sorted(name for part in PARTS for name in part.names) == sorted(whole)
    for part in PARTS:
        for name in part.names:
            alone = commands_of(parts_for([name, "--help"]))
            assert sorted(alone) == sorted(part.names)
            assert helps_below(name, alone[name]) == helps_below(name, whole[name])


@pytest.mark.parametrize("words", [["--help"], ["--port", "1"], ["no-such-command"]], ids=str)
def test_without_a_command_s_name_in_front_every_part_is_there(words: list[str]) -> None:
    assert parts_for(words) == PARTS


def test_a_shell_that_asks_for_completions_gets_every_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [part.module for part in parts_for([])] == ["server.serve"]
    monkeypatch.setenv(COMPLETING, "complete_bash")
    assert parts_for([]) == PARTS
