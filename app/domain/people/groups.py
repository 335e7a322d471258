"""Groups of an identity provider, and the roles that they give: `group=role,…`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from app.domain.people.roles import Role, highest

NO_GROUPS = (
    "write group=role, separated by commas, or a table of them in the file; the roles are viewer, "
    "user, operator, admin"
)


def read_groups(given: object) -> dict[str, Role]:
    """Parse `group=role,…`, or a table of a settings file. Raises ValueError with a sentence.

    A table has the names of groups as they are: they may contain commas and signs.
    """
    if isinstance(given, str):
        pairs = _pairs_of(given)
    elif isinstance(given, Mapping):
        pairs = list(cast("Mapping[object, object]", given).items())
    else:
        raise ValueError(NO_GROUPS)
    found: dict[str, Role] = {}
    for group, role in pairs:
        is_group = isinstance(group, str) and bool(group.strip())
        if not is_group or not isinstance(role, str) or role not in tuple(Role):
            raise ValueError(NO_GROUPS)
        found[str(group)] = Role(role)
    return found


def _pairs_of(text: str) -> list[tuple[object, object]]:
    # a group's own name may contain the sign
    parts = [one.rpartition("=") for one in text.split(",") if one.strip()]
    return [(group.strip(), role.strip()) for group, _, role in parts]


def role_of(groups: Iterable[str], roles: Mapping[str, Role]) -> Role | None:
    """Return the highest role that one of the groups gives, None if none does."""
    given = [roles[one] for one in groups if one in roles]
    return highest(given) if given else None
