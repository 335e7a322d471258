"""The audit names who did something: a person, the agent of a run with a link to it, or Runyard."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.api.schemas.system import AuditRow
from app.domain.people.run_agents import RunAgent, read_token_name
from app.pages.people.audit import rows_html
from tests.builders.rows import NOW

RUN = "run_01KAZ4M3XW7Q8R9S0T1V2W3X4Y"
ROW: dict[str, Any] = {
    "id": 1,
    "at": NOW,
    "who": "Runyard",
    "person": None,
    "role": None,
    "via": "loop",
    "token": None,
    "address": None,
    "deed": "add_comment",
    "object": "proj_1/issues/4",
    "before": None,
    "after": None,
    "correlation_id": "c",
    "hash": "b" * 64,
    "previous": "a" * 64,
}


@pytest.mark.parametrize(
    ("row", "who", "by"),
    [
        ({}, "Runyard", "loop"),
        (
            {"who": "Ada", "person": "person_1", "via": "cli", "token": "local"},
            '<a href="/audit?person=person_1">Ada</a>',
            "cli local",
        ),
        (
            {
                "who": "claude · run …2W3X4Y",
                "run_id": RUN,
                "via": "token",
                "token": f"claude · {RUN}",
            },
            f'<a href="/runs/{RUN}">claude · run …2W3X4Y</a>',
            "token",
        ),
    ],
)
def test_a_row_says_who_did_it_with_a_link_to_the_person_or_the_run(
    row: dict[str, Any], who: str, by: str
) -> None:
    html = rows_html([AuditRow.model_validate(ROW | row)])
    assert re.findall(r'<td class="named">(.*?)</td>', html) == [who]
    assert re.findall(r'<td class="sub">(.*?)</td>', html)[1] == by


def test_the_name_of_a_token_tells_the_agent_and_its_run() -> None:
    agent = RunAgent("claude · mine", RUN)
    assert read_token_name(agent.token_name) == agent
    assert agent.shown == "claude · mine · run …2W3X4Y"
    assert read_token_name("run abcdef") is None
