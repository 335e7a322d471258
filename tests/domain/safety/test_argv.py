"""Commands typed by people, split into arguments."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.text.argv import argv_words, read_argv, shell_words


@given(st.lists(st.text(max_size=20), max_size=6))
def test_what_is_shown_of_a_command_is_read_as_the_same_command(argv: list[str]) -> None:
    assert read_argv(argv_words(argv)) == argv


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        ("", []),
        ("make\n\n  test  ", ["make", "test"]),
        ('["sh", "-c", "a\\nb"]', ["sh", "-c", "a\nb"]),
        ("[]", []),
    ],
)
def test_a_command_is_one_argument_a_line_or_a_json_list(words: str, argv: list[str]) -> None:
    assert read_argv(words) == argv


@pytest.mark.parametrize("words", ["[", "[1]", '["a", 2]', "[a]"])
def test_a_list_that_is_none_says_how_it_is_written(words: str) -> None:
    with pytest.raises(ValueError, match="one argument per line, or a JSON list"):
        read_argv(words)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["pytest", "-q", "tests/a.py"], "pytest -q tests/a.py"),
        (["sh", "-c", "make lint && make test"], "sh -c 'make lint && make test'"),
        (["sh", "-c", "echo '142 passed'"], "sh -c \"echo '142 passed'\""),
        (["sh", "-c", "echo \"$HOME\" 'x'"], """sh -c 'echo "$HOME" '"'"'x'"'"''"""),
        (["env", ""], "env ''"),
    ],
)
def test_a_command_is_written_as_a_shell_reads_it(argv: list[str], words: str) -> None:
    assert shell_words(argv) == words
    assert shlex.split(words) == argv
