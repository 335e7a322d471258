"""A change request in a line of a list."""

from __future__ import annotations

import pytest

from app.api.schemas import ChangeOut
from app.pages.tracker.words import change_html
from tests.builders.run_samples import NOON


@pytest.mark.parametrize("is_draft", [True, False])
def test_a_draft_is_marked_beside_its_state(is_draft: bool) -> None:
    change = ChangeOut(
        kind="change",
        number=3,
        url="/projects/p/changes/3",
        state="open",
        title="<b>Answer</b>",
        base="main",
        created_at=NOON,
        draft=is_draft,
    )
    shown = change_html(change, change.url)
    assert ("Draft" in shown, "&lt;b&gt;" in shown) == (is_draft, True)
