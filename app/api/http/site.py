"""The site that this server is: its addresses, its cookies, and the proxies it believes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from app.api.http.host_names import LOOPBACK_NAMES, HostNames, PublicNames
from app.api.http.proxies import as_forwarded, hosts_of, peer_of, with_host
from app.api.http.request_info import SIGN_IN_PATH
from app.domain.system.addresses import HTTPS_PORT, Address, Network

# in the scope of calls that pages make in this process for a request already placed
PLACED = "runyard.placed"
MAX_WANTED, WANTED_SECONDS = 1000, 600


@dataclass(frozen=True)
class Site:
    """The addresses of this server and the names of its cookies.

    `port` is where it listens, `page_name` the host name of the pages: the cookie is accepted only
    there, and browsers are redirected to it. `further` are more Host values, each with its port
    where browsers send one. With `public_url` there is only that origin, and cookies are bound to
    it. Only the headers of `trusted` proxies say where a request comes from.
    """

    port: int
    page_name: str = LOOPBACK_NAMES[0]
    further: frozenset[str] = frozenset()
    public_url: str | None = None
    trusted: tuple[Network, ...] = ()

    @cached_property
    def names(self) -> HostNames:
        """The host names this server answers to."""
        if self.public_url is not None:
            return PublicNames(self.public_url)
        return HostNames(self.page_name, port=self.port, further=self.further)

    @cached_property
    def cookie(self) -> str:
        """The name of the session cookie; one per port, since ports of a host share cookies."""
        return self._cookie_named("runyard")

    @cached_property
    def wanted_cookie(self) -> str:
        """The name of the cookie that holds the page requested before sign-in."""
        return self._cookie_named("runyard_wanted")

    def provider_cookie(self, state: str) -> str:
        """The name of the cookie that ties a sign-in at the provider to its browser.

        One per sign-in, so that those of two tabs leave each other alone.
        """
        return self._cookie_named(f"runyard_oidc_{sha256(state.encode()).hexdigest()[:8]}")

    def set_provider_secret(self, answer: Response, state: str, secret: str, seconds: int) -> None:
        """Keep the secret of a begun sign-in in the browser; the provider's redirect sends it."""
        self._keep(answer, self.provider_cookie(state), secret, seconds)

    def forget_provider_secret(self, answer: Response, state: str) -> None:
        """Delete the secret of a begun sign-in."""
        self._delete(answer, self.provider_cookie(state), self._sign_in_path)

    def wanted_by(self, request: Request) -> str:
        """Return the page requested before sign-in, "" if there is none."""
        return unquote(request.cookies.get(self.wanted_cookie, ""))

    def set_wanted(self, answer: Response, target: str) -> None:
        """Remember the page requested before sign-in."""
        self._keep(answer, self.wanted_cookie, quote(target[:MAX_WANTED]), WANTED_SECONDS)

    def forget_wanted(self, answer: Response) -> None:
        """Delete the page requested before sign-in."""
        self._delete(answer, self.wanted_cookie, self._sign_in_path)

    def forget_session(self, answer: Response) -> None:
        """Delete the session cookie."""
        self._delete(answer, self.cookie, "/")

    def placed(self, scope: Scope) -> Scope:
        """Return a request as it reached the site: its peer, its scheme and its host.

        Under the public URL the scheme is https if the request came that way, and the host as
        browsers write it. A call with a bearer from this machine may also name a loopback address;
        it then counts as one to the public URL, so that the addresses in its answer are of use to
        people. A call that a page makes in this process is as the page's own request was.
        """
        if PLACED in scope:
            return scope
        sender = peer_of(scope)
        scope, proto = as_forwarded(scope, self.trusted)
        if self.public_url is None:
            return scope
        is_socket, hosts = scope["type"] == "websocket", hosts_of(scope)
        host = hosts[0].lower() if len(hosts) == 1 else ""
        own = self.public_url.removeprefix("https://")
        is_own = host in (own, f"{own}:{HTTPS_PORT}") and self._came_by_tls(sender, proto)
        is_here = sender is not None and sender.is_loopback and self._is_from_here(scope, host)
        if not is_own and not is_here:
            return {**scope, "scheme": "ws" if is_socket else "http"}
        scheme = "wss" if is_socket else "https"
        return {**scope, "scheme": scheme, "headers": with_host(scope["headers"], own)}

    def _came_by_tls(self, sender: Address | None, proto: str) -> bool:
        """Return True unless a request crossed a network in the clear, as far as can be told."""
        if not self.trusted or (sender is not None and sender.is_loopback):
            return proto not in ("http", "ws")
        # any other machine that is no trusted proxy goes around them: as_forwarded says "" of it
        return proto in ("https", "wss")

    def _is_from_here(self, scope: Scope, host: str) -> bool:
        peer = peer_of(scope)
        bearer = any(
            name == b"authorization" and value[:7].lower() == b"bearer "
            for name, value in scope["headers"]
        )
        is_here = peer is not None and peer.is_loopback and scope["type"] == "http"
        return is_here and bearer and host in {f"{name}:{self.port}" for name in LOOPBACK_NAMES}

    def _cookie_named(self, name: str) -> str:
        if self.public_url is None:
            return f"{name}_{self.port}"
        # browsers take a cookie of this name only with Secure, for the whole site and this host
        port = self.public_url.rpartition(":")[2]
        return f"__Host-{name}_{port}" if port.isdecimal() else f"__Host-{name}"

    @property
    def _sign_in_path(self) -> str:
        return SIGN_IN_PATH if self.public_url is None else "/"

    def _keep(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(
            name,
            value,
            max_age=seconds,
            path=self._sign_in_path,
            secure=self.public_url is not None,
            httponly=True,
            samesite="lax",
        )

    def _delete(self, answer: Response, name: str, path: str) -> None:
        is_secure = self.public_url is not None
        answer.delete_cookie(name, path=path, secure=is_secure, httponly=True, samesite="lax")
