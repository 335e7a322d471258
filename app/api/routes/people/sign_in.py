"""Routes for signing in by link or posted secret, signing out, and new links and tokens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.api.http.dependencies import own_address
from app.api.http.gate import visitor_of
from app.api.http.openapi import IN_A_BROWSER
from app.api.http.request_info import INVITATION_PATH, SIGN_IN_PATH, RequestInfo
from app.api.http.site import Site
from app.api.plain import pages
from app.api.plain.form_content import Sent, SentForm, own_path
from app.api.schemas import LoginLink, SignedOut, SignOut
from app.errors import BrowserNeeded, Forbidden, Invalid
from app.services.people.accounts import (
    POSTED_LIFETIME,
    SESSION_LIFETIME,
    Accounts,
    Client,
    NewSession,
)
from app.services.people.sign_in import SignInService, TooManyTries, WrongPassword
from app.services.projects.browser_rule import BrowserRule

HOME = "/"
NO_LINK = (
    "While a project is unsandboxed, its agents can read the token: for a sign-in link, run "
    "`runyard login-link` on the server's machine, in a terminal of yours."
)
ONLY_LOCAL = "Only the token of the data folder makes a sign-in link, no other one."
YES = frozenset({"1", "true", "on", "yes"})


def routes(
    accounts: Accounts,
    now: Callable[[], datetime],
    *,
    site: Site,
    command: str = pages.LOGIN_COMMAND,
    passwords: SignInService | None = None,
) -> APIRouter:
    """Build `GET /login`, `POST /login` and `POST /logout`; the gate must be in front of them.

    `command` prints a sign-in link on this machine; with `passwords` people also sign in by those.
    """
    router = APIRouter(include_in_schema=False)
    desk = SignInDesk(site)
    if passwords is not None:
        router.routes.extend(_invitation_routes(passwords, now, desk, command).routes)

    @router.get(SIGN_IN_PATH)
    def sign_in(request: Request, token: str = "", next: str = "") -> Response:
        session = accounts.sign_in(token, now(), client_of(request))
        if session is None and token:
            return pages.stale_link_page(command)
        if session is None:
            return pages.sign_in_page(
                command, with_password=accounts.has_passwords, provider=accounts.provider
            )
        return desk.let_in(request, session, next)

    @router.post(SIGN_IN_PATH)
    def sign_in_by_post(request: Request, sent: Sent) -> Response:
        client = client_of(request)
        if passwords is not None and sent.field("email"):
            return _by_password(passwords, request, sent, now(), desk)
        session = accounts.sign_in(sent.field("token"), now(), client, within=POSTED_LIFETIME)
        if session is None:
            return pages.stale_link_page(command)
        return desk.let_in(request, session, sent.field("next"))

    router.routes.extend(_sign_out_routes(accounts, desk, site).routes)
    return router


def _sign_out_routes(accounts: Accounts, desk: SignInDesk, site: Site) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.post("/logout")
    def sign_out(request: Request, sent: Sent) -> Response:
        if sent.field("everywhere").lower() in YES:
            accounts.sign_out_everywhere(visitor_of(request).person_id)
        elif cookie := request.cookies.get(site.cookie):
            accounts.sign_out(cookie)
        return desk.let_out()

    return router


def _invitation_routes(
    passwords: SignInService, now: Callable[[], datetime], desk: SignInDesk, command: str
) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(INVITATION_PATH)
    def invitation(token: str = "") -> Response:
        person = passwords.invited(token, now())
        if person is None:
            return pages.stale_link_page(command)
        return pages.invitation_page(token, person.email or person.name)

    @router.post(INVITATION_PATH)
    def accept(request: Request, sent: Sent) -> Response:
        _refuse_from_a_file(request)
        token = sent.field("token")
        try:
            session = passwords.accept(token, sent.field("password"), now(), client_of(request))
        except Invalid as problem:
            person = passwords.invited(token, now())
            email = (person.email or person.name) if person else ""
            return pages.invitation_page(token, email, problem.detail, status=problem.status)
        if session is None:
            return pages.stale_link_page(command)
        return desk.let_in(request, session, "")

    return router


def _by_password(
    passwords: SignInService,
    request: Request,
    sent: SentForm,
    now: datetime,
    desk: SignInDesk,
) -> Response:
    _refuse_from_a_file(request)
    email, password, code = (sent.field(name) for name in ("email", "password", "code"))
    try:
        session = passwords.sign_in(email, password, code, now, client_of(request))
    except (WrongPassword, TooManyTries) as refusal:
        return pages.wrong_password_page(refusal, email)
    return desk.let_in(request, session, sent.field("next"))


def client_of(request: Request) -> Client:
    """Return the address and browser of a request, for the list of sessions."""
    address = request.client.host if request.client else None
    return Client(address, request.headers.get("User-Agent"))


def _refuse_from_a_file(request: Request) -> None:
    """Raise Forbidden for a password's form that no page of ours has sent."""
    info = RequestInfo.of(request.scope)
    if info.is_from_a_file and not info.proves_own_page:
        raise Forbidden


