"""People and tokens as the settings show them, and the filters of the audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.api.schemas import PersonOut
from app.domain.people.roles import Role, Scope
from app.state.people.audit_view import AuditAsked, deed_choices, page_of
from app.state.people.people_board import end_after, read_limit, rows_of, scopes_for

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def person(name: str, **facts: object) -> PersonOut:
    """Return a person who can sign in."""
    told = {
        "id": f"person_{name}",
        "name": name,
        "email": f"{name}@x.org",
        "organisation": "org_1",
        "role": Role.USER,
        "projects": {},
        "disabled": False,
        "can_sign_in": True,
        "asks_for_code": False,
        "created_at": NOW,
    }
    return PersonOut.model_validate({**told, **facts})


def test_oneself_comes_first_and_disabled_people_last() -> None:
    people = [person("a", disabled=True), person("b"), person("z")]
    assert [row.name for row in rows_of(people, "person_z")] == ["z", "b", "a"]


def test_the_state_tells_who_cannot_sign_in() -> None:
    people = [
        person("a"),
        person("b", can_sign_in=False),
        person("c", disabled=True, can_sign_in=False),
        person("d", email=None, can_sign_in=False),
    ]
    states = {row.name: row.state for row in rows_of(people, "")}
    assert states == {"a": "", "b": "Invited", "c": "Disabled", "d": "This machine"}


def test_scopes_beyond_the_role_are_not_offered() -> None:
    assert scopes_for(Role.VIEWER) == [Scope.READ]
    assert Scope.ADMIN not in scopes_for(Role.OPERATOR)
    assert scopes_for(Role.ADMIN) == list(Scope)


@pytest.mark.parametrize("days", ["", "0", "366", "-1", "1.5", "²", "9999999999"])
def test_a_token_does_not_end_after_an_impossible_number_of_days(days: str) -> None:
    assert end_after(days, NOW) is None


def test_a_token_ends_after_its_days() -> None:
    assert end_after("365", NOW) == NOW + timedelta(days=365)


def test_a_date_without_a_time_means_its_first_moment() -> None:
    asked = AuditAsked(since="2026-11-20", deed="merge")
    assert asked.filters() == {"deed": "merge", "since": "2026-11-20T00:00:00.000Z"}
    assert AuditAsked(since="yesterday").filters() == {}


def test_the_address_keeps_only_the_filters_that_are_set() -> None:
    assert page_of(AuditAsked()) == "/audit"
    assert page_of(AuditAsked(object="run_1")) == "/audit?object=run_1"


def test_a_deed_of_the_address_can_be_chosen_although_the_table_has_it_not() -> None:
    assert deed_choices("trim_audit")["trim_audit"] == "trim audit"
    assert "read_pages" not in deed_choices("")


@pytest.mark.parametrize(
    ("typed", "limit"), [("", None), ("  ", None), ("0", 0), (" 20 ", 20), ("1000000", 1_000_000)]
)
def test_an_empty_limit_is_none_and_zero_is_zero(typed: str, limit: int | None) -> None:
    assert read_limit(typed) == limit


@pytest.mark.parametrize("typed", ["many", "-1", "1.5", "1000001", "9" * 30, "²", "1,5"])
def test_what_is_no_limit_is_refused_in_a_sentence(typed: str) -> None:
    with pytest.raises(ValueError, match="A limit is a whole number"):
        read_limit(typed)
