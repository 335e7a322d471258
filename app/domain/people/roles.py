"""Roles of people, each with the rights of the one before, and scopes of tokens."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

OWN_ROLE = "You cannot change your own role"


class Role(StrEnum):
    """The roles, from the one with the least rights to the one with the most."""

    VIEWER = "viewer"
    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Return True if this role has all rights of the other one."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


def highest(roles: Collection[Role]) -> Role:
    """Return the role with the most rights."""
    return max(roles, key=_RANKS.__getitem__)


class Scope(StrEnum):
    """A part of the API that a token opens."""

    READ = "read"
    RUNS = "runs"
    REVIEW = "review"
    ADMIN = "admin"


# the least role that can give a token such a scope
ROLE_OF_SCOPE = {
    Scope.READ: Role.VIEWER,
    Scope.RUNS: Role.USER,
    Scope.REVIEW: Role.USER,
    Scope.ADMIN: Role.ADMIN,
}
ALL_SCOPES = frozenset(Scope)
