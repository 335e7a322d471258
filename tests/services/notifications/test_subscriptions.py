"""Subscriptions: each project sends the kinds that people chose for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.notifications import Kind
from app.errors import NotFound
from app.records.database.database import DatabaseSilent
from app.records.feed import FeedBroke
from app.records.people.account_ledger import AccountLedger
from tests.builders.notifications import Telling, telling


def owner(yard: Telling) -> str:
    """Return the id of the person who uses this Runyard."""
    ledger = AccountLedger(yard.plane.stores)
    return ledger.operator("operator", yard.plane.clock()).id


def test_a_project_without_a_choice_has_that_for_all_and_else_the_settings(tmp_path: Path) -> None:
    with telling(tmp_path, notify_kinds="delivered") as yard:
        loud, quiet = yard.project(), yard.project()
        wishes, me = yard.plane.services.subscriptions, owner(yard)
        wishes.choose(me, quiet.id, [])
        for project in (loud, quiet):
            yard.run(project)
        assert yard.titles() == [f"Runyard: {loud.name} delivered"]
        # for all others, which leaves the choice for one project as it is
        chosen = wishes.choose(me, None, [Kind.FAILED])
        assert [(one.project_name, one.kinds) for one in chosen] == [
            ("", (Kind.FAILED,)),
            (quiet.name, ()),
        ]
        yard.run(loud)
        assert len(yard.taken()) == 1
        wishes.choose(me, quiet.id, [Kind.DELIVERED])
        yard.run(quiet)
        assert yard.titles()[1:] == [f"Runyard: {quiet.name} delivered"]
        # without choices the setting holds again
        wishes.choose(me, None, None)
        assert [one.project_id for one in wishes.choose(me, quiet.id, None)] == []
        yard.run(loud)
        assert yard.titles()[2:] == [f"Runyard: {loud.name} delivered"]


def test_a_kind_that_the_setting_leaves_out_can_be_chosen_for_one_project(tmp_path: Path) -> None:
    with telling(tmp_path, notify_kinds="digest") as yard:
        shop, other = yard.project(), yard.project()
        yard.plane.services.subscriptions.choose(owner(yard), shop.id, [Kind.DELIVERED])
        for project in (shop, other):
            yard.run(project)
        assert yard.titles() == [f"Runyard: {shop.name} delivered"]


def test_a_choice_for_a_project_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        with pytest.raises(NotFound):
            yard.plane.services.subscriptions.choose(owner(yard), "no-such-project", [])
        assert yard.plane.services.subscriptions.of_person(owner(yard)) == []


def test_while_choices_cannot_be_read_the_setting_holds_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with telling(tmp_path) as yard:
        project, wishes = yard.project(), yard.plane.services.subscriptions
        wishes.choose(owner(yard), project.id, [])

        def silent() -> None:
            raise DatabaseSilent("It does not answer.")

        with monkeypatch.context() as away:
            away.setattr(wishes._ledger, "all", silent)
            yard.plane.services.feed.publish([FeedBroke()])  # what was known may be old
            assert wishes.wants(project.id, Kind.DELIVERED)
        assert not wishes.wants(project.id, Kind.DELIVERED)
