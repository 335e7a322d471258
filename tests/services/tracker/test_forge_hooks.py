"""What a signed delivery of a forge leads to, and what its texts cannot lead to."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.records.feed import Numbered, SweepWanted
from app.records.tables import ChangeRequest, ForgeServer, Project
from app.services.tracker import hooks
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.kinds import KINDS, twin_of
from tests.fakes.forges.recorded import SECRET, deliveries
from tests.fakes.forges.twin import ForgeTwin

# the recorded events after which lists of issues are read anew
OF_ISSUES = {"issues", "issue_assign", "issue_label", "pull_request"}


@dataclass
class Hooked:
    """A control plane with a project whose forge signs its hooks with SECRET."""

    plane: RealPlane
    twin: ForgeTwin
    hosted: Hosted
    forge: ForgeServer
    project: Project
    sweeps: list[Numbered]

    def deliver(self) -> ChangeRequest:
        """Have a run open a pull request; return it."""
        number = self.hosted.write("Mend it", "", "ready-for-agent")
        self.plane.finish(self.project, issue=number)
        return self.change()

    def change(self) -> ChangeRequest:
        """Return the project's one change as it is kept here."""
        (change,) = self.plane.services.changes.all(self.project.id)
        return change

    def take(self, told: Any, delivery: str = "", **headers: str) -> bool:
        """Take a signed delivery, and do what it asks for."""
        body = json.dumps(told).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if self.twin.kind == "github":
            signed = {"x-hub-signature-256": f"sha256={signature}"}
        else:
            signed = {"x-gitea-signature": signature}
        return self.take_whole(signed | {self.header("delivery"): delivery} | headers, body)

    def header(self, name: str) -> str:
        """Return a header as the forge calls it."""
        return f"x-{'github' if self.twin.kind == 'github' else 'gitea'}-{name}"

    def take_whole(self, headers: dict[str, str], body: bytes) -> bool:
        """Take a delivery as it was sent, and do what it asks for."""
        is_taken = self.plane.services.hooks.take(self.forge.id, headers, body)
        self.plane.rest()
        return is_taken


@pytest.fixture(params=KINDS)
def hooked(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hooked]:
    """The repository acme/hooked of a twin, as in the recordings."""
    with (
        twin_of(request.param, tmp_path / "forge", monkeypatch) as twin,
        real_plane(tmp_path / "plane") as plane,
    ):
        twin.add_token("TOKEN_BOT")
        name = "acme/hooked-h" if request.param == "gitea" else "acme/hooked"
        hosted = twin.add_repository(name)
        services = plane.services
        forge = services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
        choice = services.forges.choose(None, hosted.clone_url, None)
        project = plane.register(hosted.clone_url, COMMIT, "shop", choice.columns)
        plane.ledgers.forges.keep_hook_secret(forge.id, services.secret_key.sealer(SECRET))
        sweeps: list[Numbered] = []
        plane.feed.subscribe(sweeps.append, SweepWanted)
        plane.rest()
        yield Hooked(plane, twin, hosted, forge, project, sweeps)


def test_each_recorded_delivery_leads_to_one_look(hooked: Hooked) -> None:
    if hooked.twin.kind == "github":
        pytest.skip("none of GitHub was recorded")
    own = [one for one in deliveries() if one.name.startswith(hooked.twin.kind)]
    assert len(own) == 7
    hooked.deliver()
    for one in own:
        hooked.sweeps.clear()
        before = len(hooked.twin.asked)
        assert hooked.take_whole(one.headers, one.body)
        once = len(hooked.twin.asked)
        assert hooked.take_whole(one.headers, one.body)
        assert before < once == len(hooked.twin.asked), one.name
        assert len(hooked.sweeps) == (one.name.partition("-")[2] in OF_ISSUES), one.name


def test_a_delivery_that_says_a_request_was_merged_is_not_believed(hooked: Hooked) -> None:
    change = hooked.deliver()
    told = {
        "action": "closed",
        "number": change.number,
        "pull_request": {"number": change.number, "state": "closed", "merged": True},
        "repository": {"full_name": hooked.hosted.name},
        "sender": {"login": "acme", "id": 1},
    }
    asked = len(hooked.twin.asked)
    assert hooked.take(told)
    assert len(hooked.twin.asked) > asked
    assert hooked.change().state == "open"
    hooked.hosted.merge(change.number)
    assert hooked.take(told)
    assert hooked.change().state == "merged"


def test_only_so_many_deliveries_are_remembered(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MOST_DELIVERIES", 2)
    told = {"repository": {"full_name": hooked.hosted.name}}
    for delivery in ("one", "two", "three", "three", "two"):
        hooked.take(told, delivery)
    assert len(hooked.sweeps) == 3
    hooked.take(told, "one")
    assert len(hooked.sweeps) == 4, "the oldest is forgotten"


def test_an_unknown_repository_or_event_asks_for_nothing(hooked: Hooked) -> None:
    known = {"repository": {"full_name": hooked.hosted.name}}
    asked = len(hooked.twin.asked)
    assert hooked.take({"repository": {"full_name": "acme/another"}})
    assert hooked.take(known, **{hooked.header("event"): "star"})
    assert (hooked.sweeps, len(hooked.twin.asked)) == ([], asked)
    assert hooked.take(known, **{hooked.header("event"): "issues"})
    assert len(hooked.sweeps) == 1


def test_a_silent_forge_leaves_everything_as_it_is(hooked: Hooked) -> None:
    change = hooked.deliver()
    hooked.hosted.merge(change.number)
    hooked.twin.before = lambda _, __: (502, "<html>away</html>")
    assert hooked.take({"repository": {"full_name": hooked.hosted.name}})
    assert hooked.change().state == "open"


def test_the_secret_of_hooks_is_encrypted_and_masked(hooked: Hooked) -> None:
    forge = hooked.plane.services.forges.find(hooked.forge.id)
    assert forge.hook_secret
    assert SECRET not in forge.hook_secret
    assert SECRET not in hooked.plane.services.secrets.mask().mask_text(f"secret {SECRET}")
