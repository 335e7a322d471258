"""The gate: security middleware that every request and websocket passes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.client.client import ApiProblem
from app.api.http.problems import answer_for, answer_to, fault_answer, is_silence
from app.api.http.proxies import Peers, TooManyOpen
from app.api.http.refusal_log import refusals
from app.api.http.request_info import (
    NDJSON,
    OPEN_FOLDER,
    READ_METHODS,
    SIGN_IN_PATHS,
    RequestInfo,
)
from app.api.http.response import (
    SIGNED_OUT,
    Exchange,
    Headers,
    OpenSessions,
    WatchedSocket,
    WatchedStream,
)
from app.api.http.site import Site
from app.api.plain import pages
from app.errors import Forbidden, NotSignedIn, OnlyOwnIssue, Refusal, StoreUnavailable
from app.logs import correlation, new_correlation_id
from app.services.people.accounts import Accounts
from app.services.people.visitor import Visitor
from app.services.rows import watched_writing

log = structlog.get_logger()

_SHIELD: Headers = [
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
# nicegui.js evaluates text and its pages hold inline scripts and styles: this policy keeps out
# foreign pages and hosts; injected text is kept out by cleaning everything that is shown
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self'{socket}; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self'; manifest-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_NO_STORE = (b"cache-control", b"no-store")
# for a year; other names of the domain are not ours to decide about
_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")


OF_ITEMS = "A batch takes its items as lines: send Content-Type: application/x-ndjson."


class UnknownHost(Refusal):
    """Runyard does not answer under this address."""

    code, status = "unknown_host", 400


class OddPath(Refusal):
    """This path can be read in more than one way."""

    code, status = "odd_path", 400


class WrongMediaType(Refusal):
    """The API takes JSON: send Content-Type: application/json."""

    code, status = "wrong_media_type", 415


class TooLarge(Refusal):
    """The request's content is too large."""

    code, status = "too_large", 413


def visitor_of(request: Request) -> Visitor:
    """Return the signed-in visitor. Raises NotSignedIn on an open path."""
    visitor = getattr(request.state, "visitor", None)
    if visitor is None:
        raise NotSignedIn
    return visitor


