"""A provider of OpenID Connect: its description, its keys, and the ID tokens that it signs.

Addresses, PKCE and claims are authlib's, signatures joserfc's. Sources: OpenID Connect Core 1.0 and
Discovery 1.0, RFC 6749, RFC 7636.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote_plus, urlsplit

import httpx

from app.domain.system.addresses import is_provider_address
from app.services.ports import NotProved, Proof, ProvedIdentity, ProviderSilent

if TYPE_CHECKING:
    from collections.abc import Generator

SECONDS = 10.0
MOST_BYTES = 1024 * 1024
LEEWAY_SECONDS = 60
SCOPES = "openid email profile"
# a provider may change its keys and addresses
DESCRIBED_FOR = timedelta(hours=1)
# an unknown key is looked up at most this often
KEYS_AGAIN = timedelta(minutes=1)
# signatures that only the provider can make; never `none`, or one made with a shared secret
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LONGEST = 255
MOST_GROUPS = 1000
NO_PROOF = "The provider's answer does not prove who you are."


@dataclass(frozen=True)
class _Description:
    authorization: str
    token: str
    keys: str
    userinfo: str | None
    posts_secret: bool
    read_at: datetime


class OpenIdProvider:
    """A client of one provider; authlib and joserfc are imported on first use, not at startup."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str, now: Callable[[], datetime]
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._secret = client_secret
        self._now = now
        self._lock = Lock()
        self._known: _Description | None = None
        self._keys: tuple[Any, datetime] | None = None

    @property
    def host(self) -> str:
        """The provider's host, as people know it."""
        return urlsplit(self._issuer).hostname or self._issuer

    def address_for(self, proof: Proof, back: str, *, again: bool) -> str:
        """Return where a browser signs in. Raises ProviderSilent."""
        # authlib has no types
        parameters: Any = import_module("authlib.oauth2.rfc6749.parameters")
        pkce: Any = import_module("authlib.oauth2.rfc7636")
        more = {"prompt": "login", "max_age": "0"} if again else {}
        with self._asking() as known:
            address = parameters.prepare_grant_uri(
                known.authorization,
                client_id=self._client_id,
                response_type="code",
                redirect_uri=back,
                scope=SCOPES,
                state=proof.state,
                nonce=proof.nonce,
                code_challenge=pkce.create_s256_code_challenge(proof.verifier),
                code_challenge_method="S256",
                **more,
            )
        return str(address)

    def identity(self, proof: Proof, back: str, code: str) -> ProvedIdentity:
        """Return who a code stands for. Raises ProviderSilent and NotProved."""
        with self._asking() as known:
            given = self._exchanged(known, back, code, proof.verifier)
            claims = self._claims_of(known, given, proof.nonce)
            if known.userinfo is not None and not {"email", "groups"} <= claims.keys():
                bearer = {"Authorization": f"Bearer {given.get('access_token', '')}"}
                more = self._object(self._http.get(known.userinfo, headers=bearer))
                if more.get("sub") != claims["sub"]:
                    raise NotProved(NO_PROOF)
                claims = more | claims
        return _identity_of(self._issuer, claims)

    # --- the provider's answers ----------------------------------------------------------------

    @contextmanager
    def _asking(self) -> Generator[_Description]:
        try:
            yield self._described()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
            raise ProviderSilent(f"{self.host} did not answer as a provider does.") from problem

    def _described(self) -> _Description:
        known, now = self._known, self._now()
        if known is not None and known.read_at <= now < known.read_at + DESCRIBED_FOR:
            return known
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        told = self._object(self._http.get(address))
        if told.get("issuer") != self._issuer:
            raise ValueError("the description is another provider's")
        methods = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        userinfo = told.get("userinfo_endpoint")
        self._known = _Description(
            self._address(told["authorization_endpoint"]),
            self._address(told["token_endpoint"]),
            self._address(told["jwks_uri"]),
            None if userinfo is None else self._address(userinfo),
            posts_secret="client_secret_basic" not in methods,
            read_at=now,
        )
        return self._known

    def _exchanged(
        self, known: _Description, back: str, code: str, verifier: str
    ) -> dict[str, Any]:
        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": verifier,
        }
        own = {"client_id": self._client_id, "client_secret": self._secret}
        # RFC 6749, 2.3.1: both are encoded as in a form before they are joined
        basic = httpx.BasicAuth(*map(quote_plus, own.values()))
        if known.posts_secret:
            answer = self._http.post(known.token, data=sent | own)
        else:
            answer = self._http.post(known.token, data=sent, auth=basic)
        if answer.status_code in (400, 401):
            raise NotProved(NO_PROOF)
        return self._object(answer)

    def _claims_of(self, known: _Description, given: dict[str, Any], nonce: str) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        options: Any = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
            "sub": {"essential": True},
            "nonce": {"essential": True, "value": nonce},
        }
        own = {"nonce": nonce, "client_id": self._client_id}
        try:
            decoded = self._decoded(known, str(given.get("id_token", "")))
            own |= {"access_token": given["access_token"]} if "access_token" in given else {}
            claims: Any = CodeIDToken(decoded.claims, decoded.header, options, own)
            claims.validate(now=int(self._now().timestamp()), leeway=LEEWAY_SECONDS)
        except JoseError as refusal:
            raise NotProved(NO_PROOF) from refusal
        return dict(claims)

    def _decoded(self, known: _Description, token: str) -> Any:
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError
        from joserfc.jws import JWSRegistry

        registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
        try:
            return jwt.decode(token, self._key_set(known), registry=registry)
        except InvalidKeyIdError:
            # its keys were changed since
            return jwt.decode(token, self._key_set(known, is_unknown=True), registry=registry)

    def _key_set(self, known: _Description, *, is_unknown: bool = False) -> Any:
        from joserfc.jwk import KeySet

        with self._lock:
            now = self._now()
            lasts = KEYS_AGAIN if is_unknown else DESCRIBED_FOR
            if self._keys is None or not self._keys[1] <= now < self._keys[1] + lasts:
                keys: Any = self._object(self._http.get(known.keys))
                self._keys = KeySet.import_key_set(keys), now
            return self._keys[0]

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code != 200 or len(answer.content) > MOST_BYTES:
            raise ValueError(f"status {answer.status_code}, {len(answer.content)} bytes")
        told = answer.json()
        if not isinstance(told, dict):
            raise ValueError("no object")
        return dict(told)  # pyright: ignore[reportUnknownArgumentType]

    def _address(self, given: Any) -> str:
        if not isinstance(given, str) or not is_provider_address(given):
            raise ValueError("an address of the description cannot be used")
        return given

    @cached_property
    def _http(self) -> httpx.Client:
        # redirects are not followed: they would lead elsewhere than the description says
        return httpx.Client(timeout=SECONDS, trust_env=False)


def _identity_of(issuer: str, claims: dict[str, Any]) -> ProvedIdentity:
    subject, email = claims["sub"], claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST:
        raise NotProved(NO_PROOF)
    name, groups, proved = claims.get("name"), claims.get("groups"), claims.get("auth_time")
    is_verified = claims.get("email_verified") is True and isinstance(email, str)
    of_list = cast("list[Any]", groups)[:MOST_GROUPS] if isinstance(groups, list) else []
    return ProvedIdentity(
        subject=f"{issuer} {subject}",
        email=str(email) if is_verified else None,
        name=name[:LONGEST] if isinstance(name, str) else None,
        groups=frozenset(one for one in of_list if isinstance(one, str)),
        proved_at=datetime.fromtimestamp(proved, UTC) if isinstance(proved, int) else None,
    )
