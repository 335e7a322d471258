"""What tells people, put together: who writes it, who sends it, who shows it."""

from __future__ import annotations

import secrets
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import tzlocal

from app.config import Settings
from app.domain.timetable import Timetable, parse_hours, parse_time
from app.foothold import address_of
from app.records.ended_runs import EndedRuns
from app.records.notice_ledger import NoticeLedger
from app.services.courier import Courier
from app.services.digests import Digests
from app.services.notices import NoticeRules, Notices, Receiver
from app.services.notification_desk import Arrangement, NotificationDesk
from app.services.turns import Turns

if TYPE_CHECKING:
    from app.control_plane.assembly import Ground

AT_ONCE = 8  # workers that may wait for receivers


def make_notification_desk(ground: Ground) -> NotificationDesk:
    """The desk, with a witness on the database and a courier on the feed where anybody is told."""
    settings, clock, notifier = ground.settings, ground.clock, ground.adapters.notifier
    stores = ground.ledgers.runs.stores
    zone = _zone(settings)
    rules, ledger = _rules(settings, zone), NoticeLedger(stores)
    notices = Notices(ledger, ground.ledgers.projects, rules, clock)
    courier = Courier(
        ledger,
        Digests(ledger, EndedRuns(stores), notices, rules),
        notifier,
        rules,
        ground.leases,
        Turns(ground.workers, AT_ONCE),
        clock,
        lambda moment, duty: ground.metronome.call_at(moment, duty, name="notifications"),
        chance=lambda: secrets.randbelow(1001) / 1000,
        quarantine=ground.quarantine,
        secrets=ground.adapters.secrets,
    )
    ground.quarantine.on_free(lambda key: _wake(ledger, key, clock()))
    if rules.receivers:
        for database in stores.all():
            database.witness = notices.witness
        ground.feed.subscribe(courier.hear)
    arrangement = Arrangement(
        kinds=settings.notify_kinds,
        quiet_hours=settings.quiet_hours or "",
        digest_at=settings.digest_at or "",
        zone=str(zone),
    )
    return NotificationDesk(ledger, notifier, rules, arrangement, ground.workers, courier.request)


def _wake(ledger: NoticeLedger, key: str, now: datetime) -> None:
    duty, _, id_ = key.partition(".")
    if duty == "notice":
        ledger.wake(id_, now)


def _rules(settings: Settings, zone: tzinfo) -> NoticeRules:
    return NoticeRules(
        receivers=tuple(Receiver(url.get_secret_value()) for url in settings.notify_urls),
        kinds=frozenset(settings.notify_kinds),
        timetable=Timetable(
            zone,
            parse_hours(settings.quiet_hours) if settings.quiet_hours else None,
            parse_time(settings.digest_at) if settings.digest_at else None,
        ),
        address=address_of(settings),
    )


def _zone(settings: Settings) -> tzinfo:
    return ZoneInfo(settings.notify_zone) if settings.notify_zone else tzlocal.get_localzone()
