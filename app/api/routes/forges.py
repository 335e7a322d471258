"""Routes of forges."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.client.protocol import BASE_PATH
from app.api.http.dependencies import own_address, require_browser
from app.api.http.openapi import IN_A_BROWSER
from app.api.schemas import (
    ForgeAtOut,
    ForgeChange,
    ForgeOut,
    Forges,
    HookOrder,
    HookOut,
    HostedOut,
    HostedRepositories,
    NewForge,
    SealedAnew,
    SpendingOut,
)
from app.errors import Invalid, NotSignedByForge
from app.services.container import Services
from app.services.rows import ForgeServer
from app.services.tracker.forges import unusable

SETTINGS_PAGE = "/settings"
_SAME = ("id", "name", "url", "version", "missing", "needs_attention", "created_at", "checked_at")


def routes(services: Services) -> APIRouter:
    """Build the routes below `/forges`."""
    router = APIRouter(tags=["forges"])

    @router.get("/forges")
    def list_them() -> Forges:
        """All forges by name; their tokens are never shown."""
        return Forges(items=[_out(services, one) for one in services.forges.all()])

    @router.post("/forges", status_code=201, responses=IN_A_BROWSER)
    def add(body: NewForge, request: Request, response: Response) -> ForgeOut:
        """Keep a forge with its token, after asking it whose token that is and what it may."""
        require_browser(services, request, SETTINGS_PAGE)
        token, app_id = _secret_of(body)
        added = services.forges.add(
            body.url, token or "", services.clock(), kind=body.kind, name=body.name, app_id=app_id
        )
        response.headers["Location"] = f"/forges/{added.id}"
        return _out(services, added)

    @router.get("/forges/{forge_id}")
    def show(forge_id: str) -> ForgeOut:
        """A forge, by its id or name."""
        return _out(services, services.forges.find(forge_id))

    @router.patch("/forges/{forge_id}", responses=IN_A_BROWSER)
    def change(forge_id: str, body: ForgeChange, request: Request) -> ForgeOut:
        """Rename a forge, or give it another token or App, which is checked first."""
        require_browser(services, request, SETTINGS_PAGE)
        token, app_id = _secret_of(body)
        changed = services.forges.change(
            forge_id, services.clock(), name=body.name, token=token, app_id=app_id
        )
        return _out(services, changed)

    @router.delete("/forges/{forge_id}", responses=IN_A_BROWSER)
    def remove(forge_id: str, request: Request) -> ForgeOut:
        """Remove a forge that no project uses."""
        require_browser(services, request, SETTINGS_PAGE)
        return _out(services, services.forges.remove(forge_id))

    router.routes.extend(_asking_routes(services).routes)
    router.routes.extend(_secret_routes(services).routes)
    return router


def _asking_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["forges"])

    @router.post("/forges/{forge_id}/check")
    def check(forge_id: str) -> ForgeOut:
        """Ask the forge again what its token may do, and what it lacks."""
        return _out(services, services.forges.check(forge_id, services.clock()))

    @router.get("/forges/{forge_id}/repositories")
    def repositories(forge_id: str) -> HostedRepositories:
        """The repositories that its token sees, each with its project here, if it has one."""
        forge = services.forges.find(forge_id)
        known = {
            one.repository: one.id for one in services.projects.all() if one.forge_id == forge.id
        }
        return HostedRepositories(
            items=[
                HostedOut(
                    full_name=one.full_name,
                    clone_url=one.clone_url,
                    may_push=one.may_push,
                    project_id=known.get(one.full_name),
                    because=unusable(one, forge.acts_as),
                )
                for one in services.forges.repositories(forge.id)
            ]
        )

    @router.get("/origins/forge")
    def look_at_address(origin: Annotated[str, Query(min_length=1, max_length=2000)]) -> ForgeAtOut:
        """The forge of a repository's address; one that is not known is asked what it is."""
        found = services.forges.at(origin)
        forge = _out(services, found.forge) if found.forge else None
        return ForgeAtOut.model_validate({**vars(found), "origin": origin, "forge": forge})

    return router


def _secret_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["forges"])

    @router.post("/forges/{forge_id}/hook", responses=IN_A_BROWSER)
    def hook(forge_id: str, body: HookOrder, request: Request) -> HookOut:
        """Where the forge shall send its hooks, and their secret; installs it where it may."""
        require_browser(services, request, SETTINGS_PAGE)
        base = own_address(request, BASE_PATH)
        known = services.hooks.address(forge_id, base, body.install)
        return HookOut.model_validate(asdict(known))

    @router.post("/hooks/{forge_id}", status_code=202, response_class=Response)
    async def take_hook(forge_id: str, request: Request) -> None:
        """Take a signed delivery as a hint to look now; needs no sign-in."""
        body = await request.body()
        if not await run_in_threadpool(services.hooks.take, forge_id, request.headers, body):
            raise NotSignedByForge

    @router.post("/secrets/rotate", responses=IN_A_BROWSER)
    def rotate_secrets(request: Request) -> SealedAnew:
        """Encrypt every stored secret with a new key."""
        require_browser(services, request, SETTINGS_PAGE)
        return SealedAnew(secrets=services.secret_key.rotate())

    return router


def _secret_of(body: NewForge | ForgeChange) -> tuple[str | None, str | None]:
    """Return a token, or an App's private key and its id. Raises Invalid for both at once."""
    if body.app is None:
        return body.token, None
    if body.token:
        raise Invalid.field("token", "Give a token or an App, not both.")
    return body.app.private_key, str(body.app.id)


def _out(services: Services, forge: ForgeServer) -> ForgeOut:
    told = {name: getattr(forge, name) for name in _SAME}
    login = {"login": forge.acts_as}
    spent = services.forges.spending().get(forge.id)
    spending = spent and SpendingOut.model_validate(asdict(spent))
    return ForgeOut.model_validate(
        {**told, "kind": forge.kind, "acts_as": login, "may": forge.may, "spending": spending}
    )
