"""The client of a provider of OpenID Connect: what it sends, takes, and does not take."""

from __future__ import annotations

import gzip
import json
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from threading import Barrier
from time import monotonic
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc.jwk import ECKey, RSAKey

from app.adapters.people import openid_provider
from app.adapters.people.openid_provider import MOST_BYTES, OpenIdProvider
from app.services.ports import NotProved, Proof, ProvedIdentity, ProviderSilent
from tests.drivers.planes import Clock
from tests.fakes.identity_provider import CLIENT, SECRET, IdentityTwin, identity_twin

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BACK = "https://runyard.example.org/login/oidc/callback"
PROOF = Proof("state-" + "s" * 30, "nonce-" + "n" * 30, "verifier-" + "v" * 40)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = NOW
    return clock


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
    clock.advance(60)
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
        changed(claims={"sub": "zero\x00"}),
        changed(claims={"groups": ["one"] * 10_001}),
        changed(claims={"at_hash": "AAAA"}, given={"access_token": {"an": "object"}}),
        changed(claims={"at_hash": 5}),
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
        {"authorization_endpoint": None},
        {"token_endpoint": None},
        {"jwks_uri": None},
        {"token_endpoint_auth_methods_supported": 5},
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
    provider: OpenIdProvider, twin: IdentityTwin, clock: Clock, status: int
) -> None:
    twin.statuses = {"/.well-known/openid-configuration": status}
    with pytest.raises(ProviderSilent):
        provider.address_for(PROOF, BACK, again=False)
    twin.statuses = {}
    # it is left alone for a while, and nobody waits for it
    clock.advance(9)
    with pytest.raises(ProviderSilent):
        provider.address_for(PROOF, BACK, again=False)
    assert twin.asked == ["/.well-known/openid-configuration"]
    clock.advance(1)
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


@pytest.mark.parametrize("odd", [10**13, -(10**13), 10**30, True, -1, 2**33 + 1])
def test_a_time_that_cannot_be_is_none(
    provider: OpenIdProvider, twin: IdentityTwin, odd: object
) -> None:
    twin.claims = {"auth_time": odd}
    assert signed_in(provider, twin).proved_at is None


@pytest.mark.parametrize("odd", ["A\ud800", "A\x00", "A\u202e", "A\n"])
def test_a_name_or_an_address_of_odd_characters_is_none(
    provider: OpenIdProvider, twin: IdentityTwin, odd: str
) -> None:
    twin.person = {"email": odd, "email_verified": True, "name": odd, "groups": []}
    known = signed_in(provider, twin)
    assert (known.email, known.name) == (None, None)


@pytest.mark.parametrize(
    ("told", "name"), [(" Ada ", "Ada"), ("a" * 101, "a" * 100), ("", None), ("  ", None)]
)
def test_a_name_is_trimmed(
    provider: OpenIdProvider, twin: IdentityTwin, told: str, name: str | None
) -> None:
    twin.person = {"name": told}
    assert signed_in(provider, twin).name == name


