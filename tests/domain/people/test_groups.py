"""Groups of an identity provider, as they stand in the settings."""

from __future__ import annotations

import pytest

from app.domain.people.groups import read_groups, role_of
from app.domain.people.roles import Role


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", {}),
        ("leads=admin", {"leads": Role.ADMIN}),
        (" leads = admin , engineers=user,", {"leads": Role.ADMIN, "engineers": Role.USER}),
        ("cn=leads=admin", {"cn=leads": Role.ADMIN}),
        ({"cn=leads,ou=groups": "admin"}, {"cn=leads,ou=groups": Role.ADMIN}),
        ({"a=viewer,b": "admin"}, {"a=viewer,b": Role.ADMIN}),
    ],
)
def test_groups_are_read(written: object, read: dict[str, Role]) -> None:
    assert read_groups(written) == read


@pytest.mark.parametrize("written", ["leads", "leads=boss", "=admin", ["leads=admin"], 7, {"a": 1}])
def test_anything_else_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="write group=role"):
        read_groups(written)


def test_the_highest_role_counts() -> None:
    roles = {"leads": Role.ADMIN, "engineers": Role.USER}
    assert role_of(["chess", "engineers", "leads"], roles) is Role.ADMIN
    assert role_of(["chess"], roles) is None
