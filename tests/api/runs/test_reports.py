"""Agent reports over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("reports")) as shop:
        shop.add_project("shop")
        yield shop


def test_a_run_whose_agent_reports_nothing_has_an_empty_report(shop: Workshop) -> None:
    project_id = str(shop.projects["shop"]["id"])
    run = shop.delivered(project_id, "please log\nplease commit")
    assert shop.api.get(f"/runs/{run['id']}/report").json() == {
        "tools_used": 0,
        "files_edited": 0,
        "input_tokens": None,
        "output_tokens": None,
        "cost_usd": None,
        "session_id": None,
        "final_message": None,
        "limit": None,
        "limit_resets_at": None,
        "sentence": "",
        "continue_command": "",
        "working_copy": "",
    }


def test_an_unknown_run_has_no_report(shop: Workshop) -> None:
    answer = shop.api.get("/runs/run_c0nothing/report")
    assert (answer.status_code, problem(answer)["error"]) == (404, "not_found")
