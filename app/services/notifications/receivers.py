"""Receivers of notifications: the addresses of the setting, and the devices of people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.domain.notifications import Kind, Message, mask_receiver
from app.records.tables import Device
from app.services.notifications.devices import Devices
from app.services.notifications.subscriptions import Subscriptions
from app.services.people.directory import Directory
from app.services.ports import Notifier


class Receiver(Protocol):
    """A receiver of messages: `mark` is for rows, `shown` for people."""

    @property
    def mark(self) -> str:
        """An id of it, the same after a restart."""
        ...

    @property
    def shown(self) -> str:
        """A name of it without secrets."""
        ...

    @property
    def since(self) -> datetime | None:
        """When it became one, None if it always was."""
        ...

    def send(self, message: Message) -> None:
        """Send it a message within a bounded time. Raises NotTaken."""
        ...


@dataclass(frozen=True)
class AddressReceiver:
    """An address of the setting; it is neither for rows nor for people."""

    address: str = field(repr=False)
    notifier: Notifier = field(repr=False)
    since: None = None

    @property
    def mark(self) -> str:
        """Fingerprint of the address, the same after a restart."""
        return hashlib.sha256(self.address.encode()).hexdigest()[:12]

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return mask_receiver(self.address)

    def send(self, message: Message) -> None:
        """Send it a message within a bounded time. Raises NotTaken."""
        self.notifier.send(self.address, message)

    def problem(self) -> str | None:
        """Return why it cannot be used, or None."""
        return self.notifier.problem(self.address)


@dataclass(frozen=True)
class DeviceReceiver:
    """A device of a person."""

    device: Device = field(repr=False)
    devices: Devices = field(repr=False)

    @property
    def mark(self) -> str:
        """The id of the device."""
        return self.device.id

    @property
    def shown(self) -> str:
        """Its name, made of known words."""
        return self.device.name

    @property
    def since(self) -> datetime:
        """When its person chose it."""
        return self.device.created_at

    def send(self, message: Message) -> None:
        """Send it a message within a bounded time. Raises NotTaken, ReceiverGone."""
        self.devices.push(self.device, message)


class Receivers:
    """All receivers: those of the setting get what anybody wants, devices what their person wants.

    The setting's stay the same while the server runs; devices come and go.
    """

    def __init__(
        self,
        addresses: tuple[AddressReceiver, ...],
        devices: Devices,
        subscriptions: Subscriptions,
        directory: Directory,
    ) -> None:
        self._directory = directory
        self.addresses = addresses
        self._devices = devices
        self._subscriptions = subscriptions

    @property
    def may_exist(self) -> bool:
        """False if there is no receiver, and none can come while the server runs."""
        return bool(self.addresses) or self._devices.is_on

    def all(self) -> Sequence[Receiver]:
        """Return all receivers, those of the setting first."""
        devices = (DeviceReceiver(one, self._devices) for one in self._devices.all())
        return [*self.addresses, *devices]

    def find(self, mark: str) -> Receiver | None:
        """Return a receiver by its mark, None if it is gone."""
        return next((one for one in self.all() if one.mark == mark), None)

    def marks_for(self, project_id: str, kind: Kind) -> list[str]:
        """Return the marks of those that get a notification of this kind about this project."""
        wanted = self._subscriptions
        is_wanted = bool(self.addresses) and wanted.wants(project_id, kind)
        marks = [one.mark for one in self.addresses] if is_wanted else []
        devices = self._devices.all()
        people = {one.person_id for one in devices}
        asking = {
            one
            for one in people
            if self._directory.knows(one, project_id) and wanted.wants_for(one, project_id, kind)
        }
        return marks + [one.id for one in devices if one.person_id in asking]
