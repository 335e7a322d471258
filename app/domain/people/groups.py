"""Groups of an identity provider, and the roles that they give: `group=role,…`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.domain.people.roles import Role, highest

NO_GROUPS = "write group=role, separated by commas; the roles are viewer, user, operator, admin"


def read_groups(text: str | Mapping[str, str]) -> dict[str, Role]:
    """Parse `group=role,…`, or a table of a settings file. Raises ValueError with a sentence."""
    found: dict[str, Role] = {}
    if not isinstance(text, str):
        text = ",".join(f"{group}={role}" for group, role in text.items())
    for pair in filter(None, (one.strip() for one in text.split(","))):
        # a group's own name may contain the sign
        group, is_pair, role = pair.rpartition("=")
        if not is_pair or not group.strip() or role.strip() not in tuple(Role):
            raise ValueError(NO_GROUPS)
        found[group.strip()] = Role(role.strip())
    return found


def role_of(groups: Iterable[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that one of the groups gives, None if none does."""
    given = [roles[one] for one in groups if one in roles]
    return highest(given) if given else None
