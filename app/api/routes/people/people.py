"""Routes of organisations, people, their sessions and their sign-in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from app.api.http.dependencies import own_address, require_role
from app.api.http.gate import visitor_of
from app.api.http.permissions import ME
from app.api.http.request_info import SIGN_IN_PATH
from app.api.http.site import Site
from app.api.schemas.people import (
    Code,
    CodesOut,
    InvitationOut,
    InvitedOut,
    NewPassword,
    NewPerson,
    OrganisationChange,
    OrganisationName,
    OrganisationOut,
    Organisations,
    PeopleOut,
    PersonChange,
    PersonOut,
    Proof,
    RecoveryCodes,
    SessionOut,
    SessionsOut,
)
from app.domain.people.roles import OWN_ROLE, Role
from app.errors import BrowserNeeded, Forbidden
from app.services.container import Services
from app.services.people.people import Invitation
from app.services.rows import Member

OTHERS_NAME = "People set their name, look and time zone themselves."
_LIMITS = {"run_quota", "batch_quota", "agents"}
_ROLE_LIMITS = ("run_quotas", "batch_quotas")
NEEDS_BROWSER = "Do this in the browser: a token cannot prove who you are."


def routes(services: Services, *, site: Site) -> APIRouter:
    """Build `/organisations` and `/people`; `site` names the cookie of sessions."""
    router = APIRouter(tags=["people"])
    router.routes.extend(_organisation_routes(services).routes)
    router.routes.extend(_own_routes(services, site.cookie).routes)
    router.routes.extend(_people_routes(services).routes)
    router.routes.extend(_person_routes(services).routes)
    router.routes.extend(_session_routes(services).routes)
    return router


def _organisation_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["people"])
    desk = services.people

    @router.get("/organisations")
    def list_organisations(request: Request) -> Organisations:
        """Your organisation; for admins of `default`, all."""
        found = desk.organisations(visitor_of(request))
        return Organisations(items=[OrganisationOut.model_validate(one) for one in found])

    @router.post("/organisations", status_code=201)
    def add_organisation(request: Request, body: OrganisationName) -> OrganisationOut:
        """Make an organisation; only admins of `default` do."""
        added = desk.add_organisation(visitor_of(request), body.name, services.clock())
        return OrganisationOut.model_validate(added)

    @router.patch("/organisations/{organisation_id}")
    def change(request: Request, organisation_id: str, body: OrganisationChange) -> OrganisationOut:
        """Rename an organisation, or limit the runs and batch items of people with a role."""
        given = {name: getattr(body, name) for name in _ROLE_LIMITS}
        limits = {name: its for name, its in given.items() if its is not None}
        changed = desk.change_organisation(
            visitor_of(request), organisation_id, name=body.name, limits=limits
        )
        return OrganisationOut.model_validate(changed)

    return router


def _people_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["people"])
    desk = services.people

    @router.get("/people")
    def list_people(request: Request) -> PeopleOut:
        """The people of your organisation, by name."""
        return PeopleOut(items=[person_out(one) for one in desk.all(visitor_of(request))])

    @router.post("/people", status_code=201)
    def invite(request: Request, body: NewPerson) -> InvitedOut:
        """Invite a person; the link in the answer lets them set a password, once, in 24 hours."""
        member, invitation = desk.invite(
            visitor_of(request),
            body.email,
            services.clock(),
            name=body.name,
            role=body.role,
            organisation=body.organisation,
            projects=body.projects,
        )
        out = person_out(member).model_dump()
        return InvitedOut(**out, invitation=_invitation_out(request, invitation))

    @router.post("/people/{person_id}/invitation", status_code=201)
    def invite_again(request: Request, person_id: str) -> InvitationOut:
        """A new link by which a person sets a password, for a lost invitation or password."""
        invitation = desk.invite_again(visitor_of(request), person_id, services.clock())
        return _invitation_out(request, invitation)

    return router


def _person_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["people"])
    desk = services.people

    @router.get("/people/{person_id}")
    def person(request: Request, person_id: str) -> PersonOut:
        """A person of your organisation; `me` is yourself."""
        return person_out(desk.find(visitor_of(request), person_id))

    @router.patch("/people/{person_id}")
    def change(request: Request, person_id: str, body: PersonChange) -> PersonOut:
        """Change a person's roles or limits, disable or enable them, or change what is your own."""
        by, limits = visitor_of(request), _limits_in(body)
        if person_id in (ME, by.person_id):
            if {"role", "projects", "disabled"} & body.model_fields_set:
                raise Forbidden(OWN_ROLE)
            if limits:
                require_role(services, request, "change_person", None)
                desk.change(by, ME, services.clock(), limits=limits)
            if body.name is not None:
                services.sign_ins.rename(by.person_id, body.name)
            if body.look is not None or body.time_zone is not None:
                services.sign_ins.prefer(by.person_id, look=body.look, time_zone=body.time_zone)
            return person_out(desk.find(by, ME))
        if {"name", "look", "time_zone"} & body.model_fields_set:
            raise Forbidden(OTHERS_NAME)
        changed = desk.change(
            by,
            person_id,
            services.clock(),
            role=body.role,
            projects=body.projects,
            is_disabled=body.disabled,
            limits=limits,
        )
        return person_out(changed)

    return router


