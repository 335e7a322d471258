"""Runs of projects at GitHub: its kinds of sign-in, and an App's tokens that end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.adapters.forge.github import client as github_client
from app.adapters.forge.github.app import AppSignIn
from app.errors import Invalid
from app.records.tables import ChangeRequest, ForgeServer, Project
from app.services.ports import ForgeSilent
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.twin import EVERYTHING, GithubApp, GithubTwin
from tests.fakes.forges.hosted import Hosted

APP = "4711"
BOT = "app-4711[bot]"


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubTwin]:
    """A GitHub with the repository acme/shop, to which an App may write."""
    # nobody counts the writes here
    monkeypatch.setattr(github_client, "WRITE_SECONDS", 0.0)
    with GithubTwin(tmp_path / "forge") as twin:
        twin.add_repository("acme/shop", writers=("bot", BOT))
        yield twin


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane with real repositories and processes."""
    with real_plane(tmp_path / "plane") as plane:
        yield plane


@pytest.fixture
def shop(twin: GithubTwin) -> Hosted:
    """The repository."""
    return twin.hosted["acme/shop"]


@cache
def private_key() -> RSAPrivateKey:
    """Return the App's private key."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem() -> str:
    """Return it as GitHub hands it out."""
    form = PrivateFormat.TraditionalOpenSSL
    return private_key().private_bytes(Encoding.PEM, form, NoEncryption()).decode()


@pytest.fixture
def app(twin: GithubTwin) -> GithubApp:
    """An App that is installed at acme."""
    return twin.add_app(APP, private_key().public_key(), "acme")


def add_app(plane: RealPlane, twin: GithubTwin) -> ForgeServer:
    """Add the forge with the App."""
    return plane.services.forges.add(twin.url, pem(), plane.clock(), app_id=APP)


def add_project(plane: RealPlane, shop: Hosted) -> Project:
    """Add the project."""
    choice = plane.services.forges.choose(None, shop.clone_url, None)
    return plane.register(shop.clone_url, COMMIT, "shop", choice.columns)


def test_an_app_acts_as_its_bot_from_the_issue_to_the_merge(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, app: GithubApp
) -> None:
    forge = add_app(plane, twin)
    assert (forge.kind, forge.acts_as, forge.app_id) == ("github", BOT, APP)
    assert (forge.missing, forge.may) == ([], ["push", "pull_requests", "issues"])
    assert "PRIVATE KEY" not in forge.token
    project = add_project(plane, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    assert plane.services.issues.claimable(project) == [number]
    run = plane.finish(project, issue=number)
    assert run.status == "succeeded", plane.lines(run)
    (pull,) = shop.pulls.values()
    assert (pull["user"]["login"], pull["head"]["label"]) == (BOT, run.work_branch)
    (change,) = plane.services.changes.all(project.id)
    merged = plane.services.changes.merge(project.id, change.number, plane.clock())
    assert merged.merged_sha == shop.git.tip(shop.place, "main")
    assert shop.issues[number]["state"] == "closed"
    # one token served the API and git alike
    assert app.lent == 1


def test_a_token_of_an_app_is_renewed_before_it_ends_so_that_a_push_does_not_outlive_it(
    twin: GithubTwin, app: GithubApp
) -> None:
    now = datetime.now(UTC)
    twin.now = lambda: now
    lent: list[str] = []
    sign_in = AppSignIn(f"{twin.url}/api/v3", APP, pem(), now=lambda: now, note=lent.append)
    first = sign_in.bearer("Acme")
    now += timedelta(minutes=44)
    assert sign_in.bearer("acme") == first
    # a quarter of an hour is too little for a push
    now += timedelta(minutes=2)
    second = sign_in.bearer("acme")
    assert lent == [first, second]
    with pytest.raises(ForgeSilent, match="not installed at somebody") as silence:
        sign_in.bearer("somebody")
    assert silence.value.needs_attention


def test_many_who_need_a_token_at_once_are_lent_one(twin: GithubTwin, app: GithubApp) -> None:
    sign_in = AppSignIn(f"{twin.url}/api/v3", APP, pem())
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(sign_in.bearer, ["acme"] * 8))
    assert (len(found), app.lent) == (1, 1)


def test_a_token_of_an_app_that_is_refused_is_replaced_at_once(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, app: GithubApp
) -> None:
    add_app(plane, twin)
    project = add_project(plane, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    assert plane.services.issues.claimable(project) == [number]
    for token in [*twin.ends]:
        del twin.tokens[token]
    assert plane.services.issues.claimable(project) == [number]
    assert app.lent == 2
    assert plane.services.forges.note_refusals() == 0


def test_what_an_app_was_lent_is_masked_in_what_agents_print(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, app: GithubApp
) -> None:
    add_app(plane, twin)
    add_project(plane, shop)
    (token,) = twin.ends
    masked = plane.services.secrets.mask().mask_text(f"{token}\n{pem()}")
    assert token not in masked
    assert not any(line in masked for line in pem().splitlines()[1:-1])


def test_an_app_names_what_it_was_not_granted(
    plane: RealPlane, twin: GithubTwin, app: GithubApp
) -> None:
    app.permissions["pull_requests"] = "read"
    forge = add_app(plane, twin)
    assert forge.may == ["push", "issues"]
    assert forge.needs_attention == "The App lacks pull requests: write."
    app.permissions["pull_requests"] = "write"
    app.owners.clear()
    checked = plane.services.forges.check(forge.id, plane.clock())
    assert (checked.may, checked.needs_attention) == ([], "The App is not installed anywhere.")


def test_an_app_that_may_not_read_ci_says_so_and_works(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, app: GithubApp
) -> None:
    app.accepted = {one: app.permissions[one] for one in EVERYTHING}
    del app.permissions["statuses"]
    forge = add_app(plane, twin)
    assert forge.may == ["push", "pull_requests", "issues"]
    assert forge.needs_attention == "The App lacks commit statuses: read, checks: read at acme."
    project = add_project(plane, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    assert plane.services.issues.claimable(project) == [number]


def test_where_an_app_may_push_its_installations_say_and_no_repository(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, app: GithubApp
) -> None:
    forge = add_app(plane, twin)
    listed = plane.services.forges.repositories(forge.id)
    assert [(one.full_name, one.may_push) for one in listed] == [("acme/shop", True)]
    app.accepted = app.permissions | {"contents": "read"}
    plane.clock.advance(1)
    forge = plane.services.forges.check(forge.id, plane.clock())
    assert [one.may_push for one in plane.services.forges.repositories(forge.id)] == [False]
    with pytest.raises(Invalid, match="may not push to it"):
        add_project(plane, shop)


def add_by_token(plane: RealPlane, twin: GithubTwin, shop: Hosted) -> Project:
    """Add the forge with a person's token, and the project."""
    twin.add_token("TOKEN_BOT")
    plane.services.forges.add(twin.url, "TOKEN_BOT", plane.clock())
    return add_project(plane, shop)


