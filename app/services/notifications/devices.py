"""Devices: browsers that people chose to be notified on, by web push."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from app.domain.notifications import Message
from app.domain.push.endpoints import MOST_DEVICES, device_name
from app.domain.push.payloads import payload_of
from app.errors import Invalid, NotFound, PushOff
from app.records.database.database import DatabaseSilent
from app.records.feed import DevicesChanged
from app.records.people.device_ledger import DeviceLedger, TooManyDevices
from app.records.people.notification_ledger import NoticeLedger
from app.records.tables import Device
from app.services.context import Context
from app.services.notifications.remembered import RememberedRows
from app.services.ports import NotTaken, PushSender, PushTarget, ReceiverGone
from app.services.system.secret_key import SecretKey

log = structlog.get_logger()
TOO_MANY = f"Remove a device first: {MOST_DEVICES} are the most."
REMOVED = "This device was removed."
TEST = Message("", "", "A test", "This is a test message from Runyard.", "/settings", "test")


@dataclass(frozen=True)
class DeviceState:
    """A device as its person sees it; `endpoint` lets a browser recognize itself."""

    id: str
    name: str
    endpoint: str = field(repr=False)
    created_at: datetime
    failed_at: datetime | None
    because: str | None


class Devices:
    """Keeps the devices of people, and sends messages to them.

    Without a public https address there are none: browsers would neither install the page nor
    subscribe. With `is_kept` they are remembered until a change: other servers must tell theirs.
    """

    def __init__(
        self, context: Context, key: SecretKey, notices: NoticeLedger, *, is_kept: bool = True
    ) -> None:
        self._ledger = DeviceLedger(context.stores)
        self._notices = notices
        self._key = key
        self._pusher = context.adapters.pusher
        self._public_url = context.settings.public_url
        self._clock = context.clock
        read, feed = self._ledger.all, context.feed
        self._rows = RememberedRows(read, feed, DevicesChanged, is_kept=is_kept)
        # what holds while the database does not answer
        self._last: Sequence[Device] = ()

    @property
    def is_on(self) -> bool:
        """True if people can be notified on their devices."""
        return self._public_url is not None

    def public_key(self) -> str:
        """Return the key with which browsers subscribe. Raises PushOff, Invalid."""
        return self._pusher.public_key(self._sender().key)

    def of_person(self, person_id: str) -> list[DeviceState]:
        """Return a person's devices, oldest first. Raises DatabaseSilent."""
        return [_state_of(one) for one in self._ledger.all() if one.person_id == person_id]

    def all(self) -> Sequence[Device]:
        """Return everybody's devices, as last known while the database does not answer."""
        if not self.is_on:
            return ()
        with suppress(DatabaseSilent):
            self._last = self._rows.all()
        return self._last

    def keep(self, person_id: str, target: PushTarget, user_agent: str) -> tuple[DeviceState, bool]:
        """Keep a browser's subscription; return it, and True if it is new.

        One that is known becomes this person's. Raises PushOff, Invalid.
        """
        if not self.is_on:
            raise PushOff
        if problem := self._pusher.problem(target):
            raise Invalid.field("endpoint", problem)
        now = self._clock()
        device = Device(
            id=self._ledger.stores.mint_control_id("device", now),
            person_id=person_id,
            name=device_name(user_agent),
            endpoint=target.endpoint,
            p256dh=target.p256dh,
            auth=target.auth,
            created_at=now,
        )
        try:
            kept, is_new = self._ledger.keep(device, most=MOST_DEVICES)
        except TooManyDevices as problem:
            raise Invalid(TOO_MANY) from problem
        return _state_of(kept), is_new

    def remove(self, person_id: str, device_id: str) -> None:
        """Remove a person's device. Raises NotFound."""
        if not self._ledger.remove(device_id, person_id):
            raise NotFound
        self._notices.drop(device_id, REMOVED, self._clock())

    def test(self, person_id: str, device_id: str) -> tuple[str, str | None]:
        """Send a device a message now; return its name, and why it was not taken, or None.

        Raises PushOff, NotFound.
        """
        if not self.is_on:
            raise PushOff
        mine = (one for one in self._ledger.all() if one.person_id == person_id)
        device = next((one for one in mine if one.id == device_id), None)
        if device is None:
            raise NotFound
        try:
            self.push(device, TEST)
        except NotTaken as problem:
            return device.name, str(problem)
        return device.name, None

    def push(self, device: Device, message: Message) -> None:
        """Send a device a message, and note if it is taken. Raises NotTaken.

        One that its push service no longer knows is removed, and raises ReceiverGone.
        """
        target = PushTarget(device.endpoint, device.p256dh, device.auth)
        try:
            self._pusher.push(target, payload_of(message), self._sender_or_refuse())
        except ReceiverGone as gone:
            self._ledger.remove(device.id)
            log.info("device_gone", device=device.id, because=gone)
            raise
        except NotTaken as problem:
            self._ledger.note(device.id, str(problem), self._clock())
            raise
        if device.failed_at is not None:
            self._ledger.note(device.id, None, self._clock())

    def _sender_or_refuse(self) -> PushSender:
        try:
            return self._sender()
        except (Invalid, PushOff) as problem:
            raise NotTaken(str(problem)) from problem

    def _sender(self) -> PushSender:
        """Return the key, made at first use, and the contact that push services see."""
        if self._public_url is None:
            raise PushOff
        sealed = self._ledger.key()
        if sealed is None:
            sealed = self._ledger.keep_key(self._key.sealer(self._pusher.make_key()))
        return PushSender(self._key.unseal(sealed), contact_of(self._public_url))


def contact_of(public_url: str) -> str:
    """Return how a push service can reach the operator: the address of the pages.

    Signers take no port and no name without a dot; then the contact only is well-formed.
    """
    host = urlsplit(public_url).hostname or ""
    is_name = "." in host and ":" not in host
    return f"https://{host}" if is_name else "mailto:runyard@localhost"


def _state_of(device: Device) -> DeviceState:
    return DeviceState(
        id=device.id,
        name=device.name,
        endpoint=device.endpoint,
        created_at=device.created_at,
        failed_at=device.failed_at,
        because=device.because,
    )