class SignInDesk:
    """Sets and deletes the session cookie."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def let_in(self, request: Request, session: NewSession | None, named: str) -> Response:
        """Set the session cookie and redirect to the page requested before, on this site only.

        Without a session the browser keeps the one that it has.
        """
        wanted = own_path(named) or own_path(self._site.wanted_by(request))
        is_door = wanted is None or wanted.partition("?")[0] == SIGN_IN_PATH
        answer = RedirectResponse(HOME if is_door else str(wanted), status_code=303)
        if session is not None:
            answer.set_cookie(
                self._site.cookie,
                session.cookie,
                max_age=int(SESSION_LIFETIME.total_seconds()),
                httponly=True,
                samesite="lax",
                secure=request.url.scheme == "https",
            )
        if self._site.wanted_cookie in request.cookies:
            self._site.forget_wanted(answer)
        return answer

    def let_out(self) -> Response:
        """Delete the session cookie and redirect to the sign-in page."""
        answer = RedirectResponse(SIGN_IN_PATH, status_code=303)
        self._site.forget_session(answer)
        return answer


def api_routes(
    accounts: Accounts, now: Callable[[], datetime], rule: BrowserRule, *, site: Site
) -> APIRouter:
    """Build `POST /login-links`, `/logout` and `/token/rotate` below the API's base path."""
    router = APIRouter(tags=["sign-in"])

    @router.post("/login-links", status_code=201, responses=IN_A_BROWSER)
    def make_login_link(request: Request) -> LoginLink:
        """A link that signs in a browser once, within five minutes.

        While a project is unsandboxed, the token cannot get one: only `runyard login-link` on this
        machine, outside of runs, can.
        """
        visitor = visitor_of(request)
        if visitor.csrf is None and visitor.access_id is not None:
            raise Forbidden(ONLY_LOCAL)
        if visitor.csrf is None and not rule.lets_link_be_made():
            raise BrowserNeeded(NO_LINK, page=own_address(request, SIGN_IN_PATH))
        token = accounts.make_link_token(now())
        return LoginLink(url=f"{own_address(request, SIGN_IN_PATH)}?token={token}")

    @router.post("/logout")
    def sign_out(request: Request, order: SignOut | None = None) -> SignedOut:
        """End this browser's session; with `everywhere`, those of all your browsers.

        Their open pages and streams end too. The token stays valid: see `/token/rotate`.
        """
        if order is not None and order.everywhere:
            whose = visitor_of(request).person_id
            return SignedOut(ended=accounts.sign_out_everywhere(whose))
        if visitor_of(request).csrf is None:
            return SignedOut(ended=0)
        accounts.sign_out(request.cookies[site.cookie])
        return SignedOut(ended=1)

    @router.post("/token/rotate", status_code=204)
    def rotate_token() -> None:
        """Write a new token to the data folder's file; the old one is no longer accepted."""
        accounts.rotate_token()

    return router
