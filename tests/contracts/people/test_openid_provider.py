"""The client of a provider of OpenID Connect: what it sends, takes, and does not take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import RSAKey

from app.adapters.people.openid_provider import OpenIdProvider
from app.services.ports import NotProved, Proof, ProvedIdentity, ProviderSilent
from tests.fakes.identity_provider import CLIENT, SECRET, IdentityTwin, identity_twin

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BACK = "https://runyard.example.org/login/oidc/callback"
PROOF = Proof("state-" + "s" * 30, "nonce-" + "n" * 30, "verifier-" + "v" * 40)


class Clock:
    """The time that both sides know."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def twin(clock: Clock) -> Iterator[IdentityTwin]:
    with identity_twin(clock) as twin:
        yield twin


@pytest.fixture
def provider(twin: IdentityTwin, clock: Clock) -> OpenIdProvider:
    return OpenIdProvider(twin.issuer, CLIENT, SECRET, clock)


def signed_in(provider: OpenIdProvider, twin: IdentityTwin, *, again: bool = False) -> Any:
    """Sign in there and return whom the provider's answer proves."""
    back = twin.sign_in(provider.address_for(PROOF, BACK, again=again))
    [code] = parse_qs(urlsplit(back).query)["code"]
    return provider.identity(PROOF, BACK, code)


def test_somebody_who_signs_in_is_known_by_issuer_and_subject(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.person = {
        "email": "ada@example.org",
        "email_verified": True,
        "name": "Ada Lovelace",
        "groups": ["engineers", 7],
    }
    assert signed_in(provider, twin) == ProvedIdentity(
        subject=f"{twin.issuer} {twin.subject}",
        email="ada@example.org",
        name="Ada Lovelace",
        groups=frozenset({"engineers"}),
    )
    # both are in the ID token: nothing else is asked for
    assert twin.asked == ["/.well-known/openid-configuration", "/token", "/keys"]


def test_what_the_id_token_leaves_out_is_asked_for(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.userinfo = {
        "sub": twin.subject,
        "email": "ada@example.org",
        "email_verified": True,
        "groups": ["engineers"],
    }
    known = signed_in(provider, twin)
    assert (known.email, known.groups) == ("ada@example.org", frozenset({"engineers"}))


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_is_not_verified_does_not_count(
    provider: OpenIdProvider, twin: IdentityTwin, verified: object
) -> None:
    twin.person = {"email": "ada@example.org", "email_verified": verified, "groups": []}
    assert signed_in(provider, twin).email is None


def test_to_prove_it_once_more_the_password_is_asked_for(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    address = provider.address_for(PROOF, BACK, again=True)
    asked = parse_qs(urlsplit(address).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert signed_in(provider, twin, again=True).proved_at == NOW


def test_a_renewed_key_is_looked_up_once_a_minute_at_most(
    provider: OpenIdProvider, twin: IdentityTwin, clock: Clock
) -> None:
    signed_in(provider, twin)
    twin.renew_key()
    with pytest.raises(NotProved):
        signed_in(provider, twin)
    clock.now += timedelta(minutes=1)
    assert signed_in(provider, twin).subject
    assert twin.asked.count("/keys") == 2


def changed(**changes: Any) -> Callable[[IdentityTwin], None]:
    def change(twin: IdentityTwin) -> None:
        for name, value in changes.items():
            setattr(twin, name, value)

    return change


def signed_by_a_stranger(twin: IdentityTwin) -> None:
    twin.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})


def signed_by_our_secret(twin: IdentityTwin) -> None:
    twin.key, twin.algorithm = SECRET.encode(), "HS256"


def signed_by_the_public_key(twin: IdentityTwin) -> None:
    twin.key, twin.algorithm = twin.key.as_pem(private=False), "HS256"


SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    "wrong",
    [
        changed(claims={"iss": "https://other.example"}),
        changed(claims={"iss": None}),
        changed(claims={"aud": "somebody-else"}),
        changed(claims={"aud": ["somebody-else", CLIENT], "azp": "somebody-else"}),
        changed(claims={"aud": None}),
        changed(claims={"nonce": "of another sign-in"}),
        changed(claims={"nonce": None}),
        changed(claims={"exp": SECONDS - 61}),
        changed(claims={"exp": None}),
        changed(claims={"iat": SECONDS + 3600}),
        changed(claims={"sub": None}),
        changed(claims={"sub": ""}),
        changed(claims={"sub": "s" * 256}),
        changed(claims={"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
        changed(algorithm="none"),
        changed(userinfo={"sub": "somebody else"}),
        signed_by_a_stranger,
        signed_by_our_secret,
        signed_by_the_public_key,
    ],
    ids=lambda wrong: getattr(wrong, "__name__", ""),
)
def test_an_answer_that_proves_nothing_is_not_taken(
    provider: OpenIdProvider, twin: IdentityTwin, wrong: Callable[[IdentityTwin], None]
) -> None:
    wrong(twin)
    with pytest.raises(NotProved):
        signed_in(provider, twin)


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://token.example"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "https://user@evil.example"},
    ],
)
def test_a_description_that_leads_astray_is_not_followed(
    provider: OpenIdProvider, twin: IdentityTwin, described: dict[str, Any]
) -> None:
    twin.described = described
    with pytest.raises(ProviderSilent):
        provider.address_for(PROOF, BACK, again=False)
    assert twin.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_provider_that_is_away_is_told_apart(
    provider: OpenIdProvider, twin: IdentityTwin, status: int
) -> None:
    twin.statuses = {"/.well-known/openid-configuration": status}
    with pytest.raises(ProviderSilent):
        provider.address_for(PROOF, BACK, again=False)
    twin.statuses = {}
    assert signed_in(provider, twin).subject


def test_nobody_at_the_address_is_a_provider_that_is_away(clock: Clock) -> None:
    with identity_twin(clock) as gone:
        pass
    provider = OpenIdProvider(gone.issuer, CLIENT, SECRET, clock)
    with pytest.raises(ProviderSilent):
        provider.address_for(PROOF, BACK, again=False)


def test_a_code_works_once_and_only_with_the_verifier_that_began(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    back = twin.sign_in(provider.address_for(PROOF, BACK, again=False))
    [code] = parse_qs(urlsplit(back).query)["code"]
    stolen = Proof(PROOF.state, PROOF.nonce, "another" + "v" * 40)
    with pytest.raises(NotProved):
        provider.identity(stolen, BACK, code)
    with pytest.raises(NotProved):
        provider.identity(PROOF, BACK, code)
