"""The groups of an identity provider in the settings, in the environment and in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import load_settings
from app.domain.people.groups import read_groups
from app.domain.people.roles import Role


def test_a_text_gives_roles_to_groups_by_pairs() -> None:
    told = read_groups("leads=admin, cn=all=user,")
    assert told == {"leads": Role.ADMIN, "cn=all": Role.USER}


def test_a_table_is_read_pair_by_pair_with_the_names_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "runyard.toml").write_text(
        '[oidc_groups]\n"cn=leads,ou=groups" = "admin"\n" engineers, all " = "user"\n'
    )
    assert load_settings(data_dir=tmp_path).oidc_groups == {
        "cn=leads,ou=groups": Role.ADMIN,
        " engineers, all ": Role.USER,
    }


@pytest.mark.parametrize(
    "given",
    [
        *(["leads=admin"], 5, True, None),
        *({"leads": 1}, {"leads": ["admin"]}, {"": "admin"}, {"leads": "owner"}, {"a": " admin"}),
        *("leads", "=admin", "leads=owner"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(given: object) -> None:
    with pytest.raises(ValueError, match="write group=role"):
        read_groups(given)
