"""A push service on loopback for tests, with the browsers behind it.

It takes only what RFC 8292 allows (signature, audience, expiry, contact), and decrypts each message
with the keys of its browser (RFC 8188, RFC 8291), by hand and not with the library that encrypts.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from time import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)

from app.adapters.notifications.web_push import WebPush
from app.services.ports import PushTarget
from tests.drivers.web.certificates import make_certificate

DAY = 86400
NAME = "localhost"


class NotAllowed(Exception):
    """A push that the service must refuse."""


@dataclass
class FakeBrowser:
    """A browser with one subscription; it gets what its push service takes."""

    name: str
    port: int
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    # with which it subscribed: only messages signed with it are taken
    server_key: str = ""

    @cached_property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """Its key."""
        return ec.generate_private_key(ec.SECP256R1())

    @property
    def point(self) -> bytes:
        """Its public key, as an uncompressed point."""
        return self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def target(self) -> PushTarget:
        """Its subscription."""
        return PushTarget(
            f"https://{NAME}:{self.port}/push/{self.name}", encode(self.point), encode(self.auth)
        )

    @property
    def subscription(self) -> dict[str, Any]:
        """Its subscription, as `PushSubscription.toJSON()` gives it."""
        keys = {"p256dh": self.target.p256dh, "auth": self.target.auth}
        return {"endpoint": self.target.endpoint, "expirationTime": None, "keys": keys}

    def decrypt(self, body: bytes) -> bytes:
        """Decrypt a message of one record (RFC 8291, section 3.4; RFC 8188, section 2)."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        if not len(sealed) <= size <= 4096 or len(body) > 4096:
            raise NotAllowed("not one record")
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self.private.exchange(ec.ECDH(), peer)
        about = b"WebPush: info\x00" + self.point + sender
        secret = HKDF(hashes.SHA256(), 32, self.auth, about).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(secret)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(secret)
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        if padded[-1:] != b"\x02":
            raise NotAllowed("no last record")
        return padded[:-1]


@dataclass
class PushService:
    """An HTTPS server that gives `answers` in order and then 201; the path names the browser."""

    trust: Path
    port: int = 0
    answers: list[int | str | tuple[int, Mapping[str, str]]] = field(default_factory=list)
    browsers: dict[str, FakeBrowser] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def browser(self, name: str, server_key: str = "") -> FakeBrowser:
        """Return a browser that has subscribed here."""
        self.browsers[name] = FakeBrowser(name, self.port, server_key=server_key)
        return self.browsers[name]

    def pusher(self, **settings: Any) -> WebPush:
        """Return a pusher that reaches this service, and nothing else."""
        trust = ssl.create_default_context(cafile=str(self.trust))
        rules = {"may_reach": lambda address: ip_address(address).is_loopback}
        return WebPush(**{"trust": lambda: trust, **rules, **settings})

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one post: with a status, or (`hangs`) not before it is released."""
        body = request.rfile.read(int(request.headers["Content-Length"]))
        self.asked.append(request.path)
        answer = self.answers.pop(0) if self.answers else 201
        if answer == "hangs":
            self.release.wait(20)
            request.close_connection = True
            return
        status, headers = answer if isinstance(answer, tuple) else (int(answer), {})
        if status == 201:
            status = self._take(request, body)
        request.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            request.send_header(name, value)
        request.end_headers()

    def _take(self, request: BaseHTTPRequestHandler, body: bytes) -> int:
        browser = self.browsers.get(request.path.rpartition("/")[2])
        if browser is None:
            return 404
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            claims = self._verify(headers, browser)
            if headers.get("content-encoding") != "aes128gcm":
                raise NotAllowed("another encoding")
            if not 0 < int(headers["ttl"]) <= DAY:
                raise NotAllowed("no time to live")
            browser.got.append(json.loads(browser.decrypt(body)))
        except (NotAllowed, InvalidSignature, ValueError, KeyError) as problem:
            self.refusals.append(f"{type(problem).__name__}: {problem}")
            return 403
        browser.headers.append(headers)
        browser.claims.append(claims)
        return 201

    def _verify(self, headers: Mapping[str, str], browser: FakeBrowser) -> dict[str, Any]:
        """Verify `vapid t=<JWT>,k=<key>` (RFC 8292); return the claims."""
        scheme, _, rest = headers["authorization"].partition(" ")
        parts = dict(one.strip().split("=", 1) for one in rest.split(","))
        if scheme != "vapid" or (browser.server_key and parts["k"] != browser.server_key):
            raise NotAllowed("another server")
        signed, _, signature = parts["t"].rpartition(".")
        head, _, body = signed.partition(".")
        if json.loads(decode(head))["alg"] != "ES256":
            raise NotAllowed("another algorithm")
        raw = decode(signature)
        numbers = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(parts["k"]))
        der = utils.encode_dss_signature(*numbers)
        key.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
        claims = json.loads(decode(body))
        if claims["aud"] != f"https://{headers['host']}":
            raise NotAllowed("another audience")
        if not time() < claims["exp"] <= time() + DAY:
            raise NotAllowed("expired, or beyond a day")
        if not claims["sub"].startswith(("https://", "mailto:")):
            raise NotAllowed("no contact")
        return claims


@contextmanager
def push_service(folder: Path) -> Iterator[PushService]:
    """Run a push service for the length of a test, with a certificate in `folder`."""
    certificate, key = make_certificate(folder, NAME)
    service = PushService(certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            service.answer(self)

        def log_message(self, format: str, *_: Any) -> None:
            """Log nothing."""

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        # the handshake belongs to the thread of the connection
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        service.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield service
        finally:
            service.release.set()
            server.shutdown()
            thread.join(10)


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
