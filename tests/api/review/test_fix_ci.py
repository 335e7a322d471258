"""CI of a forge's pull request over HTTP: told with changes and runs, fixed under a key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem
from tests.fakes.forges.twin import ForgeTwin

# real agents or long waits
pytestmark = pytest.mark.slow
UNKNOWN = {"state": "unknown", "url": None, "failed": []}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("ci"), RUNYARD_SWEEP_SECONDS="0.5") as shop:
        yield shop


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A forge with a repository."""
    with ForgeTwin(tmp_path_factory.mktemp("forge")) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        yield twin


def test_a_change_of_the_built_in_tracker_knows_no_ci(shop: Workshop, project: str) -> None:
    run = shop.delivered(project)
    assert run["delivery"]["ci"] == UNKNOWN
    path = f"/projects/{project}/changes/{run['delivery']['number']}"
    assert shop.api.get(path).json()["ci"] == UNKNOWN
    told = problem(shop.api.post(f"{path}/fix-ci"))
    assert (told["status"], told["error"]) == (409, "ci_not_failed")
    shop.api.post(f"{path}/merge").raise_for_status()
    assert problem(shop.api.post(f"{path}/fix-ci"))["error"] == "change_closed"


def test_red_ci_is_told_with_change_and_run_and_fixed_once_per_key(
    shop: Workshop, twin: ForgeTwin
) -> None:
    forge = {"url": twin.url, "token": "TOKEN_BOT"}
    shop.api.post("/forges", json=forge).raise_for_status()
    hosted = twin.hosted["acme/shop"]
    agent = ["sh", "-c", "date +%N >> a.txt; git add .; git commit -qm More"]
    settings = {"agent": "script", "agent_command": agent, "name": "shop", "ci_rounds": 0}
    settings |= {"merge_style": "squash", "origin": hosted.clone_url}
    project = shop.api.post("/projects", json=settings).json()
    kept = {name: project[name] for name in ("ci_rounds", "review_rounds", "merge_style")}
    assert kept == {"ci_rounds": 0, "review_rounds": 5, "merge_style": "squash"}
    shop.wait(f"/projects/{project['id']}", lambda one: one["state"] == "ready")
    run = shop.delivered(project["id"])
    path = f"/projects/{project['id']}/changes/{run['delivery']['number']}"
    with twin.guard:
        hosted.desk.report(run["delivery"]["head_sha"], "build", "failure", "http://ci.test/1")
    red = {"state": "failed", "url": "http://ci.test/1", "failed": ["build"]}
    shop.wait(path, lambda one: one["ci"] == red)
    assert shop.api.get(f"/runs/{run['id']}").json()["delivery"]["ci"] == red
    heads = {"Idempotency-Key": "fix", "X-Correlation-Id": "fixed"}
    answer = shop.api.post(f"{path}/fix-ci", headers=heads)
    assert answer.status_code == 201, answer.text
    fix = answer.json()
    assert (fix["trigger"], fix["pr_number"]) == ("review", run["delivery"]["number"])
    again = shop.api.post(f"{path}/fix-ci", headers=heads)
    assert (again.status_code, again.json()["id"]) == (200, fix["id"])
    audited = shop.api.get("/audit", params={"limit": 100}).json()["items"]
    assert [row["deed"] for row in audited if row["correlation_id"] == "fixed"] == ["fix_ci"]
    ended = shop.ended(fix["id"])
    assert ended["status"] == "succeeded", ended["because"]
    shop.wait(path, lambda one: one["head_sha"] == hosted.git.tip(hosted.place, one["branch"]))
    shop.wait(path, lambda one: one["ci"] == UNKNOWN)
    merged = shop.api.post(f"{path}/merge")
    assert merged.json()["state"] == "merged", merged.text
