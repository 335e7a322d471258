"""Routes of signing in at an identity provider; without one they do not exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.api.http.dependencies import own_address
from app.api.http.request_info import PROVIDER_BACK_PATH, PROVIDER_PATH
from app.api.http.site import Site
from app.api.plain import pages
from app.api.plain.form_content import own_path
from app.api.routes.people.sign_in import SignInDesk, client_of
from app.errors import Refusal
from app.services.people.openid import BEGUN_LIFETIME, OpenIdSignIn, SignInRefused

DENIED = "The provider did not let you in, or you cancelled."


def routes(openid: OpenIdSignIn, now: Callable[[], datetime], *, site: Site) -> APIRouter:
    """Build `/login/oidc`, the way to the provider, and `/login/oidc/callback`, the way back."""
    router = APIRouter(include_in_schema=False)
    desk = SignInDesk(site)

    @router.get(PROVIDER_PATH)
    def begin(request: Request, next: str = "", again: bool = False) -> Response:
        wanted = own_path(next) or own_path(site.wanted_by(request)) or ""
        back = own_address(request, PROVIDER_BACK_PATH)
        try:
            begun = openid.begin(back, wanted, now(), is_again=again)
        except Refusal as refusal:
            return pages.refused_sign_in_page(refusal)
        answer = RedirectResponse(begun.address, status_code=303)
        site.set_provider_secret(answer, begun.secret, int(BEGUN_LIFETIME.total_seconds()))
        return answer

    @router.get(PROVIDER_BACK_PATH)
    def end(request: Request, state: str = "", code: str = "", error: str = "") -> Response:
        secret = request.cookies.get(site.provider_cookie, "")
        cookie = request.cookies.get(site.cookie, "")
        back = own_address(request, PROVIDER_BACK_PATH)
        try:
            if error or not code:
                raise SignInRefused(DENIED)
            ended = openid.end(secret, state, code, back, cookie, client_of(request), now())
        except Refusal as refusal:
            answer: Response = pages.refused_sign_in_page(refusal)
        else:
            answer = desk.let_in(request, ended.session, ended.wanted)
        site.forget_provider_secret(answer)
        return answer

    return router
