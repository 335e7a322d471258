"""Form drafts saved in the browser: restored completely, and never trusted."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from app.api.schemas import TemplateOut
from app.domain.words import Depth
from app.state.runs.form_draft import MAX_TEXT, FormDraft
from app.state.runs.run_form import RunForm
from tests.builders.run_samples import project_of

KEY = "4f0c1d7e-93bb-4fba-831a-2581f0953f02"


def kept(key: Any = KEY, sent: Any = (), **fields: Any) -> str:
    return json.dumps({"key": key, "sent": sent, "fields": fields})


def take(told: object, form: RunForm) -> bool:
    return FormDraft.read(told).take_into(form, ["main", "b\u202e"], lambda name: name[:1])


def test_key_fields_and_sent_ids_come_back() -> None:
    form = RunForm.open(project_of(frameworks=["own"]), {"task": "of the address"})
    told = kept(
        sent=["c1", "c2"],
        task="typed",
        agent="a",
        branch="b",
        depth="deep",
        framework="o",
        issue="#12 Greet — blocked",
    )
    assert take(told, form)
    assert (form.key, form.sent, form.task, form.agent) == (KEY, ("c1", "c2"), "typed", "a")
    assert (form.branch, form.framework) == ("b\u202e", "own")
    assert (form.depth, form.issue) == (Depth.DEEP, 12)


def test_what_was_emptied_stays_empty_and_what_was_not_touched_stays() -> None:
    form = RunForm.open(project_of(), {"task": "of the address", "model": "m", "issue": "3"})
    assert take(kept(task="", issue="No issue"), form)
    assert (form.task, form.model, form.issue) == ("", "m", None)


def test_a_template_comes_back_by_its_name_and_another_choice_is_the_default() -> None:
    known = [TemplateOut(name="review", version=2, text="Review.", default=False)]
    form = RunForm.open(project_of(), {}, known)
    assert take(kept(template="review"), form)
    assert form.template == "review"
    assert take(kept(template="Default (no template)"), form)
    assert form.template == ""


def test_a_branch_that_is_no_longer_listed_is_kept() -> None:
    form = RunForm.open(project_of(), {})
    take(kept(branch="gone"), form)
    assert form.branch == "gone"


def test_the_same_again_changes_nothing() -> None:
    form = RunForm.open(project_of(), {})
    assert take(kept(task="typed"), form)
    assert not take(kept(task="typed"), form)


def test_a_form_that_is_being_sent_is_left_alone() -> None:
    form = RunForm.open(project_of(), {})
    form.busy = True
    assert not take(kept(task="typed"), form)


@pytest.mark.parametrize(
    "told",
    [
        None,
        7,
        "",
        "[",
        "[]",
        kept(key=None),
        kept(key="k\n"),
        kept(key=KEY.upper()),
        json.dumps({"fields": {"task": "x"}}),
    ],
)
def test_what_is_no_draft_changes_nothing(told: object) -> None:
    form = RunForm.open(project_of(), {})
    assert not take(told, form)


def test_parts_that_are_none_are_left_out() -> None:
    form = RunForm.open(project_of(), {})
    told = kept(
        sent=["ok", "not ok", 7],
        task="x" * (MAX_TEXT + 1),
        agent=["a"],
        depth="abyss",
        framework="nope",
    )
    take(told, form)
    assert (form.sent, form.task, form.agent) == (("ok",), "", "")
    assert (form.depth, form.framework) == (Depth.STANDARD, "auto")
    assert take(json.dumps({"key": str(uuid.uuid4()), "sent": "x", "fields": []}), form)
