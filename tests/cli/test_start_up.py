"""How fast the first word comes, and what is not loaded for it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.cli.recorded_server import RecordedServer
from tests.cli.recordings import a_run
from tests.cli.shells import DEADLINE_SECONDS, ROOT, Shell

FIRST_WORD_SECONDS = 0.3
TRIES = 7


@pytest.mark.parametrize(
    "words", [["--help"], ["afk", "start", "--help"], ["runs", "list", "--help"], ["runs", "list"]]
)
def test_the_first_word_comes_within_the_time_it_is_given(
    words: list[str], shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": [a_run()]})
    best = min(seconds_of(shell, words) for _ in range(TRIES))
    assert best <= FIRST_WORD_SECONDS


def seconds_of(shell: Shell, words: list[str]) -> float:
    begun = time.perf_counter()
    assert shell.run(*words).code == 0
    return time.perf_counter() - begun


HEAVY = ("nicegui", "sqlalchemy", "sqlmodel", "fastapi", "rich", "app.server", "app.config")


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], (*HEAVY, "httpx", "pydantic")),
        (["runs", "list"], HEAVY),
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
