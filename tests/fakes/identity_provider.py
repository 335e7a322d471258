"""A provider of OpenID Connect on loopback that tells what a test wants, right or wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

CLIENT, SECRET = "runyard", "the secret of runyard"


@dataclass
class IdentityTwin:
    """The state of the provider: who is signed in there, and what is wrong with its answers.

    `claims` replace those of the ID token, None leaves one out; `described` those of its
    description. `key` signs by `algorithm`, one of bytes by HMAC; `shown` are the published keys.
    `bodies` replace whole answers, `given` parts of that for a code; `named` puts `kid` into the ID
    token. `hanging` paths wait until `gone` is set, `dripping` ones send a byte now and then.
    """

    now: Callable[[], datetime]
    port: int = 0
    subject: str = "248289761001"
    person: dict[str, Any] = field(default_factory=dict[str, Any])
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    userinfo: dict[str, Any] | None = None
    described: dict[str, Any] = field(default_factory=dict[str, Any])
    algorithm: str = "RS256"
    key: Any = None
    shown: list[Any] = field(default_factory=list[Any])
    statuses: dict[str, int] = field(default_factory=dict[str, int])
    asked: list[str] = field(default_factory=list[str])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    bodies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    given: dict[str, Any] = field(default_factory=dict[str, Any])
    named: bool = True
    hanging: set[str] = field(default_factory=set[str])
    dripping: set[str] = field(default_factory=set[str])
    gone: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    sent_bytes: int = 0
    accepted: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.key = self.key or RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.shown = self.shown or [self.key]

    @property
    def issuer(self) -> str:
        """Its address, as it calls itself."""
        return f"http://127.0.0.1:{self.port}"

    def sign_in(self, address: str) -> str:
        """Sign in where Runyard sent the browser; return where it is sent back to."""
        asked = {name: one[0] for name, one in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}/authorize?"), address
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def renew_key(self) -> None:
        """Replace the key that signs, as providers do now and then."""
        self.key = ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig"})
        self.algorithm, self.shown = "ES256", [self.key]

    # --- answers -------------------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Return the answer to discovery."""
        usual = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }
        return usual | self.described

    def keys(self) -> dict[str, Any]:
        """Return the public halves of its keys."""
        return {"keys": [one.as_dict(private=False) for one in self.shown]}

    def token(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Exchange a code once, for the client that began with it."""
        asked = self.codes.pop(sent.get("code", ""), None)
        own = "Basic " + base64.b64encode(f"{CLIENT}:{quote_plus(SECRET)}".encode()).decode()
        posted = (sent.get("client_id"), sent.get("client_secret")) == (CLIENT, SECRET)
        digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_right = asked is not None and asked["code_challenge"] == challenge
        if asked is None or not is_right or not (posted or authorization == own):
            return 400, {"error": "invalid_grant"}
        if sent["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        given = {"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 60}
        return 200, given | {"id_token": self._id_token(asked)} | self.given

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(self.now().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked.get("nonce"),
        }
        if "max_age" in asked:
            claims["auth_time"] = now
        claims |= self.person | self.claims
        told = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm} | ({"kid": self.shown[0].kid} if self.named else {})
        if isinstance(self.key, bytes):
            # by hand: no library would do it
            text = f"{_part(header)}.{_part(told)}"
            return f"{text}.{_encoded(hmac.digest(self.key, text.encode(), 'sha256'))}"
        if self.algorithm == "none":
            return f"{_part(header)}.{_part(told)}."
        return jws.serialize_compact(header, json.dumps(told), self.key)


def _part(told: dict[str, Any]) -> str:
    return _encoded(json.dumps(told).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _send(twin: IdentityTwin, path: str, body: bytes, to: BufferedIOBase) -> None:
    size = 1 if path in twin.dripping else 65536
    for start in range(0, len(body), size):
        part = body[start : start + size]
        to.write(part)
        twin.sent_bytes += len(part)
        if path in twin.dripping and twin.gone.wait(0.05):
            return


@contextmanager
def identity_twin(now: Callable[[], datetime]) -> Iterator[IdentityTwin]:
    """Serve a provider on a port that it picks."""
    twin = IdentityTwin(now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            known = {
                "/.well-known/openid-configuration": twin.description,
                "/keys": twin.keys,
                "/userinfo": self._userinfo,
            }
            self._answer(path, 200, known[path]() if path in known else {})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            form = parse_qs(self.rfile.read(length).decode())
            sent = {name: one[0] for name, one in form.items()}
            self._answer("/token", *twin.token(sent, self.headers.get("Authorization", "")))

        def _userinfo(self) -> dict[str, Any]:
            token = twin.given.get("access_token", "an-access-token")
            assert self.headers["Authorization"] == f"Bearer {token}"
            return {"sub": twin.subject} if twin.userinfo is None else twin.userinfo

        def _answer(self, path: str, status: int, told: Any) -> None:
            twin.asked.append(path)
            twin.accepted.append(self.headers.get("Accept-Encoding", ""))
            body = twin.bodies.get(path, json.dumps(told).encode())
            with suppress(OSError):
                if path in twin.hanging:
                    twin.waiting.release()
                    twin.gone.wait(30)
                self.send_response(twin.statuses.get(path, status))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                for name, value in twin.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                _send(twin, path, body, self.wfile)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    twin.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield twin
    finally:
        twin.gone.set()
        server.shutdown()
        thread.join()
        server.server_close()
