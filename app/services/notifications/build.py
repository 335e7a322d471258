"""The services of notifications: composing, sending and showing them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import tzlocal

from app.config import Settings
from app.domain.quiet_hours import Timetable, parse_hours, parse_time
from app.records.people.notification_ledger import NoticeLedger
from app.records.runs.selections import EndedRuns
from app.services.context import Context
from app.services.notifications.compose import Digests, NoticeRules, Notices
from app.services.notifications.devices import Devices
from app.services.notifications.notifications import Arrangement, NotificationService
from app.services.notifications.receivers import AddressReceiver, Receivers
from app.services.notifications.sender import NotificationSender
from app.services.notifications.subscriptions import Subscriptions
from app.services.people.build import PeopleServices
from app.services.system.build import SystemServices
from app.services.system.secret_key import SecretKey


@dataclass(frozen=True)
class NotificationServices:
    """The services of notifications."""

    notifications: NotificationService
    subscriptions: Subscriptions
    devices: Devices


def build(context: Context, system: SystemServices, people: PeopleServices) -> NotificationServices:
    """Build the service, with a database witness and a sender if there are receivers."""
    settings, clock, stores = context.settings, context.clock, context.stores
    zone = _zone(settings)
    rules, ledger = _rules(context, zone), NoticeLedger(stores)
    # servers on one SQLite file get no changes from each other
    hears = system.leases.is_alone or not any(one.is_sqlite for one in stores.all())
    subscriptions = Subscriptions(context, rules.kinds, is_kept=hears)
    devices = Devices(context, SecretKey(context), ledger, is_kept=hears)
    addresses = _addresses(context)
    receivers = Receivers(addresses, devices, subscriptions, people.directory)
    notices = Notices(ledger, context.ledgers.projects, rules, receivers, clock)
    digests = Digests(ledger, EndedRuns(stores), notices, rules, receivers)
    sender = NotificationSender(context, system, ledger, digests, rules, receivers, chance=_chance)
    system.quarantine.on_free(lambda key: _wake(ledger, key, clock()))
    if receivers.may_exist:
        for database in stores.all():
            database.witness = notices.record
        context.feed.subscribe(sender.on_change)
    arrangement = Arrangement(
        kinds=settings.notify_kinds,
        quiet_hours=settings.quiet_hours or "",
        digest_at=settings.digest_at or "",
        zone=str(zone),
    )
    return NotificationServices(
        NotificationService(context, ledger, addresses, arrangement, sender.request),
        subscriptions,
        devices,
    )


def _chance() -> float:
    return secrets.randbelow(1001) / 1000


def _wake(ledger: NoticeLedger, key: str, now: datetime) -> None:
    duty, _, id_ = key.partition(".")
    if duty == "notice":
        ledger.wake(id_, now)


def _addresses(context: Context) -> tuple[AddressReceiver, ...]:
    notifier = context.adapters.notifier
    urls = context.settings.notify_urls
    return tuple(AddressReceiver(url.get_secret_value(), notifier) for url in urls)


def _rules(context: Context, zone: tzinfo) -> NoticeRules:
    settings = context.settings
    return NoticeRules(
        kinds=frozenset(settings.notify_kinds),
        timetable=Timetable(
            zone,
            parse_hours(settings.quiet_hours) if settings.quiet_hours else None,
            parse_time(settings.digest_at) if settings.digest_at else None,
        ),
        address=context.adapters.machine.address,
    )


def _zone(settings: Settings) -> tzinfo:
    return ZoneInfo(settings.notify_zone) if settings.notify_zone else tzlocal.get_localzone()