def refuse_to_close(twin: GithubTwin, status: int) -> None:
    """Let GitHub refuse to change issues."""
    refusal = status, {"message": "Repository was archived so is read-only."}
    twin.before = lambda method, path: refusal if method == "PATCH" and "/issues/" in path else None


@pytest.mark.parametrize("status", [403, 422])
def test_a_merge_whose_issue_cannot_be_closed_is_recorded_and_hides_nothing_behind_it(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, status: int
) -> None:
    project = add_by_token(plane, twin, shop)
    for title in ("Mend it", "Mend that"):
        plane.finish(project, issue=shop.write(title, "", "ready-for-agent"))
    assert isinstance(shop, GithubHosted)
    shop.default = "trunk"
    # the same file was added twice
    first, second = sorted(shop.pulls)
    shop.merge(first)
    shop.close(second)
    refuse_to_close(twin, status)
    assert plane.services.pull_requests.look_once(plane.clock()) == 2
    ends = {one.number: one.state for one in plane.services.changes.all(project.id)}
    assert ends == {first: "merged", second: "closed"}
    assert plane.services.pull_requests.look_once(plane.clock()) == 0


def test_a_merge_whose_issue_is_not_closed_in_an_outage_is_recorded_once_it_is(
    plane: RealPlane, twin: GithubTwin, shop: Hosted
) -> None:
    project = add_by_token(plane, twin, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    plane.finish(project, issue=number)
    assert isinstance(shop, GithubHosted)
    shop.default = "trunk"
    shop.merge(max(shop.pulls))
    refuse_to_close(twin, 500)
    assert plane.services.pull_requests.look_once(plane.clock()) == 0
    twin.before = None
    assert plane.services.pull_requests.look_once(plane.clock()) == 1
    (change,) = plane.services.changes.all(project.id)
    assert (change.state, shop.issues[number]["state"]) == ("merged", "closed")


@pytest.mark.parametrize("hidden", ["status", "check-runs"])
def test_a_change_whose_ci_cannot_be_read_is_left_to_a_person_and_asked_for_each_hour(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, hidden: str
) -> None:
    project = add_by_token(plane, twin, shop)
    check = {"name": "tests", "command": ["true"], "timeout_seconds": 60, "required": True}
    rules = {"enabled": True, "max_files": 3, "max_lines": 40}
    plane.ledgers.projects.change(project.id, checks=[check], autoland=rules)
    assert isinstance(shop, GithubHosted)
    desk = shop.github_desk
    desk.hidden = (hidden,)
    number = shop.write("Mend it", "", "ready-for-agent")
    run = plane.see_end(plane.start_running(plane.project(project.id), issue=number))
    # the agent, its check, and the delivery
    for _ in range(9):
        run = run if run.released_at else plane.see_end(run)
    assert run.head_sha is not None, plane.lines(run)
    desk.report(run.head_sha, "ci/elsewhere", "success")
    desk.run_job(run.head_sha, "build", "success", "")

    def look(seconds: float) -> ChangeRequest:
        plane.clock.advance(seconds)
        plane.services.pull_requests.look_once(plane.clock())
        plane.rest()
        plane.services.autoland.land_once(project.id)
        return plane.services.changes.all(project.id)[0]

    change = look(1)
    said = "Resource not accessible by personal access token."
    assert change.autoland_note == f"Not landed by itself: its CI cannot be read: {said}"
    assert (change.state, change.ci["state"]) == ("open", "unknown")
    asked = twin.calls("GET", "/check-runs")
    assert look(60).autoland_note == change.autoland_note
    assert twin.calls("GET", "/check-runs") == asked
    desk.hidden = ()
    change = look(3600)
    assert (change.state, change.ci["state"]) == ("merged", "passed")


def test_an_app_that_was_removed_from_an_account_is_no_strike_and_says_so(
    plane: RealPlane, twin: GithubTwin, shop: Hosted, app: GithubApp
) -> None:
    add_app(plane, twin)
    project = add_project(plane, shop)
    app.owners.clear()
    for token in [*twin.ends]:
        del twin.tokens[token]
    assert plane.services.issues.claimable(project) is None
    assert plane.project(project.id).strikes == 0


@pytest.mark.parametrize("key", ["", "garbage", "-----BEGIN RSA PRIVATE KEY-----\n\n"])
def test_a_key_that_is_none_is_refused_before_anything_is_kept(
    plane: RealPlane, twin: GithubTwin, app: GithubApp, key: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        plane.services.forges.add(twin.url, key, plane.clock(), app_id=APP)
    assert refusal.value.members["errors"][0]["field"] == "app"
    assert plane.services.forges.all() == []


def test_a_key_of_another_app_is_refused_and_nothing_is_kept(
    plane: RealPlane, twin: GithubTwin, app: GithubApp
) -> None:
    with pytest.raises(Invalid, match="refused"):
        plane.services.forges.add(twin.url, pem(), plane.clock(), app_id="1")
    assert plane.services.forges.all() == []


def test_a_fine_grained_token_is_tried_by_writes_that_change_nothing(
    plane: RealPlane, twin: GithubTwin, shop: Hosted
) -> None:
    twin.add_token("github_pat_BOT")
    forge = plane.services.forges.add(twin.url, "github_pat_BOT", plane.clock())
    assert (forge.missing, forge.may) == ([], ["push", "pull_requests", "issues"])
    project = add_project(plane, shop)
    number = shop.write("Mend it", "", "ready-for-agent")
    assert plane.services.issues.claimable(project) == [number]
    assert [*shop.issues] == [number]
    assert not shop.pulls
    writes_less = twin.add_token("github_pat_LESS", "bot", "contents", "issues")
    less = plane.services.forges.change(forge.id, plane.clock(), token=writes_less)
    assert (less.may, less.missing) == (["push", "issues"], ["pull requests: write"])
    # where its account may push nowhere, nobody knows what the token lacks
    reads = plane.services.forges.change(
        forge.id, plane.clock(), token=twin.add_token("github_pat_NONE", "outsider")
    )
    assert (reads.may, reads.missing) == ([], [])