def test_one_group_may_be_a_text_and_many_are_not_cut(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.person = {"groups": "engineers"}
    assert signed_in(provider, twin).groups == {"engineers"}
    many = [f"group-{number}" for number in range(1500)]
    twin.person = {"groups": many}
    assert signed_in(provider, twin).groups == set(many)


BAD_KEYS: list[Any] = [
    {"kty": ["RSA"]},
    {"kty": "EC", "crv": "P-1", "x": "AA", "y": "AA"},
    {"kid": "first"},
    {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": 5},
    {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "first"},
    5,
]


@pytest.mark.parametrize(
    "body", [b"{}", b'{"keys":5}', b'{"keys":null}', b"[]", b"[" * 100_000, b"\xff"]
)
def test_keys_that_are_none_are_a_provider_that_is_silent(
    provider: OpenIdProvider, twin: IdentityTwin, body: bytes
) -> None:
    twin.bodies = {"/keys": body}
    with pytest.raises(ProviderSilent):
        signed_in(provider, twin)


@pytest.mark.parametrize("bad", BAD_KEYS)
def test_a_bad_key_beside_the_good_one_changes_nothing(
    provider: OpenIdProvider, twin: IdentityTwin, bad: Any
) -> None:
    twin.bodies = {"/keys": json.dumps({"keys": [bad]}).encode()}
    with pytest.raises(ProviderSilent):
        signed_in(provider, twin)
    twin.bodies = {"/keys": json.dumps({"keys": [bad, *twin.keys()["keys"]]}).encode()}
    assert signed_in(provider, twin).subject


def test_a_token_that_names_no_key_is_tried_with_those_that_fit(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    encrypting = RSAKey.generate_key(2048)
    others = [
        ECKey.generate_key("P-256", {"kid": "of another kind"}),
        RSAKey.import_key(encrypting.as_dict(private=False), {"kid": "x", "use": "enc"}),
        RSAKey.generate_key(2048, {"kid": "of its kind"}),
    ]
    twin.shown, twin.named = [*others, twin.key], False
    assert signed_in(provider, twin).subject
    twin.key = encrypting
    with pytest.raises(NotProved):
        signed_in(provider, twin)


def test_an_address_and_its_verification_are_of_one_document(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.person = {"email": "boss@example.org"}
    twin.userinfo = {"sub": twin.subject, "email_verified": True}
    assert signed_in(provider, twin).email is None
    twin.userinfo |= {"email": "ada@example.org"}
    assert signed_in(provider, twin).email == "ada@example.org"
    twin.person |= {"email_verified": False}
    assert signed_in(provider, twin).email is None


def test_a_userinfo_that_fails_is_needed_only_without_a_verified_address(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.statuses = {"/userinfo": 500}
    twin.person = {"email": "ada@example.org", "email_verified": True}
    assert signed_in(provider, twin).email == "ada@example.org"
    twin.person = {}
    with pytest.raises(ProviderSilent):
        signed_in(provider, twin)


@pytest.mark.parametrize("path", ["/token", "/keys", "/userinfo"])
@pytest.mark.parametrize("token", ["SECRET\r\nX: y", "SECRET\xe9", "SECRET\ud800"])
def test_what_is_raised_holds_nothing_of_the_answers(
    provider: OpenIdProvider, twin: IdentityTwin, path: str, token: str
) -> None:
    twin.given = {"access_token": token}
    if path != "/userinfo":
        twin.bodies = {path: b'{"access_token": "SECRET\xff"}'}
    with pytest.raises((ProviderSilent, NotProved)) as raised:
        signed_in(provider, twin)
    assert "SECRET" not in repr(raised.value.__cause__) + str(raised.value)
    assert "SECRET" not in "".join(traceback.format_exception(raised.value))


def test_a_header_that_cannot_be_read_is_not_told(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.headers = {"X SECRET": "SECRET"}
    with pytest.raises(ProviderSilent) as raised:
        provider.address_for(PROOF, BACK, again=False)
    assert "SECRET" not in repr(raised.value.__cause__)


def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.bodies = {"/.well-known/openid-configuration": b" " * (64 * MOST_BYTES)}
    with pytest.raises(ProviderSilent):
        provider.address_for(PROOF, BACK, again=False)
    assert twin.sent_bytes < 32 * MOST_BYTES
    assert twin.accepted == ["identity"]


def test_an_answer_that_is_packed_is_not_unpacked(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    twin.bodies = {"/keys": gzip.compress(json.dumps(twin.keys()).encode())}
    provider.address_for(PROOF, BACK, again=False)
    twin.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(ProviderSilent):
        signed_in(provider, twin)


def test_an_answer_that_drips_ends_in_time(
    provider: OpenIdProvider, twin: IdentityTwin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid_provider, "SECONDS", 0.5)
    twin.dripping = {"/.well-known/openid-configuration"}
    started = monotonic()
    with pytest.raises(ProviderSilent) as raised:
        provider.address_for(PROOF, BACK, again=False)
    assert "in time" in repr(raised.value.__cause__)
    # dripping to its end would take more than ten
    assert monotonic() - started < 5


def test_a_provider_that_hangs_holds_four_callers_at_most(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    path = "/.well-known/openid-configuration"
    twin.hanging, twin.statuses = {path}, {path: 500}
    inside = Barrier(5)

    def ask() -> bool:
        inside.wait(10)
        try:
            provider.address_for(PROOF, BACK, again=False)
        except ProviderSilent:
            return False
        return True

    with ThreadPoolExecutor(5) as callers:
        asking = [callers.submit(ask) for _ in range(5)]
        # the fifth does not wait for those that hang
        refused, waiting = wait(asking, timeout=5, return_when=FIRST_COMPLETED)
        assert (len(refused), len(waiting)) == (1, 4)
        twin.gone.set()
        assert [one.result(10) for one in asking] == [False] * 5
    # of the four, one asked and the others knew then
    assert twin.asked == [path]


def test_what_is_known_is_told_while_the_provider_hangs(
    provider: OpenIdProvider, twin: IdentityTwin
) -> None:
    back = twin.sign_in(provider.address_for(PROOF, BACK, again=False))
    [code] = parse_qs(urlsplit(back).query)["code"]
    twin.hanging = {"/token", "/keys"}
    with ThreadPoolExecutor(4) as callers:
        asking = [callers.submit(provider.identity, PROOF, BACK, code) for _ in range(4)]
        for _ in asking:
            assert twin.waiting.acquire(timeout=10)
        assert provider.address_for(PROOF, BACK, again=False)
        with pytest.raises(ProviderSilent):
            provider.identity(PROOF, BACK, code)
        # the fifth was refused at once: had it waited, the four would have ended before it
        assert not any(one.done() for one in asking)
        twin.gone.set()
        for one in asking:
            one.exception(10)
