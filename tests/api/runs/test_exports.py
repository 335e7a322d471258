"""A run exported as a zip file: complete, without secrets, streamed in chunks."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.api.routes.exports import zip_pieces
from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

MB = 1024**2
NAMES = (
    *("about.json", "run.json", "provenance.json", "timeline.json", "checks.json"),
    *("report.json", "prompt.md", "diff.patch", "log.txt"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("exports")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def run(shop: Workshop) -> dict[str, Any]:
    """A run whose title, branch and files try to escape the folder they are unpacked in."""
    project_id = str(shop.projects["shop"]["id"])
    number = shop.issue(project_id, "../../etc/passwd")
    return dict(shop.delivered(project_id, "please log\nplease mark up", issue=number))


def exported(shop: Workshop, run_id: str) -> tuple[bytes, dict[str, bytes]]:
    """Return the zip file's bytes and its members."""
    answer = shop.api.get(f"/runs/{run_id}/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{run_id}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return answer.content, {name: archive.read(name) for name in archive.namelist()}


def test_all_that_is_known_of_a_run_is_in_one_file(shop: Workshop, run: dict[str, Any]) -> None:
    _, parts = exported(shop, run["id"])
    # only fixed names, inside one folder
    assert list(parts) == [f"{run['id']}/{name}" for name in NAMES]
    found = {name.split("/")[1]: content for name, content in parts.items()}
    assert json.loads(found["run.json"]) == shop.api.get(f"/runs/{run['id']}").json()
    timeline = shop.api.get(f"/runs/{run['id']}/timeline").json()
    assert json.loads(found["timeline.json"]) == timeline
    assert found["log.txt"] == shop.api.get(f"/runs/{run['id']}/log").content
    assert found["diff.patch"] == shop.api.get(f"/runs/{run['id']}/diff").content
    assert json.loads(found["provenance.json"])["version"]
    assert "final_message" in json.loads(found["report.json"])
    assert json.loads(found["about.json"])["diff"] == {"problem": ""}


def test_the_token_is_in_no_export(shop: Workshop) -> None:
    project_id = str(shop.projects["shop"]["id"])
    token = shop.server.token
    run = shop.delivered(project_id, f"please commit {token}")
    content, parts = exported(shop, run["id"])
    assert token not in content.decode("latin-1")
    assert all(token.encode() not in part for part in parts.values())
    assert "•••" in parts[f"{run['id']}/run.json"].decode()


def test_there_is_no_export_of_no_run(shop: Workshop) -> None:
    answer = shop.api.get("/runs/run_cnothing/export")
    assert (answer.status_code, problem(answer)["error"]) == (404, "not_found")


def test_a_large_log_goes_through_in_little_memory() -> None:
    block = random.Random(1).randbytes(MB)
    tracemalloc.start()
    sent = sum(map(len, zip_pieces([("log.txt", (block for _ in range(60)))], datetime.now(UTC))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent > 60 * MB
    assert peak < 8 * MB
