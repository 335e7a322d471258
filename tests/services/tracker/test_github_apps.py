"""Signing in as a GitHub App: clocks that differ, refusals that are remembered, and counting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.adapters.forge import probe
from app.adapters.forge.github import probe as github_probe
from app.adapters.forge.github.app import REFUSED_SECONDS, AppSignIn
from app.adapters.forge.github.client import KeptAnswers
from app.adapters.forge.registry import ForgeRegistry
from app.services.ports import ForgeSilent
from tests.fakes.forges.github.rows import said
from tests.fakes.forges.github.twin import GithubApp, GithubTwin

APP = "4711"


class Clock:
    """The machine's clock, which a test moves; GitHub's goes with it, apart by `late`."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.late = timedelta(0)

    def __call__(self) -> datetime:
        return self.now

    def there(self) -> datetime:
        """Return GitHub's time."""
        return self.now - self.late


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def twin(tmp_path: Path, clock: Clock) -> Iterator[GithubTwin]:
    """A GitHub with a repository of acme."""
    with GithubTwin(tmp_path / "github") as twin:
        twin.now = clock.there
        twin.add_repository("acme/shop")
        yield twin
        twin.before = None


@cache
def private_key() -> RSAPrivateKey:
    """Return the App's private key."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: RSAPrivateKey) -> str:
    """Return a key as GitHub hands it out."""
    form = PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


@pytest.fixture
def app(twin: GithubTwin) -> GithubApp:
    """An App that is installed at acme."""
    return twin.add_app(APP, private_key().public_key(), "acme")


@pytest.fixture
def sign_in(twin: GithubTwin, clock: Clock, app: GithubApp) -> AppSignIn:
    """The App's sign-in."""
    return AppSignIn(f"{twin.url}/api/v3", APP, pem(private_key()), now=clock)


def refusal_of(sign_in: AppSignIn, owner: str) -> ForgeSilent:
    """Return the silence about what an account owns."""
    with pytest.raises(ForgeSilent) as raised:
        sign_in.bearer(owner)
    return raised.value


# --- clocks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [3, 30, -30])
def test_a_clock_that_is_wrong_by_minutes_stops_no_app(
    twin: GithubTwin, sign_in: AppSignIn, clock: Clock, minutes: int
) -> None:
    clock.late = timedelta(minutes=minutes)
    assert sign_in.slug()[0] == f"app-{APP}"
    assert sign_in.refused is None
    assert len(twin.asked) == 2, "the first claim was refused for its time"
    assert sign_in.bearer("acme").startswith("ghs_")
    assert len(twin.asked) == 4, "later ones keep GitHub's time"
    # it is set right
    clock.late = timedelta(0)
    assert sign_in.slug()[0] == f"app-{APP}"
    assert sign_in.refused is None


def test_a_key_that_is_refused_for_itself_is_not_tried_twice(
    twin: GithubTwin, app: GithubApp, clock: Clock
) -> None:
    other = generate_private_key(public_exponent=65537, key_size=2048)
    sign_in = AppSignIn(f"{twin.url}/api/v3", APP, pem(other), now=clock)
    for _ in range(2):
        with pytest.raises(ForgeSilent, match="refused the App's ID or private key"):
            sign_in.slug()
    assert len(twin.asked) == 1


# --- refusals --------------------------------------------------------------------------------


def test_an_account_without_the_app_is_asked_about_once_in_five_minutes(
    twin: GithubTwin, sign_in: AppSignIn, app: GithubApp, clock: Clock
) -> None:
    first = refusal_of(sign_in, "Globex")
    assert (first.needs_attention, first.retry_after) == (True, REFUSED_SECONDS)
    asked = len(twin.asked)
    clock.now += timedelta(seconds=60)
    second = refusal_of(sign_in, "globex")
    assert (str(second), second.retry_after) == (str(first), REFUSED_SECONDS - 60)
    assert len(twin.asked) == asked
    # the others are not held up
    assert sign_in.bearer("acme").startswith("ghs_")
    app.owners.append("globex")
    clock.now += timedelta(seconds=REFUSED_SECONDS)
    assert sign_in.bearer("globex").startswith("ghs_")


