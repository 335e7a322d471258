"""Devices: each person's browsers get what that person wants, as all receivers do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.push.endpoints import MOST_DEVICES
from app.errors import Invalid, NotFound, PushOff
from app.records.feed import PeopleChanged, PersonNeeded
from app.records.tables import Membership, Person
from app.records.tables.people import DEFAULT_ORGANISATION
from app.services.notifications.devices import DeviceState, contact_of
from tests.builders.notifications import HOURS, MORNING, NIGHT, NOON, PHONE, Telling, telling
from tests.fakes.push_service import FakeBrowser, PushService, push_service

AGENT = "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0"
PUBLIC = "https://runyard.example.org"
OTHER = "person_other"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with push_service(tmp_path) as running:
        yield running


@contextmanager
def yard_with(
    folder: Path, service: PushService, *receivers: str, **settings: Any
) -> Iterator[Telling]:
    """Yield a Runyard with a public address, and without receivers of the setting."""
    wanted = {"public_url": PUBLIC, "pusher": service.pusher(), **settings}
    with telling(folder / "data", *(receivers or (" ",)), **wanted) as yard:
        with yard.plane.database.transaction() as tx:
            tx.add(Person(id=OTHER, name="other", created_at=yard.plane.clock()))
            tx.flush()
            place = {"organisation_id": DEFAULT_ORGANISATION, "role": "viewer"}
            tx.add(Membership(person_id=OTHER, **place))
            tx.publish(PeopleChanged(OTHER))
        yield yard


def subscribe(yard: Telling, browser: FakeBrowser, person: str = "") -> DeviceState:
    """Subscribe a browser for a person, the operator if none is given."""
    devices = yard.plane.services.devices
    browser.server_key = devices.public_key()
    return devices.keep(person or yard.plane.person, browser.target, AGENT)[0]


def titles(browser: FakeBrowser) -> list[str]:
    """Return the titles that a browser got, oldest first."""
    return [one["title"] for one in browser.got]


def test_two_devices_of_a_person_get_each_message_once(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service) as yard:
        phone, desk = service.browser("phone"), service.browser("desk")
        for one in (phone, desk):
            subscribe(yard, one)
        run = yard.run(yard.project())
        yard.go_round()
        for one in (phone, desk):
            (message,) = one.got
            assert message["title"] == "yard0 delivered"
            assert message["sentence"] == "#1 Mend it\nchange request #2"
            (item,) = yard.plane.services.inbox.all()
            assert (item.run_id, message["path"]) == (run.id, item.url)
        assert phone.got[0]["id"] != desk.got[0]["id"]
        assert yard.states() == [("delivered", "sent")] * 2
        assert service.refusals == []


def test_each_of_two_people_gets_what_that_person_wants(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service, PHONE) as yard:
        mine, theirs = service.browser("mine"), service.browser("theirs")
        subscribe(yard, mine)
        subscribe(yard, theirs, OTHER)
        loud, quiet = yard.project(), yard.project()
        yard.plane.services.subscriptions.choose(yard.plane.person, quiet.id, [])
        for project in (loud, quiet):
            yard.run(project)
        assert titles(mine) == [f"{loud.name} delivered"]
        assert sorted(titles(theirs)) == [f"{loud.name} delivered", f"{quiet.name} delivered"]
        # the receivers of the setting have nobody of their own: those that chose decide
        assert yard.titles() == [f"Runyard: {loud.name} delivered"]


def test_quiet_hours_hold_for_devices_and_end_with_one_digest(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service, at=NIGHT, **HOURS) as yard:
        phone, late = service.browser("phone"), service.browser("late")
        device = subscribe(yard, phone)
        yard.run(yard.project(), code=3)
        assert phone.got == []
        yard.set_clock(MORNING)
        assert titles(phone) == ["1 failed"]
        assert [row.receiver for row in yard.rows()] == [device.id] * 2
        assert {row.state for row in yard.rows()} == {"sent"}
        # one that came after the night does not get its digest
        yard.set_clock(MORNING + timedelta(hours=1))
        subscribe(yard, late)
        yard.go_round()
        assert late.got == []
        assert len(phone.got) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_ended_is_removed_and_the_others_stay(
    tmp_path: Path, service: PushService, status: int
) -> None:
    with yard_with(tmp_path, service) as yard:
        phone, desk = service.browser("phone"), service.browser("desk")
        for one in (phone, desk):
            subscribe(yard, one)
        service.answers.append(status)
        project = yard.project()
        yard.run(project)
        assert len(yard.plane.services.devices.of_person(yard.plane.person)) == 1
        assert sorted(state for _, state in yard.states()) == ["dropped", "sent"]
        yard.run(project)
        assert len(phone.got) + len(desk.got) == 2


def test_a_device_that_is_removed_gets_nothing_more(tmp_path: Path, service: PushService) -> None:
    with yard_with(tmp_path, service, at=NIGHT, **HOURS) as yard:
        devices, phone = yard.plane.services.devices, service.browser("phone")
        device = subscribe(yard, phone)
        yard.run(yard.project(), code=3)
        with pytest.raises(NotFound):
            devices.remove(OTHER, device.id)
        devices.remove(yard.plane.person, device.id)
        assert yard.states()[0][1] == "dropped"
        yard.set_clock(MORNING)
        assert (phone.got, service.asked) == ([], [])
        with pytest.raises(NotFound):
            devices.remove(yard.plane.person, device.id)


def test_a_device_that_fails_is_retried_not_before_its_service_allows_it(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service, at=NOON) as yard:
        devices, phone = yard.plane.services.devices, service.browser("phone")
        subscribe(yard, phone)
        service.answers.append((429, {"Retry-After": "7200"}))
        yard.run(yard.project())
        (seen,) = devices.of_person(yard.plane.person)
        assert seen.because == "Its push service answered 429."
        assert seen.failed_at == yard.plane.clock()
        (row,) = yard.rows()
        assert row.due_at == yard.plane.clock() + timedelta(hours=2)
        yard.set_clock(NOON + timedelta(minutes=119))
        assert phone.got == []
        yard.set_clock(NOON + timedelta(minutes=121))
        assert titles(phone) == ["yard0 delivered"]
        (seen,) = devices.of_person(yard.plane.person)
        assert (seen.because, seen.failed_at) == (None, None)


def test_a_browser_that_subscribes_again_stays_one_device(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service) as yard:
        devices, phone, me = (
            yard.plane.services.devices,
            service.browser("phone"),
            yard.plane.person,
        )
        first, was_new = devices.keep(me, phone.target, AGENT)
        again, is_new = devices.keep(me, phone.target, AGENT)
        assert (was_new, is_new, first.name) == (True, False, "Firefox on Android")
        assert again == first
        # another person signs in to the same browser: messages of the first no longer go there
        theirs, _ = devices.keep(OTHER, phone.target, AGENT)
        assert theirs.id == first.id
        assert devices.of_person(me) == []
        assert devices.of_person(OTHER) == [theirs]


def test_a46_an_address_that_is_no_push_service_is_refused(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service) as yard:
        phone = service.browser("phone")
        phone.port = 0
        with pytest.raises(Invalid, match="not the https address"):
            subscribe(yard, phone)
        assert yard.plane.services.devices.of_person(yard.plane.person) == []


def test_a_person_has_only_so_many_devices(tmp_path: Path, service: PushService) -> None:
    with yard_with(tmp_path, service) as yard:
        devices = [subscribe(yard, service.browser(f"b{n}")) for n in range(MOST_DEVICES)]
        with pytest.raises(Invalid, match="Remove a device first"):
            subscribe(yard, service.browser("more"))
        subscribe(yard, service.browsers["b0"])
        yard.plane.services.devices.remove(yard.plane.person, devices[0].id)
        subscribe(yard, service.browser("more"))


def test_a_test_message_goes_to_one_device_at_once_and_says_how_it_ended(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service, at=NIGHT, **HOURS) as yard:
        devices, me = yard.plane.services.devices, yard.plane.person
        phone, desk = service.browser("phone"), service.browser("desk")
        device, _ = subscribe(yard, phone), subscribe(yard, desk)
        assert devices.test(me, device.id)[1] is None
        assert (titles(phone), desk.got) == (["A test"], [])
        with pytest.raises(NotFound):
            devices.test(OTHER, device.id)
        service.answers.append(500)
        assert devices.test(me, device.id) == (device.name, "Its push service answered 500.")
        service.answers.append(410)
        assert devices.test(me, device.id) == (device.name, "Its push service answered 410.")
        with pytest.raises(NotFound):
            devices.test(me, device.id)


def test_without_a_public_address_there_are_no_devices(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service, public_url=None) as yard:
        devices = yard.plane.services.devices
        with pytest.raises(PushOff):
            devices.public_key()
        with pytest.raises(PushOff):
            devices.keep(yard.plane.person, service.browser("phone").target, AGENT)
        yard.run(yard.project())
        assert yard.rows() == []


def test_a45_the_private_key_is_stored_encrypted_and_outlives_a_rotation(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service) as yard:
        plane, phone = yard.plane, service.browser("phone")
        subscribe(yard, phone)
        key = plane.services.devices._sender().key
        sealed = plane.services.devices._ledger.key()
        assert sealed
        assert key not in sealed
        assert plane.services.secret_key.rotate() == 1
        assert plane.services.devices._ledger.key() != sealed
        yard.run(yard.project())
        # signed with the same key: the subscriptions hold
        assert (titles(phone), service.refusals) == (["yard0 delivered"], [])


def test_a45_secrets_in_a_reason_are_masked_on_devices_too(
    tmp_path: Path, service: PushService
) -> None:
    with yard_with(tmp_path, service, "mem://phone/xK29fjQpA7") as yard:
        phone = service.browser("phone")
        subscribe(yard, phone)
        needed = PersonNeeded("k", yard.project().id, "is stuck", "xK29fjQpA7 leaked", "/quota")
        with yard.plane.database.transaction() as tx:
            tx.record_event(needed)
        yard.go_round()
        (message,) = phone.got
        assert message["sentence"].endswith(" leaked")
        assert "xK29fjQpA7" not in str(message)


@pytest.mark.parametrize(
    ("url", "contact"),
    [
        ("https://runyard.example.org", "https://runyard.example.org"),
        ("https://runyard.example.org:8443", "https://runyard.example.org"),
        ("https://runyard", "mailto:runyard@localhost"),
        ("https://[2001:db8::1]", "mailto:runyard@localhost"),
    ],
)
def test_push_services_are_given_a_contact_that_they_accept(
    tmp_path: Path, service: PushService, url: str, contact: str
) -> None:
    assert contact_of(url) == contact
    with yard_with(tmp_path, service, public_url=url) as yard:
        phone = service.browser("phone")
        device = subscribe(yard, phone)
        assert yard.plane.services.devices.test(yard.plane.person, device.id)[1] is None
        assert phone.claims[0]["sub"] == contact


def test_a_disabled_person_gets_nothing(tmp_path: Path, service: PushService) -> None:
    with yard_with(tmp_path, service) as yard:
        browser = service.browser("phone")
        subscribe(yard, browser, OTHER)
        with yard.plane.database.transaction() as tx:
            person = tx.get(Person, OTHER)
            assert person is not None
            person.disabled_at = yard.plane.clock()
            tx.add(person)
            tx.publish(PeopleChanged(OTHER))
        yard.run(yard.project())
        assert titles(browser) == []
