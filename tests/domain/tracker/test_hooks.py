"""Signatures and hints of hooks, as two forges of 2024 and 2026 sent them."""

from __future__ import annotations

import pytest

from app.domain.tracker.hooks import Hint, hint_of, is_signed
from tests.fakes.forges.recorded import SECRET, Delivered, deliveries


@pytest.fixture(params=deliveries(), ids=lambda one: one.name)
def delivered(request: pytest.FixtureRequest) -> Delivered:
    """Each delivery that was recorded whole."""
    return request.param


def test_a_recorded_delivery_is_signed_and_names_its_repository(delivered: Delivered) -> None:
    assert is_signed(delivered.headers, delivered.body, SECRET)
    hint = hint_of(delivered.headers, delivered.body)
    assert hint is not None
    assert (hint.repository[:11], bool(hint.delivery)) == ("acme/hooked", True)


def test_a_delivery_with_another_secret_or_text_is_not_signed(delivered: Delivered) -> None:
    assert not is_signed(delivered.headers, delivered.body, "another")
    assert not is_signed(delivered.headers, delivered.body + b" ", SECRET)
    assert not is_signed({}, delivered.body, SECRET)
    mixed = delivered.headers | {"x-forgejo-signature": "0" * 64}
    assert not is_signed(mixed, delivered.body, SECRET), "one of its signatures is wrong"


def test_the_signature_of_a_forgejo_counts_more_than_that_of_a_gitea(delivered: Delivered) -> None:
    good, bad = delivered.headers["x-gitea-signature"], "0" * 64
    assert is_signed(
        {"x-forgejo-signature": good, "x-gitea-signature": bad}, delivered.body, SECRET
    )
    assert not is_signed(
        {"x-forgejo-signature": bad, "x-gitea-signature": good}, delivered.body, SECRET
    )
    mixed = delivered.headers | {"x-hub-signature-256": f"sha256={bad}"}
    assert not is_signed(mixed, delivered.body, SECRET)


@pytest.mark.parametrize("event", ["ping", "fork", "star", ""])
def test_an_event_that_changes_nothing_here_hints_at_nothing(
    delivered: Delivered, event: str
) -> None:
    headers = {
        name: event if name.endswith("-event") else value
        for name, value in delivered.headers.items()
    }
    assert hint_of(headers, delivered.body) is None


@pytest.mark.parametrize("name", ["x-hub-signature-256", "x-gitea-signature"])
def test_one_good_signature_is_enough(delivered: Delivered, name: str) -> None:
    assert is_signed({name: delivered.headers[name]}, delivered.body, SECRET)
    assert not is_signed({name: "sha256=ä"}, delivered.body, SECRET)


@pytest.mark.parametrize(
    "body", [b"", b"[", b"[]", b"{}", b'{"repository": 1}', b'{"repository": {}}', b"[" * 9000]
)
def test_a_text_that_names_no_repository_hints_at_nothing(body: bytes) -> None:
    assert hint_of({}, body) is None


def test_a_delivery_id_is_cut() -> None:
    told = b'{"repository": {"full_name": "acme/shop"}}'
    hint = hint_of({"x-github-delivery": "7" * 999}, told)
    assert hint == Hint("7" * 100, "acme/shop")