class Gate:
    """The outermost ASGI application: host, path, sign-in, origin, size, headers, faults.

    `command` prints a sign-in link on this machine. Everything needs sign-in except what
    `RequestInfo.is_open` names.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        accounts: Accounts,
        site: Site,
        now: Callable[[], datetime],
        command: str = pages.LOGIN_COMMAND,
    ) -> None:
        self._app = app
        self._accounts = accounts
        self._now = now
        self._site = site
        self._command = command
        self._sessions = OpenSessions()
        self._peers = Peers()
        # on loopback alone there is nothing to tell apart
        self._is_beyond = site.public_url is not None or bool(site.trusted)
        accounts.on_sign_out(self._sessions.check_again)
        self.names = site.names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request or websocket on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if self._is_beyond:
            scope = self._site.placed(scope)
        call = RequestInfo.of(scope)
        mark = correlation.set(call.correlation_id or new_correlation_id())
        cap = call.body_cap if call.has_body else None
        exchange = Exchange(receive, send, headers=self._headers_for(call), body_cap=cap)
        if self._is_beyond:
            with self._peers.one_more(scope) as is_too_many:
                await self._let_through(scope, call, exchange, is_too_many)
        else:
            await self._let_through(scope, call, exchange)
        # not after an exception: the server's own log line about it needs the id, too
        correlation.reset(mark)

    async def _let_through(
        self, scope: Scope, call: RequestInfo, exchange: Exchange, is_too_many: bool = False
    ) -> None:
        answer = self._serve_socket if call.is_socket else self._serve
        try:
            if is_too_many:
                raise TooManyOpen(retry_after=1)
            if self._is_sent_on(call):
                answer = self._send_on
            else:
                scope["state"] = {**scope.get("state", {}), "visitor": await self._admit(call)}
        except Refusal as refusal:
            await self._refuse(scope, call, exchange, refusal)
        else:
            await answer(scope, call, exchange)

    def _is_sent_on(self, call: RequestInfo) -> bool:
        """Return True for a browser to redirect to the page host. Raises UnknownHost, OddPath."""
        is_known = self._answers(call)
        asks_for_page = call.wants_page and (not call.is_open or call.path in SIGN_IN_PATHS)
        is_sent_on = (
            self.names.leads_to_pages(call.host)
            and (asks_for_page or (is_known and call.path in SIGN_IN_PATHS))
            and not call.is_socket
            and call.method in READ_METHODS
            and not (call.is_foreign or call.bearer)
        ) or (
            # not if foreign: after the redirect, the POST would no longer show its origin
            call.posts_secret
            and (call.is_from_a_file or not call.is_foreign)
            and is_known
            and self.names.leads_to_pages(call.host)
        )
        if not (is_known or is_sent_on):
            raise UnknownHost
        if call.is_odd:
            raise OddPath
        return is_sent_on

    def _answers(self, call: RequestInfo) -> bool:
        return self._is_own(call) or (self._site.public_url is not None and call.asks_for_health)

    def _is_own(self, call: RequestInfo) -> bool:
        is_right = self._site.public_url is None or call.scheme == "https"
        return is_right and self.names.has(call.host)

    async def _send_on(self, scope: Scope, call: RequestInfo, exchange: Exchange) -> None:
        place = f"{call.scheme}://{self.names.page_host(call.host)}{call.target}"
        # 307 repeats the POST, 303 turns it into a GET
        answer = RedirectResponse(place, status_code=307 if call.changes_state else 303)
        await answer(scope, exchange.receive, exchange.answer)

    async def _admit(self, call: RequestInfo) -> Visitor | None:
        """Return the authorized visitor, None on an open path. Raises a Refusal."""
        if call.posts_secret and call.is_from_a_file:
            return None
        visitor = None if call.is_open else await self._visitor(call)
        if visitor is None and not call.is_open:
            raise NotSignedIn
        own = visitor.own_issue if visitor is not None else None
        if own is not None and not own.opens(call.method, call.path):
            raise OnlyOwnIssue
        if call.is_foreign or (_needs_own_page(call, visitor) and not call.proves_own_page):
            raise Forbidden
        if call.has_wrong_media_type:
            raise WrongMediaType(OF_ITEMS if call.media_type_wanted == NDJSON else None)
        return visitor

    async def _visitor(self, call: RequestInfo) -> Visitor | None:
        # under any other host name, other servers on this machine get the cookie, too
        cookie = call.cookie(self._site.cookie) if self.names.is_of_pages(call.host) else None
        bearer = None if call.is_socket else call.bearer
        if cookie is None and bearer is None:
            return None
        known = self._accounts.recall(cookie, bearer, self._now())
        return known or await run_in_threadpool(self._accounts.who, cookie, bearer, self._now())

    async def _serve(self, scope: Scope, call: RequestInfo, exchange: Exchange) -> None:
        stream = WatchedStream(exchange, partial(self._is_signed_in, call))
        try:
            with self._sessions.here(stream), watched_writing():
                await self._app(scope, exchange.receive, stream.send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not stream.is_over or task is None:
                raise
            task.uncancel()
            await exchange.end()
            return
        except Exception as error:
            if exchange.has_left:
                log.info("request_abandoned", method=call.method, path=call.path, because=error)
                return
            if exchange.has_started:
                raise  # too late for a response: the server logs it and closes the connection
            fault = TooLarge() if exchange.is_too_large else error
            await self._answer_to(call, fault)(scope, exchange.receive, exchange.answer)
            return
        if exchange.is_too_large and not exchange.has_started:
            await self._refuse(scope, call, exchange, TooLarge())
        else:
            await exchange.finish()

    async def _serve_socket(self, scope: Scope, call: RequestInfo, exchange: Exchange) -> None:
        socket = WatchedSocket(exchange, partial(self._is_signed_in, call))
        with self._sessions.here(socket):
            await self._app(scope, socket.receive, socket.send)

    async def _is_signed_in(self, call: RequestInfo) -> bool:
        try:
            return call.is_open or await self._visitor(call) is not None
        except StoreUnavailable:
            return True  # an unavailable database signs nobody out

    async def _refuse(
        self, scope: Scope, call: RequestInfo, exchange: Exchange, refusal: Refusal
    ) -> None:
        refusals.record("WEBSOCKET" if call.is_socket else call.method, call.path, refusal.code)
        if call.is_socket:
            # a bare 403: with a response body, the server would also log an error
            await exchange.answer({"type": "websocket.close", "code": SIGNED_OUT})
            return
        answer = self._answer_to(call, refusal)
        if isinstance(refusal, NotSignedIn) and call.wants_page and call.method == "GET":
            # read only by the sign-in route, which redirects there
            self._site.set_wanted(answer, call.target)
        await answer(scope, exchange.receive, exchange.answer)

    def _answer_to(self, call: RequestInfo, error: Exception) -> Response:
        if isinstance(error, NotSignedIn):
            page = pages.sign_in_page(
                self._command,
                after_form=call.is_plain_form,
                with_password=self._accounts.has_passwords,
                provider=self._accounts.provider,
            )
            answer = page if call.wants_page else answer_for(error)
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        if isinstance(error, ApiProblem) and is_silence(error):
            # the page's own calls to the API found the database unavailable
            error = StoreUnavailable(error.detail, retry_after=2)
        if isinstance(error, Refusal):
            return answer_to(call, error)
        log.error("request_failed", method=call.method, path=call.path, exc_info=error)
        return pages.fault_page() if call.wants_page else fault_answer()

    def _headers_for(self, call: RequestInfo) -> Headers:
        headers = [
            (b"x-correlation-id", correlation.get().encode()),
            *_shield_for(call.own_origin if self._is_own(call) else ""),
        ]
        if not call.path.startswith((OPEN_FOLDER, "/_nicegui/")):
            headers.append(_NO_STORE)
        if self._site.public_url is not None:
            headers.append(_ONLY_TLS)
        return headers


def _needs_own_page(call: RequestInfo, visitor: Visitor | None) -> bool:
    is_browser = visitor is not None and visitor.csrf is not None
    return call.is_socket or (is_browser and call.changes_state)


@lru_cache(maxsize=64)
def _shield_for(origin: str) -> Headers:
    socket = f" ws{origin.removeprefix('http')}" if origin else ""
    policy = _POLICY.format(socket=socket)
    return [(b"content-security-policy", policy.encode()), *_SHIELD]
