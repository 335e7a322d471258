"""A provider of OpenID Connect: its description, its keys, and the ID tokens that it signs.

Addresses, PKCE and claims are authlib's, signatures joserfc's. Sources: OpenID Connect Core 1.0 and
Discovery 1.0, RFC 6749, RFC 7636.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from threading import BoundedSemaphore, Lock, Timer
from time import monotonic
from typing import Any, cast
from urllib.parse import quote_plus, urlsplit

import httpx

from app.domain.system.addresses import is_provider_address
from app.services.ports import NotProved, Proof, ProvedIdentity, ProviderSilent

# of one call, however many answers it needs and however slowly they come
SECONDS = 10.0
MOST_CALLS = 4
MOST_BYTES = 1024 * 1024
LEEWAY_SECONDS = 60
SCOPES = "openid email profile"
# a provider may change its keys and addresses
DESCRIBED_FOR = timedelta(hours=1)
# an unknown key is looked up at most this often
KEYS_AGAIN = timedelta(minutes=1)
# a provider that does not answer is left alone for a while
SILENT_FOR = timedelta(seconds=10)
# signatures that only the provider can make; never `none`, or one made with a shared secret
KINDS = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
# what userinfo is asked for if the ID token leaves it out
WANTED = {"email", "email_verified", "groups"}
# what reading an odd answer raises; RecursionError for one that is nested deeply
ODD = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class _Odd(Exception):
    """An answer that no provider gives, in words of ours: the log shows them."""


class _Call:
    """One call at the provider: its requests share one deadline, and no answer is too large."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._until = monotonic() + SECONDS
        self._sockets: list[Any] = []

    @property
    def left(self) -> float:
        """How many seconds are left. Raises _Odd if none is."""
        left = self._until - monotonic()
        if left <= 0:
            raise _Odd("no whole answer in time")
        return left

    def answer(self, method: str, address: str, **sent: Any) -> tuple[int, bytes]:
        """Return status and content, the latter only with status 200."""
        # timeouts of the client start anew with every byte that drips in
        end = Timer(self.left, self._hang_up)
        end.daemon = True
        end.start()
        more: dict[str, Any] = {"timeout": self.left, "extensions": {"trace": self._connected}}
        try:
            with self._http.stream(method, address, **sent, **more) as answer:
                content = self._content(answer) if answer.status_code == 200 else b""
        except httpx.TransportError:
            _ = self.left  # hung up by ourselves
            raise
        finally:
            end.cancel()
        _ = self.left  # a content without a length would seem to be complete
        return answer.status_code, content

    def object(self, method: str, address: str, **sent: Any) -> dict[str, Any]:
        """Return the object that is answered. Raises _Odd."""
        return _object_in(*self.answer(method, address, **sent))

    def _content(self, answer: httpx.Response) -> bytes:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise _Odd("an answer that is packed, which was not asked for")
        content = bytearray()
        for part in answer.iter_raw():
            content += part
            if len(content) > MOST_BYTES:
                raise _Odd(f"an answer of more than {MOST_BYTES} bytes")
        return bytes(content)

    def _connected(self, event: str, told: dict[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._sockets.append(told["return_value"].get_extra_info("socket"))
            if monotonic() >= self._until:
                self._hang_up()

    def _hang_up(self) -> None:
        for one in list(self._sockets):
            with suppress(OSError):
                # of the socket below TLS: another thread is reading
                socket.socket.shutdown(one, socket.SHUT_RDWR)


def _object_in(status: int, content: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer. Raises _Odd, which tells nothing of it."""
    if status != 200:
        raise _Odd(f"status {status}")
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        # a UnicodeDecodeError holds all that it could not read
        raise _Odd("an answer that is not JSON") from None
    if not isinstance(told, dict):
        raise _Odd("an answer that is no object")
    return cast("dict[str, Any]", told)


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
        self._calls = BoundedSemaphore(MOST_CALLS)
        # held by whoever reads the description or the keys; what is known is read without it
        self._reading = Lock()
        self._known: _Description | None = None
        self._failed_at: datetime | None = None
        self._keys: tuple[list[Any], datetime] | None = None

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
        with self._silence():
            known = self._fresh() or self._described_in_a_call()
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
        with self._asking() as call:
            known = self._described(call)
            given = self._exchanged(call, known, back, code, proof.verifier)
            claims = self._claims_of(call, known, given, proof.nonce)
            more: dict[str, Any] = {}
            if known.userinfo is not None and not claims.keys() >= WANTED:
                more = self._userinfo(call, known.userinfo, given, claims)
            if more and more.get("sub") != claims["sub"]:
                raise NotProved from _Odd("userinfo is of somebody else")
            return ProvedIdentity.of_claims(self._issuer, claims, more)

    # --- the provider's answers ----------------------------------------------------------------

    @contextmanager
    def _asking(self) -> Generator[_Call]:
        with self._silence():
            if not self._calls.acquire(blocking=False):
                raise _Odd(f"{MOST_CALLS} calls are waiting for it")
            try:
                yield _Call(self._http)
            finally:
                self._calls.release()

    @contextmanager
    def _silence(self) -> Generator[None]:
        # the log prints the cause: of the library's, only those that hold no part of an answer
        silent = ProviderSilent(f"{self.host} did not answer as a provider does.")
        try:
            yield
        except (_Odd, httpx.ConnectError, httpx.TimeoutException) as problem:
            raise silent from problem
        except (httpx.HTTPError, httpx.InvalidURL, *ODD) as problem:
            raise silent from _Odd(type(problem).__name__)

    def _described_in_a_call(self) -> _Description:
        with self._asking() as call:
            return self._described(call)

    def _fresh(self) -> _Description | None:
        known, now = self._known, self._now()
        is_fresh = known is not None and known.read_at <= now < known.read_at + DESCRIBED_FOR
        return known if is_fresh else None

    def _described(self, call: _Call) -> _Description:
        if (known := self._fresh()) is not None:
            return known
        with self._turn(call):
            if (known := self._fresh()) is not None:
                return known
            failed, now = self._failed_at, self._now()
            if failed is not None and failed <= now < failed + SILENT_FOR:
                raise _Odd("it did not answer a moment ago")
            read: _Description | None = None
            try:
                read = self._known = self._read_description(call)
                return read
            finally:
                self._failed_at = self._now() if read is None else None

    @contextmanager
    def _turn(self, call: _Call) -> Generator[None]:
        if not self._reading.acquire(timeout=call.left):
            raise _Odd("another call is still waiting for it")
        try:
            yield
        finally:
            self._reading.release()

    def _read_description(self, call: _Call) -> _Description:
        now = self._now()
        told = call.object("GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if told.get("issuer") != self._issuer:
            raise _Odd("the description is another provider's")
        methods = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if not isinstance(methods, list):
            raise _Odd("the description has no list of ways to sign in")
        userinfo = told.get("userinfo_endpoint")
        return _Description(
            self._address(told.get("authorization_endpoint")),
            self._address(told.get("token_endpoint")),
            self._address(told.get("jwks_uri")),
            None if userinfo is None else self._address(userinfo),
            posts_secret="client_secret_basic" not in methods,
            read_at=now,
        )

    def _userinfo(
        self, call: _Call, address: str, given: dict[str, Any], claims: dict[str, Any]
    ) -> dict[str, Any]:
        token = given.get("access_token")
        try:
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                raise _Odd("no access token that can be sent")
            return call.object("GET", address, headers={"Authorization": f"Bearer {token}"})
        except (_Odd, httpx.HTTPError):
            # it only adds to an ID token that says enough
            if ProvedIdentity.of_claims(self._issuer, claims, {}).email is None:
                raise
            return {}

    def _exchanged(
        self, call: _Call, known: _Description, back: str, code: str, verifier: str
    ) -> dict[str, Any]:
        sent = {"grant_type": "authorization_code", "code": code}
        sent |= {"redirect_uri": back, "code_verifier": verifier}
        own = {"client_id": self._client_id, "client_secret": self._secret}
        # RFC 6749, 2.3.1: both are encoded as in a form before they are joined
        basic = httpx.BasicAuth(*map(quote_plus, own.values()))
        how = {"data": sent | own} if known.posts_secret else {"data": sent, "auth": basic}
        status, content = call.answer("POST", known.token, **how)
        if status in (400, 401):
            raise NotProved from _Odd(f"status {status} for the code")
        return _object_in(status, content)

    def _claims_of(
        self, call: _Call, known: _Description, given: dict[str, Any], nonce: str
    ) -> dict[str, Any]:
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
            decoded = self._decoded(call, known, str(given.get("id_token", "")))
            token = given.get("access_token")
            if isinstance(token, str) and token:
                own["access_token"] = token
            elif "at_hash" in decoded.claims:
                raise NotProved from _Odd("at_hash without an access token")
            claims: Any = CodeIDToken(decoded.claims, decoded.header, options, own)
            claims.validate(now=int(self._now().timestamp()), leeway=LEEWAY_SECONDS)
        except (JoseError, *ODD) as refusal:
            # the claims that are looked at are ours, what the token says of them is not
            why = f"{type(refusal).__name__} {getattr(refusal, 'claim', '')}"
            raise NotProved from _Odd(f"the ID token: {why.strip()}")
        return {name: told for name, told in claims.items() if told is not None}

    def _decoded(self, call: _Call, known: _Description, token: str) -> Any:
        from joserfc import jwt
        from joserfc.errors import BadSignatureError, JoseError
        from joserfc.jws import JWSRegistry, extract_compact

        registry = JWSRegistry(algorithms=list(KINDS), strict_check_header=False)
        header = extract_compact(token.encode(), registry=registry).headers()
        tried: list[Any] = []
        # if none fits, its keys may have been changed since
        for is_unknown in (False, True):
            for key in self._key_list(call, known, is_unknown=is_unknown):
                if key in tried or not _fits(key, header):
                    continue
                tried.append(key)
                with suppress(JoseError, *ODD):
                    return jwt.decode(token, key, registry=registry)
        raise BadSignatureError

    def _key_list(self, call: _Call, known: _Description, *, is_unknown: bool) -> list[Any]:
        lasts = KEYS_AGAIN if is_unknown else DESCRIBED_FOR
        if (keys := self._fresh_keys(lasts)) is not None:
            return keys
        with self._turn(call):
            if (keys := self._fresh_keys(lasts)) is not None:
                return keys
            now = self._now()
            keys = _keys_in(call.object("GET", known.keys))
            self._keys = keys, now
            return keys

    def _fresh_keys(self, lasts: timedelta) -> list[Any] | None:
        keys, now = self._keys, self._now()
        return keys[0] if keys is not None and keys[1] <= now < keys[1] + lasts else None

    def _address(self, given: Any) -> str:
        if not isinstance(given, str) or not is_provider_address(given):
            raise _Odd("an address of the description cannot be used")
        return given

    @cached_property
    def _http(self) -> httpx.Client:
        # redirects are not followed: they would lead elsewhere than the description says
        # no connection is kept, so that the deadline of a call knows its own
        return httpx.Client(
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
            limits=httpx.Limits(max_keepalive_connections=0),
        )


def _keys_in(told: dict[str, Any]) -> list[Any]:
    """Return the public keys that can be read. Raises _Odd if there is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    shown = told.get("keys")
    keys: list[Any] = []
    for one in cast("list[Any]", shown) if isinstance(shown, list) else []:
        with suppress(JoseError, UnsupportedAlgorithm, *ODD):
            if one["kty"] in KINDS.values():
                keys.append(JWKRegistry.import_key(one))
    if not keys:
        raise _Odd("no key that can be read")
    return keys


def _fits(key: Any, header: dict[str, Any]) -> bool:
    # OpenID Connect Core, 10.1: a token names its key only if several fit
    is_named = header.get("kid") is None or key.kid == header["kid"]
    is_of_kind = key.key_type == KINDS.get(header["alg"])
    is_for_it = key.get("use") in (None, "sig") and key.get("alg") in (None, header["alg"])
    return is_named and is_of_kind and is_for_it