def _session_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["people"])
    desk = services.people

    @router.get("/people/{person_id}/sessions")
    def sessions(request: Request, person_id: str) -> SessionsOut:
        """A person's browser sessions, the newest first."""
        by = visitor_of(request)
        found = desk.sessions(by, person_id, services.clock())
        items = [
            SessionOut(
                id=one.id,
                created_at=one.created_at,
                last_used_at=one.used_at,
                expires_at=one.expires_at,
                address=one.address,
                browser=one.browser,
                current=one.id == by.access_id,
            )
            for one in found
        ]
        return SessionsOut(items=items)

    @router.delete("/people/{person_id}/sessions", status_code=204)
    def end_sessions(request: Request, person_id: str) -> None:
        """End all browser sessions of a person."""
        desk.end_sessions(visitor_of(request), person_id)

    @router.delete("/people/{person_id}/sessions/{session_id}", status_code=204)
    def end_session(request: Request, person_id: str, session_id: str) -> None:
        """End one browser session of a person."""
        desk.end_sessions(visitor_of(request), person_id, session_id)

    return router


def _own_routes(services: Services, cookie: str) -> APIRouter:
    router = APIRouter(tags=["people"])
    desk = services.sign_ins

    @router.put("/people/me/password", status_code=204)
    def change_password(request: Request, body: NewPassword) -> None:
        """Change your password; your other sessions end."""
        person_id, secret = _in_a_browser(request, cookie)
        if not desk.has_password(person_id):
            # there is no old one to ask for
            require_role(services, request, "change_codes", None)
        desk.change_password(person_id, body.old_password, body.password, secret, services.clock())

    @router.post("/people/me/proof", status_code=204)
    def prove(request: Request, body: Proof) -> None:
        """Sign in again, for what asks for a sign-in of the last 15 minutes."""
        person_id, secret = _in_a_browser(request, cookie)
        desk.prove(person_id, body.password, body.code, secret, services.clock())

    @router.post("/people/me/codes")
    def begin_codes(request: Request) -> CodesOut:
        """A secret for an authenticator app; it counts once you have sent a code of it."""
        require_role(services, request, "change_codes", None)
        person_id, _ = _in_a_browser(request, cookie)
        return CodesOut.model_validate(desk.begin_codes(person_id))

    @router.put("/people/me/codes")
    def confirm_codes(request: Request, body: Code) -> RecoveryCodes:
        """Ask for one-time codes from now on; the answer holds recovery codes."""
        person_id, _ = _in_a_browser(request, cookie)
        return RecoveryCodes(codes=desk.confirm_codes(person_id, body.code, services.clock()))

    @router.delete("/people/me/codes", status_code=204)
    def remove_codes(request: Request) -> None:
        """Ask for no one-time codes any more."""
        require_role(services, request, "change_codes", None)
        person_id, _ = _in_a_browser(request, cookie)
        desk.remove_codes(person_id)

    return router


def _limits_in(body: PersonChange) -> dict[str, Any]:
    """Return the limits of a change by column; without agents, any may be started."""
    limits = {name: getattr(body, name) for name in _LIMITS & body.model_fields_set}
    if "agents" in limits:
        limits["agents"] = sorted(set(limits["agents"] or ()))
    return limits


def person_out(member: Member) -> PersonOut:
    """Build a person as the API returns them."""
    person = member.person
    return PersonOut(
        id=person.id,
        name=person.shown_name,
        email=person.email,
        organisation=member.organisation_id,
        role=Role(member.role),
        projects={one: Role(role) for one, role in member.project_roles.items()},
        disabled=person.disabled_at is not None,
        can_sign_in=person.password_hash is not None or person.oidc_subject is not None,
        asks_for_code=person.totp_since is not None,
        look=person.look,
        time_zone=person.time_zone,
        run_quota=person.run_quota,
        batch_quota=person.batch_quota,
        agents=person.agents,
        created_at=person.created_at,
    )


def _invitation_out(request: Request, invitation: Invitation) -> InvitationOut:
    address = own_address(request, f"{SIGN_IN_PATH}/invitation")
    return InvitationOut(
        url=f"{address}?token={invitation.token}", expires_at=invitation.expires_at
    )


def _in_a_browser(request: Request, cookie: str) -> tuple[str, str]:
    visitor = visitor_of(request)
    if visitor.csrf is None:
        raise BrowserNeeded(NEEDS_BROWSER, page=own_address(request, "/me"))
    return visitor.person_id, request.cookies[cookie]
