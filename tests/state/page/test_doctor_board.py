"""Doctor's results, sorted: installed agents, missing ones, and a short status for each."""

from __future__ import annotations

import pytest

from app.api.schemas import Finding
from app.state.system.boards import DoctorBoard


def finding(about: str, check: str, level: str, advice: str = "") -> Finding:
    return Finding.model_validate(
        {"about": about, "check": check, "level": level, "found": "it", "advice": advice}
    )


def test_agents_that_are_here_are_told_apart_from_those_that_are_not() -> None:
    board = DoctorBoard.of(
        [
            finding("claude", "program", "ok"),
            finding("claude", "sign-in", "look", "Sign in."),
            finding("codex", "program", "none", "npm install it"),
            finding("machine", "git", "look", "Install git."),
            finding("server", "token", "none"),
            finding("server", "bind", "ok"),
        ]
    )
    assert [agent.name for agent in board.agents] == ["claude"]
    assert [one.about for one in board.absent] == ["codex"]
    parts = [(name, [one.check for one in found]) for name, found in board.parts]
    assert parts == [("This machine", ["git"]), ("This server", ["token", "bind"])]
    assert board.to_fix == 2


@pytest.mark.parametrize(
    ("levels", "words", "tone"),
    [
        ({"program": "ok", "sign-in": "ok", "flags": "ok"}, "Ready", "go"),
        ({"program": "ok", "sign-in": "ok", "flags": "unknown"}, "Ready", "go"),
        ({"program": "ok", "sign-in": "unknown", "flags": "ok"}, "Installed", "idle"),
        ({"program": "look", "sign-in": "ok"}, "Needs attention", "wait"),
        ({"program": "ok", "sign-in": "look"}, "Signed out", "wait"),
        ({"program": "look", "sign-in": "look"}, "Signed out", "wait"),
        ({"program": "ok", "sign-in": "unknown", "root": "look"}, "Needs attention", "wait"),
    ],
)
def test_an_agent_stands_in_a_word(levels: dict[str, str], words: str, tone: str) -> None:
    board = DoctorBoard.of([finding("claude", check, level) for check, level in levels.items()])
    [agent] = board.agents
    assert (agent.words, agent.tone) == (words, tone)


def test_before_the_first_look_there_is_nothing() -> None:
    board = DoctorBoard.of([])
    assert (board.agents, board.absent, board.parts, board.to_fix) == ((), (), (), 0)
