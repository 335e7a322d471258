"""Agents that open their pull requests themselves: a project at a twin, and what they do there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.domain.tracker.agent_requests import GRACE_SECONDS
from app.records.tables import Project, Run
from tests.builders.parked import deed
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.runs import script
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.kinds import KINDS, twin_of
from tests.fakes.forges.twin import ForgeTwin

TOKEN = "TOKEN_AGENT_0123456789"


@dataclass
class Scene:
    """A project whose agents open their pull requests, at a twin."""

    plane: RealPlane
    twin: ForgeTwin
    shop: Hosted
    folder: Path

    @property
    def api(self) -> str:
        """The API's address of the repository."""
        prefix = "/api/v3" if self.twin.kind == "github" else "/api/v1"
        return f"{self.twin.url}{prefix}/repos/{self.shop.name}"

    @property
    def told(self) -> dict[str, Any]:
        """What the agent saw: its environment, its token, its tool's files."""
        return json.loads((self.folder / "told.json").read_text())

    def sign_in(self, token: str = TOKEN, login: str = "robot") -> str:
        """Sign the agents in by the forge's tool; return the tool's folder."""
        tool = "gh" if self.twin.kind == "github" else "tea"
        place = self.folder / tool
        place.mkdir(exist_ok=True)
        host = self.twin.url.partition("://")[2]
        if tool == "gh":
            text = f"{host}:\n  user: {login}\n  oauth_token: {token}\n"
            (place / "hosts.yml").write_text(text)
        else:
            entry = f"{{name: it, url: '{self.twin.url}/', token: {token}, user: {login}}}"
            (place / "config.yml").write_text(f"logins:\n- {entry}\n")
        return str(place)

    def command(self, *requests: dict[str, Any], **more: Any) -> list[str]:
        """Return the agent that opens these requests."""
        plan = {"home": self.twin.url, "api": self.api, "requests": requests, **more}
        plan["told"] = str(self.folder / "told.json")
        place = self.folder / f"plan{len(list(self.folder.glob('plan*')))}.json"
        place.write_text(json.dumps(plan))
        return script("opens_pull_request", place)

    def add(self, *requests: dict[str, Any], **more: Any) -> Project:
        """Add the forge and a project whose agent opens these requests."""
        services = self.plane.services
        services.forges.add(self.twin.url, "TOKEN_BOT", self.plane.clock())
        choice = services.forges.choose(None, self.shop.clone_url, None)
        return self.plane.register(
            self.shop.clone_url,
            self.command(*requests, **more),
            "shop",
            choice.columns | {"open_pr": "agent", "pr_sign_in": self.sign_in()},
        )

    def late(self, run: Run) -> Run:
        """Let the time in which a pull request may still show pass, and look again."""
        self.plane.clock.advance(GRACE_SECONDS + 30)
        return self.plane.reap(run)


@pytest.fixture(params=KINDS, name="scene")
def scene_at_a_twin(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """A plane and a twin; the user's home folder is the test's own, tea's sign-in in it."""
    home = tmp_path / "home"
    (home / ".config").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    with twin_of(request.param, tmp_path / "forge", monkeypatch) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_token(TOKEN, "robot")
        shop = twin.add_repository("acme/shop", writers=("bot", "robot"))
        with real_plane(tmp_path / "plane") as plane:
            yield Scene(plane, twin, shop, home / ".config")


def request_to(base: str = "main", **more: Any) -> dict[str, Any]:
    """Return a pull request as an agent opens one."""
    return {"base": base, "title": "Mend it", **more}


def start(scene: Scene, project: Project) -> Run:
    """Start a run whose agent has ended when this returns."""
    return scene.plane.see_end(scene.plane.start_running(project, task="Fix it."))


def is_delivered(plane: RealPlane, run_id: str) -> bool:
    """Inspect the run again after its pause; return True once it has delivered."""
    plane.clock.advance(60)
    plane.inspect_run(run_id)
    plane.rest()
    return plane.run(run_id).status == "succeeded"


def deliver(plane: RealPlane, run: Run) -> None:
    """Deliver a run's kept work, as a person's click does."""
    plane.services.salvage.deliver(run.id, deed(plane, "deliver"), None, plane.clock())