def test_a_token_that_is_not_lent_is_not_asked_for_again_at_once(
    twin: GithubTwin, sign_in: AppSignIn, clock: Clock
) -> None:
    suspended = said(403, "This installation has been suspended")
    twin.before = lambda method, _: suspended if method == "POST" else None
    for _ in range(3):
        assert refusal_of(sign_in, "acme").retry_after == REFUSED_SECONDS
    assert twin.calls("POST", "/access_tokens") == 1
    twin.before = lambda method, _: said(422, "No") if method == "POST" else None
    clock.now += timedelta(seconds=REFUSED_SECONDS)
    for _ in range(3):
        assert "lent the App no token: No" in str(refusal_of(sign_in, "acme"))
    assert twin.calls("POST", "/access_tokens") == 2
    twin.before = None
    clock.now += timedelta(seconds=REFUSED_SECONDS)
    assert sign_in.bearer("acme").startswith("ghs_")


def test_whoever_looks_where_the_app_is_installed_ends_the_pause(
    sign_in: AppSignIn, app: GithubApp
) -> None:
    refusal_of(sign_in, "globex")
    app.owners.append("globex")
    assert [one.owner for one in sign_in.installations()] == ["acme", "globex"]
    assert sign_in.bearer("globex").startswith("ghs_")


def test_a_token_that_was_refused_is_replaced_without_a_pause(
    twin: GithubTwin, sign_in: AppSignIn
) -> None:
    first = sign_in.bearer("acme")
    assert sign_in.renew("acme")
    assert sign_in.bearer("acme") != first


def test_no_answer_is_kept_for_a_claim_that_is_never_made_again(
    sign_in: AppSignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[tuple[str, str]] = []
    monkeypatch.setattr(KeptAnswers, "keep", lambda _, key, __: kept.append(key))
    sign_in.slug()
    sign_in.installations()
    assert kept == []


# --- counting, and slow addresses ------------------------------------------------------------


def test_what_an_app_and_the_checks_of_a_forge_ask_is_counted_at_that_forge(
    twin: GithubTwin, app: GithubApp
) -> None:
    twin.add_token("TOKEN_BOT")
    twin.now = lambda: datetime.now(UTC)
    row: Any = SimpleNamespace(
        id="forge_1",
        url=twin.url,
        kind="github",
        token=pem(private_key()),
        hook_secret=None,
        app_id=APP,
        acts_as="",
        checked_at=twin.now(),
    )
    anything = cast(Any, None)
    registry = ForgeRegistry(anything, anything, lambda: [row], lambda sealed: sealed)

    def is_counted() -> bool:
        asked = [path for _, path in twin.asked if path not in ("/version", "/meta")]
        return registry.spending()["forge_1"].requests == len(asked) > 0

    registry.inspect(twin.url, None, pem(private_key()), APP)
    assert is_counted()
    registry.inspect(twin.url, None, "TOKEN_BOT")
    assert is_counted()
    assert registry.sign_in(f"{twin.url}/acme/shop.git")
    assert is_counted()
    assert [one.full_name for one in registry.repositories("forge_1")] == ["acme/shop"]
    assert is_counted()


def test_an_address_that_sends_a_byte_now_and_then_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, sent = 0.0, 0

    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            nonlocal now, sent
            while True:
                now, sent = now + 9, sent + 1
                yield b" "

    def answer(request: httpx.Request) -> httpx.Response:
        kind = {"x-github-request-id": "1"}
        return httpx.Response(200, headers=kind, stream=Drip())

    made = httpx.Client
    monkeypatch.setattr(github_probe, "monotonic", lambda: now)
    monkeypatch.setattr(
        probe.httpx, "Client", lambda **_: made(transport=httpx.MockTransport(answer))
    )
    with pytest.raises(ForgeSilent, match="no forge answers"):
        probe.find_kind("https://drip.test")
    assert sent < 10
