"""Groups of an identity provider, and the roles that they give: `group=role,…`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from app.domain.people.roles import Role, highest

NO_GROUPS = "write group=role, separated by commas; the roles are viewer, user, operator, admin"


def read_groups(text: object) -> dict[str, Role]:
    """Parse `group=role,…`, or a table of a settings file. Raises ValueError with a sentence."""
    if isinstance(text, Mapping):
        table = cast("Mapping[object, object]", text)
        pairs = [(str(group), str(role)) for group, role in table.items()]
    elif isinstance(text, str):
        # a group's own name may contain the sign
        parts = (one.rpartition("=") for one in text.split(",") if one.strip())
        pairs = [(group.strip(), role.strip()) for group, _, role in parts]
    else:
        raise ValueError(NO_GROUPS)
    if not all(group and role in tuple(Role) for group, role in pairs):
        raise ValueError(NO_GROUPS)
    return {group: Role(role) for group, role in pairs}


def role_of(groups: Iterable[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that one of the groups gives, None if none does."""
    given = [roles[one] for one in groups if one in roles]
    return highest(given) if given else None
