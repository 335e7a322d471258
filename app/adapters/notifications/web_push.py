"""Sends messages to browsers by web push: RFC 8030, encrypted (RFC 8291), signed (RFC 8292).

The addresses come from browsers: only https, each name is resolved once and connected to if all of
its addresses may be used, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.adapters.forge.bodies import seconds_of
from app.domain.push.endpoints import NO_KEYS, decoded, endpoint_problem, is_public, keys_problem
from app.services.ports import NotTaken, PushSender, PushTarget, ReceiverGone

SECONDS = 15.0
# how long a push service keeps a message for a device that is off, seconds
KEPT_SECONDS = 86400
# the longest wait that a push service can ask for, seconds
LONGEST_WAIT = 86400
_GONE = frozenset({404, 410})
UNREACHABLE = "Its push service could not be reached, or did not answer."
ELSEWHERE = "Its push service is not in the public Internet."


@dataclass
class PushAnswer:
    """The answer of a push service, as pywebpush reads it; its body is not looked at."""

    status_code: int
    headers: Mapping[str, str]
    reason: str = ""
    text: str = field(default="", repr=False)


class WebPush:
    """A pusher on pywebpush, which is imported on first use, not at startup.

    `may_reach` decides on IP addresses, `trust` on certificates.
    """

    def __init__(
        self,
        *,
        may_reach: Callable[[str], bool] = is_public,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        seconds: float = SECONDS,
    ) -> None:
        self._may_reach = may_reach
        self._make_trust = trust
        self._seconds = seconds

    def make_key(self) -> str:
        """Make a private key: a number of 32 bytes, in base64url."""
        number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        return _encoded(number.to_bytes(32, "big"))

    def public_key(self, key: str) -> str:
        """Return the public key of a private one: an uncompressed point, in base64url."""
        private = ec.derive_private_key(int.from_bytes(decoded(key), "big"), ec.SECP256R1())
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return _encoded(point)

    def problem(self, target: PushTarget) -> str | None:
        """Return why a subscription cannot be used, None if it can."""
        if problem := endpoint_problem(target.endpoint) or keys_problem(target.p256dh, target.auth):
            return problem
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(target.p256dh))
        except ValueError:
            return NO_KEYS
        return None

    def push(self, target: PushTarget, payload: bytes, sender: PushSender) -> None:
        """Send a payload, waiting up to the timeout in seconds. Raises NotTaken, ReceiverGone."""
        if problem := self.problem(target):
            raise NotTaken(problem)
        try:
            _pywebpush().webpush(
                {
                    "endpoint": target.endpoint,
                    "keys": {"p256dh": target.p256dh, "auth": target.auth},
                },
                data=payload,
                vapid_private_key=sender.key,
                vapid_claims={"sub": sender.contact},
                ttl=KEPT_SECONDS,
                timeout=self._seconds,
                requests_session=cast(Any, self),
            )
        except NotTaken:
            raise
        except _pywebpush().WebPushException as refused:
            raise _refusal(refused.response) from None
        except Exception as problem:
            # an exception's text may contain the address: show only its type
            raise NotTaken(f"It failed: {type(problem).__name__}.") from None

    def post(
        self, endpoint: str, *, data: bytes, headers: Mapping[str, str], timeout: float
    ) -> PushAnswer:
        """Post an encrypted message, as pywebpush asks. Raises NotTaken."""
        parts = urlsplit(endpoint)
        host, port = parts.hostname or "", parts.port or 443
        address = self._address_of(host, port)
        # connects to the address that was checked; the certificate is still that of the name
        url = httpx.URL(endpoint).copy_with(host=address)
        headers = {**headers, "host": parts.netloc}
        request = httpx.Request(
            "POST", url, content=data, headers=headers, extensions={"sni_hostname": host}
        )
        try:
            return asyncio.run(asyncio.wait_for(self._send(request), timeout))
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError):
            raise NotTaken(UNREACHABLE) from None

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return self._make_trust()

    async def _send(self, request: httpx.Request) -> PushAnswer:
        async with httpx.AsyncClient(
            verify=self._trust, follow_redirects=False, trust_env=False, timeout=self._seconds
        ) as client:
            answer = await client.send(request, stream=True)
            await answer.aclose()
            return PushAnswer(answer.status_code, answer.headers)

    def _address_of(self, host: str, port: int) -> str:
        """Resolve a name; any address of it that may not be reached forbids it. Raises NotTaken."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NotTaken(UNREACHABLE) from None
        addresses = [str(one[4][0]) for one in found]
        if not addresses or not all(map(self._may_reach, addresses)):
            raise NotTaken(ELSEWHERE)
        return addresses[0]


def _refusal(answer: PushAnswer | None) -> NotTaken:
    if answer is None:
        return NotTaken("The message could not be encrypted.")
    because = f"Its push service answered {answer.status_code}."
    if answer.status_code in _GONE:
        return ReceiverGone(because)
    wait = seconds_of(answer.headers)
    return NotTaken(because, retry_after=None if wait is None else min(max(wait, 0), LONGEST_WAIT))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def _pywebpush() -> ModuleType:
    import pywebpush  # pyright: ignore[reportMissingTypeStubs]

    return pywebpush
