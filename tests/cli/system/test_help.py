"""The help of each command, and the messages for misused commands."""

from __future__ import annotations

import re

import pytest

from tests.drivers.cli.click_tree import every_command
from tests.drivers.cli.shells import Ended, Here

TREE = every_command()
_told: dict[str, Ended] = {}


def help_of(path: str, here: Here) -> Ended:
    """Return the help of a command, asked for once."""
    if path not in _told:
        _told[path] = here(*path.split(), "--help")
    return _told[path]


@pytest.mark.parametrize("path", TREE, ids=lambda path: path or "runyard")
def test_every_command_says_what_it_does_and_shows_an_example(path: str, here: Here) -> None:
    ended = help_of(path, here)
    assert (ended.code, ended.err) == (0, "")
    [shown] = re.findall(r"^  Example:\n((?:    .*\n)+)", ended.out, re.MULTILINE)
    assert f"runyard {path}".strip() in shown
    assert all(one.help for one in TREE[path].params), "an option without words"


@pytest.mark.parametrize("path", TREE, ids=lambda path: path or "runyard")
def test_help_fits_into_80_columns_with_no_sentence_cut(path: str, here: Here) -> None:
    shown = help_of(path, here).out
    described, _, examples = shown.partition("  Example:")
    assert examples
    # the line of the option that lists every state has no space to break at
    assert not [line for line in described.splitlines() if len(line) > 80 and " " in line.strip()]
    assert "..." not in described.replace("[ARGS]...", "").replace("[REPO]...", "").replace(
        "[AGENT]...", ""
    )


@pytest.mark.parametrize("path", TREE, ids=lambda path: path or "runyard")
def test_an_example_is_a_command_that_there_is(path: str) -> None:
    epilog = TREE[path].epilog.removeprefix("\b\nExample:\n")
    for line in epilog.splitlines():
        name, *words = line.split()
        assert name == "runyard"
        called = max((one for one in TREE if words[: len(one.split())] == one.split()), key=len)
        options = {name for one in TREE[called].params for name in one.opts} | {"--help"}
        assert {word for word in words if re.fullmatch("--?[a-z-]+", word)} <= options | {"-"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rums"], ["No such command 'rums'. Did you mean 'runs'?", "  runyard serve"]),
        (["runs", "trigger", "-p", "x"], ["Missing option '--agent-type'."]),
        (["runs", "show", "abc"], ["Give a run's whole id, or at least its last 6 characters."]),
        (["afk", "auto", "x", "perhaps"], ["Usage: runyard afk auto [OPTIONS] {PROJECT} {on|off}"]),
        (["issues", "edit", "1", "-p", "x"], ["Usage: runyard issues edit [OPTIONS] {NUMBER}"]),
    ],
    ids=lambda one: " ".join(one),
)
def test_a_command_that_was_got_wrong_shows_its_use_and_an_example(
    words: list[str], told: list[str], here: Here
) -> None:
    ended = here(*words)
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    assert set(told) <= set(lines), lines
    assert "Example:" in lines
    assert lines[-1].startswith("Full help: runyard")
    assert lines[-1].endswith(" --help")


@pytest.mark.parametrize("words", [["runs"], ["afk"]], ids=" ".join)
def test_a_group_that_is_asked_for_nothing_shows_its_help(words: list[str], here: Here) -> None:
    ended = here(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err
    assert "Example:" in ended.err
    assert "Missing command" not in ended.err
