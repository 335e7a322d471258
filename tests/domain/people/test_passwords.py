"""Rules of passwords and addresses, and the waits after wrong ones."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.people.common_passwords import COMMON
from app.domain.people.emails import clean_email, email_problem
from app.domain.people.passwords import normalized, password_problem, wait_after
from app.domain.people.roles import Role, highest


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (12, 128), (13, 256), (14, 300), (10_000, 300)],
)
def test_the_wait_doubles_from_the_fifth_failure_up_to_five_minutes(
    failures: int, seconds: int
) -> None:
    assert wait_after(failures) == timedelta(seconds=seconds)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 1001, "Password1234", "1" * 12])
def test_a_password_that_is_short_long_or_common_is_refused(password: str) -> None:
    assert password_problem(password)


@pytest.mark.parametrize("password", ["twelve chars", "correct horse battery", "пароль пароль"])
def test_any_other_password_will_do(password: str) -> None:
    assert password_problem(password) is None


def test_every_common_password_is_refused_however_it_is_written() -> None:
    assert len(COMMON) > 300
    assert all(password_problem(one.upper()) for one in COMMON)


def test_one_password_has_one_form_whatever_keyboard_typed_it() -> None:
    assert normalized("caf\u0065\u0301 au lait noir") == normalized("caf\u00e9 au lait noir")


@pytest.mark.parametrize(
    "text", ["", "anna", "a@", "@b", "a b@c", "a@b\nc", "<a@b>", "a" * 65 + "@b"]
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    assert email_problem(text)


def test_an_address_is_one_however_it_is_written() -> None:
    assert email_problem(" Anna@Example.COM ") is None
    assert clean_email(" Anna@Example.COM ") == "anna@example.com"


def test_each_role_includes_the_ones_before_it() -> None:
    roles = list(Role)
    for place, role in enumerate(roles):
        assert [role.includes(other) for other in roles] == [n <= place for n in range(len(roles))]
    assert highest(roles) is Role.ADMIN
