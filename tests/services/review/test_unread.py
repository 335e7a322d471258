"""Unread items of the inbox: new until a person read them, and again when they come back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.records.tables import ReadItem
from tests.builders.notifications import Telling, telling
from tests.services.notifications.test_subscriptions import owner


def unread(yard: Telling) -> set[str]:
    """Return the ids of the owner's unread items."""
    return yard.plane.services.unread.ids(owner(yard))


def test_an_item_is_unread_until_a_person_read_it(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project, service, me = yard.project(), yard.plane.services.unread, owner(yard)
        yard.run(project)
        yard.run(project)
        first, second = sorted(unread(yard))
        assert service.mark_read(me, [first, "change:nobody:9"]) == {second}
        assert unread(yard) == {second}
        assert service.mark_read(me, None) == set()
        assert unread(yard) == set()


def test_a_project_that_pauses_again_is_unread_again(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project, service, me = yard.project(), yard.plane.services.unread, owner(yard)
        for _ in range(3):
            yard.run(project, code=3)
        paused = f"paused:{project.id}"
        assert paused in unread(yard)
        service.mark_read(me, None)
        assert unread(yard) == set()
        with yard.plane.database.transaction() as tx:
            yard.plane.ledgers.projects.clear_strikes(tx, project.id)
        yard.plane.clock.advance(1)
        for _ in range(3):
            yard.run(project, code=3)
        assert paused in unread(yard)


def test_marks_of_items_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project, service, me = yard.project(), yard.plane.services.unread, owner(yard)
        yard.run(project)
        [gone] = unread(yard)
        service.mark_read(me, None)
        _, _, number = gone.rpartition(":")
        yard.plane.services.changes.close(project.id, int(number), now=yard.plane.clock())
        yard.run(project)
        service.mark_read(me, None)
        assert gone not in service._ledger.of_person(me)


def test_two_tabs_mark_the_same_items_at_one_moment(tmp_path: Path) -> None:
    with telling(tmp_path) as yard, ThreadPoolExecutor(4) as tabs:
        project, service, me = yard.project(), yard.plane.services.unread, owner(yard)
        yard.run(project)
        ids = unread(yard)
        assert list(tabs.map(lambda _: service.mark_read(me, ids), range(4))) == [set()] * 4
        assert unread(yard) == set()


def test_a_server_that_hears_no_other_remembers_nothing(tmp_path: Path) -> None:
    with telling(tmp_path) as yard:
        project, service, me = yard.project(), yard.plane.services.unread, owner(yard)
        yard.run(project)
        service._is_kept = False
        [item] = unread(yard)
        # as another server writes it: nothing is published here
        with yard.plane.database.transaction() as tx:
            tx.add(ReadItem(person_id=me, item_id=item, at=yard.plane.clock()))
        assert unread(yard) == set()
