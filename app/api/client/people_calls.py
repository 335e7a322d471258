"""The calls of people, their tokens and organisations; see `app/api/client/calls.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from app.api.client.protocol import Call, only_given

if TYPE_CHECKING:
    from app.api import schemas

ME = "me"


def _of(person: str, below: str = "") -> str:
    return f"/people/{quote(person, safe='')}{below}"


def people() -> Call[list[schemas.PersonOut]]:
    """Return the people of one's organisation."""
    return Call("GET", "/people", "PeopleOut", takes_items=True)


def person(person_id: str = ME) -> Call[schemas.PersonOut]:
    """Return a person, or oneself."""
    return Call("GET", _of(person_id), "PersonOut")


def invite(
    email: str,
    *,
    name: str = "",
    role: str | None = None,
    organisation: str | None = None,
    projects: Mapping[str, str] | None = None,
) -> Call[schemas.InvitedOut]:
    """Add a person, and return the link by which they set a password."""
    told: dict[str, Any] = {"email": email, "name": name, "role": role}
    told |= {"organisation": organisation, "projects": projects or None}
    return Call("POST", "/people", "InvitedOut", body=only_given(told))


def invite_again(person_id: str) -> Call[schemas.InvitationOut]:
    """Return a new link by which a person sets a password."""
    return Call("POST", _of(person_id, "/invitation"), "InvitationOut")


def change_person(person_id: str, **changes: Any) -> Call[schemas.PersonOut]:
    """Change a person's role, projects, limits or name, or disable or enable them."""
    return Call("PATCH", _of(person_id), "PersonOut", body=changes)


def sessions(person_id: str = ME) -> Call[list[schemas.SessionOut]]:
    """Return a person's browser sessions."""
    return Call("GET", _of(person_id, "/sessions"), "SessionsOut", takes_items=True)


def end_sessions(person_id: str) -> Call[None]:
    """End all browser sessions of a person."""
    return Call("DELETE", _of(person_id, "/sessions"))


def end_session(person_id: str, session_id: str) -> Call[None]:
    """End one browser session of a person."""
    return Call("DELETE", _of(person_id, f"/sessions/{quote(session_id, safe='')}"))


def change_password(old: str, new: str) -> Call[None]:
    """Replace one's password; one's other sessions end."""
    body = {"old_password": old, "password": new}
    return Call("PUT", _of(ME, "/password"), body=body)


def prove(password: str, code: str = "") -> Call[None]:
    """Prove who one is, for what needs a sign-in of the last 15 minutes."""
    return Call("POST", _of(ME, "/proof"), body={"password": password, "code": code})


def begin_codes() -> Call[schemas.CodesOut]:
    """Return a new secret for one-time codes."""
    return Call("POST", _of(ME, "/codes"), "CodesOut")


def confirm_codes(code: str) -> Call[schemas.RecoveryCodes]:
    """Ask for one-time codes from now on; return recovery codes."""
    return Call("PUT", _of(ME, "/codes"), "RecoveryCodes", body={"code": code})


def remove_codes() -> Call[None]:
    """Ask for no one-time codes any more."""
    return Call("DELETE", _of(ME, "/codes"))


def tokens(*, everybody: bool = False) -> Call[list[schemas.TokenOut]]:
    """Return one's tokens, or those of everybody in the organisation."""
    params = {"everybody": "true"} if everybody else {}
    return Call("GET", "/tokens", "TokensOut", takes_items=True, params=params)


def add_token(
    name: str,
    scopes: Sequence[str],
    expires_at: datetime,
    *,
    projects: Sequence[str] | None = None,
) -> Call[schemas.NewTokenOut]:
    """Make a token, of some projects or all; only this answer holds its text."""
    body = {"name": name, "scopes": list(scopes), "expires_at": expires_at.isoformat()}
    told = body | only_given({"projects": projects})
    return Call("POST", "/tokens", "NewTokenOut", body=told)


def revoke_token(token: str) -> Call[None]:
    """Revoke a token by its id."""
    return Call("DELETE", f"/tokens/{quote(token, safe='')}")


def end_token() -> Call[None]:
    """Revoke the token that the call is made with."""
    return Call("DELETE", "/tokens/current")


def organisations() -> Call[list[schemas.OrganisationOut]]:
    """Return the organisations that one may know of."""
    return Call("GET", "/organisations", "Organisations", takes_items=True)


def add_organisation(name: str) -> Call[schemas.OrganisationOut]:
    """Make an organisation."""
    return Call("POST", "/organisations", "OrganisationOut", body={"name": name})


def change_organisation(organisation_id: str, **changes: Any) -> Call[schemas.OrganisationOut]:
    """Give an organisation another name, or limits to its roles."""
    path = f"/organisations/{quote(organisation_id, safe='')}"
    return Call("PATCH", path, "OrganisationOut", body=changes)
