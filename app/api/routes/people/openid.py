"""Routes of signing in at an identity provider; without one they do not exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.api.http.dependencies import own_address
from app.api.http.request_info import PROVIDER_BACK_PATH, PROVIDER_PATH
from app.api.http.site import Site
from app.api.plain import pages
from app.api.plain.form_content import own_path
from app.api.routes.people.sign_in import YES, SignInDesk, client_of
from app.errors import Refusal
from app.services.people.openid import BEGUN_LIFETIME, OpenIdSignIn, SignInRefused

DENIED = "The provider did not let you in, or you cancelled."
MISSET = "The provider refused Runyard's question: ask an admin."
OF_THE_PERSON = frozenset({"access_denied", "login_required", "interaction_required"})
# RFC 6749, 4.1.2.1
OF_THE_PROVIDER = frozenset(
    {
        *("invalid_request", "unauthorized_client", "unsupported_response_type"),
        *("invalid_scope", "server_error", "temporarily_unavailable"),
    }
)
log = structlog.get_logger()


def routes(openid: OpenIdSignIn, now: Callable[[], datetime], *, site: Site) -> APIRouter:
    """Build `/login/oidc`, the way to the provider, and `/login/oidc/callback`, the way back."""
    router = APIRouter(include_in_schema=False)
    desk = SignInDesk(site)

    @router.get(PROVIDER_PATH)
    def begin(request: Request, next: str = "", again: str = "") -> Response:
        wanted = own_path(next) or own_path(site.wanted_by(request)) or ""
        back, client = own_address(request, PROVIDER_BACK_PATH), client_of(request)
        try:
            begun = openid.begin(back, wanted, client, now(), is_again=again.lower() in YES)
        except Refusal as refusal:
            return pages.refused_sign_in_page(refusal)
        answer = RedirectResponse(begun.address, status_code=303)
        seconds = int(BEGUN_LIFETIME.total_seconds())
        site.set_provider_secret(answer, begun.state, begun.secret, seconds)
        return answer

    @router.get(PROVIDER_BACK_PATH)
    def end(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        secret = request.cookies.get(site.provider_cookie(state), "")
        cookie = request.cookies.get(site.cookie, "")
        back = own_address(request, PROVIDER_BACK_PATH)
        try:
            if error or not code:
                raise SignInRefused(_sentence_of(error))
            ended = openid.end(secret, state, code, back, cookie, client_of(request), now())
        except Refusal as refusal:
            answer: Response = pages.refused_sign_in_page(refusal)
        else:
            answer = desk.let_in(request, ended.session, ended.wanted)
        if secret:
            site.forget_provider_secret(answer, state)
        return answer

    return router


def _sentence_of(error: str) -> str:
    if error in OF_THE_PERSON:
        return DENIED
    known = error if error in OF_THE_PROVIDER else "unknown"
    log.warning("identity_provider_refused", error=known)
    return MISSET
