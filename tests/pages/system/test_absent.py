"""The stand-in for a control that is not drawn: it ignores what is asked of it, and never hangs."""

from __future__ import annotations

import pytest

from app.pages.components.absent import ABSENT


def test_it_ignores_every_call_and_is_nothing() -> None:
    assert not ABSENT.set_visibility(True)
    assert not ABSENT.props("aria-busy").classes("pri")
    ABSENT.props["aria-disabled"] = "true"
    assert ABSENT.props["aria-disabled"] == ""


def test_it_can_neither_be_searched_nor_looped_over() -> None:
    with pytest.raises(TypeError):
        assert "aria-disabled" in ABSENT.props  # pyright: ignore[reportOperatorIssue]
    with pytest.raises(TypeError):
        list(ABSENT)  # pyright: ignore[reportArgumentType]


def test_it_keeps_nothing_that_another_page_could_read() -> None:
    with pytest.raises(AttributeError):
        setattr(ABSENT, "value", "a secret of Ada")  # noqa: B010
