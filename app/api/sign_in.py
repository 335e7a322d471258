"""Signing in by a link, signing out, and the link itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from app.api import plain_pages
from app.api.gate import cookie_name
from app.api.schemas import LoginLink
from app.services.accounts import SESSION_LIFETIME, Accounts


def routes(accounts: Accounts, now: Callable[[], datetime], *, port: int) -> APIRouter:
    """`GET /login` and `POST /logout`; they stand behind the gate."""
    router = APIRouter()
    name = cookie_name(port)

    @router.get("/login", include_in_schema=False)
    def sign_in(request: Request, token: str = "") -> Response:
        session = accounts.sign_in(token, now())
        if session is None:
            return plain_pages.stale_link_page() if token else plain_pages.sign_in_page()
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            name,
            session.cookie,
            max_age=int(SESSION_LIFETIME.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout", include_in_schema=False)
    def sign_out(request: Request) -> Response:
        cookie = request.cookies.get(name)
        if cookie:
            accounts.sign_out(cookie)
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(name, httponly=True, samesite="lax")
        return answer

    return router


def link_routes(accounts: Accounts, now: Callable[[], datetime]) -> APIRouter:
    """`POST /login-links`, below the API's base path."""
    router = APIRouter(tags=["sign-in"])

    @router.post("/login-links", status_code=201)
    def make_login_link(request: Request) -> LoginLink:
        """A link that signs a browser in once, within five minutes."""
        token = accounts.make_link_token(now())
        address = f"{request.url.scheme}://{request.headers['host']}"
        return LoginLink(url=f"{address}/login?token={token}")

    return router
