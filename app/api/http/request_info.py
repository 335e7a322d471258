"""Parsed facts about a request or a websocket handshake."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READ_METHODS = frozenset({"GET", "HEAD"})
SIGN_IN_PATH = "/login"
INVITATION_PATH = "/login/invitation"
PROVIDER_PATH, PROVIDER_BACK_PATH = "/login/oidc", "/login/oidc/callback"
# whose forms have a password or a one-time secret
SECRET_PATHS = frozenset({SIGN_IN_PATH, INVITATION_PATH})
SIGN_IN_PATHS = frozenset({SIGN_IN_PATH, INVITATION_PATH, PROVIDER_PATH, PROVIDER_BACK_PATH})
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
# the manifest and the service worker of the pages are the same for everybody
OPEN_PATHS = HEALTH_PATHS | SIGN_IN_PATHS | {"/manifest.webmanifest", "/sw.js"}
OPEN_FOLDER = "/assets/"
HOOKS = "/api/v1/hooks/"
OWN_SITE = frozenset({"", "none", "same-origin"})
NDJSON = "application/x-ndjson"
MAX_BODY = 1024 * 1024
MAX_SECRET_BODY = 8 * 1024
MAX_BATCH_BODY = 64 * 1024 * 1024

_HEARD = frozenset(
    {
        b"host", b"origin", b"cookie", b"authorization", b"accept", b"content-type",
        b"content-length", b"transfer-encoding", b"x-correlation-id",
        b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest",
    }
)  # fmt: skip
_ODD_PATH = re.compile(r"//|[\\;\x00-\x1f\x7f]|/\.{1,2}(?:/|\Z)")
_ODD_RAW_PATH = re.compile(rb"%2e%2e|%2f|%5c|%00", re.IGNORECASE)
# the only path with a client-chosen segment: all of it is one key
_KEY_RESET = re.compile(rb"/api/v1/idempotency-keys/[^/]+/reset")
_CORRELATION = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_BATCH_ITEMS = re.compile(r"/api/v1/batches/[^/]+/items")


@dataclass(slots=True)
class RequestInfo:
    """One request as sent; values of a repeated header are joined."""

    is_socket: bool
    method: str
    path: str
    raw_path: bytes
    query: bytes
    scheme: str
    headers: dict[bytes, str]

    @classmethod
    def of(cls, scope: Any) -> RequestInfo:
        """Read an ASGI scope of type http or websocket."""
        heard: dict[bytes, str] = {}
        for name, value in scope["headers"]:
            if name in _HEARD:
                text = value.decode("latin-1")
                glue = "; " if name == b"cookie" else ", "
                heard[name] = heard[name] + glue + text if name in heard else text
        return cls(
            is_socket=scope["type"] == "websocket",
            method=scope.get("method", "GET"),
            path=scope["path"],
            raw_path=scope.get("raw_path") or b"",
            query=scope.get("query_string") or b"",
            scheme="https" if scope.get("scheme") in ("https", "wss") else "http",
            headers=heard,
        )

    @property
    def host(self) -> str:
        """The Host header: name and port."""
        return self.headers.get(b"host", "")

    @property
    def own_origin(self) -> str:
        """The origin of a page at this scheme and host."""
        return f"{self.scheme}://{self.host}"

    @property
    def target(self) -> str:
        """The requested path and query, as written."""
        path = self.raw_path.decode("latin-1") or self.path
        return f"{path}?{self.query.decode('latin-1')}" if self.query else path

    @property
    def correlation_id(self) -> str | None:
        """The client's correlation id, None if missing or malformed."""
        given = self.headers.get(b"x-correlation-id", "")
        return given if _CORRELATION.fullmatch(given) else None

    @property
    def bearer(self) -> str | None:
        """The bearer token of the Authorization header, None without one."""
        scheme, _, token = self.headers.get(b"authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def cookie(self, name: str) -> str | None:
        """Return a cookie by name; of duplicates the last, which is the one of the whole site."""
        found = None
        for pair in self.headers.get(b"cookie", "").split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                found = value.strip()
        return found

    @property
    def is_odd(self) -> bool:
        """True for a path that two programs could parse differently."""
        return not _KEY_RESET.fullmatch(self.raw_path) and (
            not self.path.startswith("/")
            or bool(_ODD_PATH.search(self.path))
            or bool(_ODD_RAW_PATH.search(self.raw_path))
        )

    @property
    def is_open(self) -> bool:
        """True for the paths that need no sign-in, and for the sign-in itself."""
        if self.is_socket or self.method not in READ_METHODS:
            return self.posts_secret or self.is_hook
        return self.path in OPEN_PATHS or self.path.startswith(OPEN_FOLDER)

    @property
    def asks_for_health(self) -> bool:
        """True for what a monitor asks, which may not know the server's public name."""
        return not self.is_socket and self.method in READ_METHODS and self.path in HEALTH_PATHS

    @property
    def is_hook(self) -> bool:
        """True for a delivery of a forge, whose signature the route checks."""
        return self.method == "POST" and self.path.startswith(HOOKS)

    @property
    def posts_secret(self) -> bool:
        """True for a form that posts a password or a one-time secret to sign a browser in."""
        return not self.is_socket and self.path in SECRET_PATHS and self.is_plain_form

    @property
    def is_from_a_file(self) -> bool:
        """True for a possible page from disk, whose origin browsers send as `null`."""
        return self.headers.get(b"origin") == "null"

    @property
    def is_api(self) -> bool:
        """True for paths below /api."""
        return self.path == "/api" or self.path.startswith("/api/")

    @property
    def wants_page(self) -> bool:
        """True if a person reads the response in a browser."""
        accepts = "text/html" in self.headers.get(b"accept", "")
        looks = self.method in READ_METHODS or self.is_plain_form
        return accepts and not self.is_api and looks

    @property
    def is_plain_form(self) -> bool:
        """True for a form post as sent by a page without scripts."""
        media_type = self.headers.get(b"content-type", "").partition(";")[0].strip().lower()
        return self.method == "POST" and media_type == "application/x-www-form-urlencoded"

    @property
    def changes_state(self) -> bool:
        """True for every method that is not safe (RFC 9110)."""
        return not self.is_socket and self.method not in SAFE_METHODS

    @property
    def is_foreign(self) -> bool:
        """True if the browser reports that a page of another origin sends this.

        Another port of this machine is another origin. A link followed from elsewhere is allowed.
        """
        origin = self.headers.get(b"origin")
        site = self.headers.get(b"sec-fetch-site", "")
        # a form of a page with no-referrer sends "null"; then Sec-Fetch-Site decides
        is_own = origin in (None, self.own_origin) or (origin == "null" and site == "same-origin")
        return not is_own or (site not in OWN_SITE and not self._follows_link)

    @property
    def _follows_link(self) -> bool:
        return (
            self.method in READ_METHODS
            and self.headers.get(b"sec-fetch-mode") == "navigate"
            and self.headers.get(b"sec-fetch-dest") == "document"
        )

    @property
    def proves_own_page(self) -> bool:
        """True if the browser reports a page of ours as the sender; websockets need the Origin."""
        if self.headers.get(b"origin") == self.own_origin:
            return True
        return not self.is_socket and self.headers.get(b"sec-fetch-site") == "same-origin"

    @property
    def has_body(self) -> bool:
        """True if a body follows the headers."""
        length = self.headers.get(b"content-length", "0")
        return length != "0" or b"transfer-encoding" in self.headers

    @property
    def body_cap(self) -> int:
        """The body limit in bytes."""
        if self.posts_secret:
            return MAX_SECRET_BODY
        return MAX_BATCH_BODY if _BATCH_ITEMS.fullmatch(self.path) else MAX_BODY

    @property
    def has_wrong_media_type(self) -> bool:
        """True for an API body whose media type a plain form of another site could send, too."""
        if not (self.is_api and self.changes_state and self.has_body):
            return False
        media_type = self.headers.get(b"content-type", "").partition(";")[0].strip().lower()
        return media_type != self.media_type_wanted

    @property
    def media_type_wanted(self) -> str:
        """The content type that the body must declare."""
        return NDJSON if _BATCH_ITEMS.fullmatch(self.path) else "application/json"
