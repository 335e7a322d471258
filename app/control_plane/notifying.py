"""What tells people, put together: who writes it, who sends it, who shows it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

import tzlocal

from app.config import Settings
from app.control_plane.metronome import Metronome
from app.domain.timetable import Timetable, parse_hours, parse_time
from app.foothold import address_of
from app.records.database import Database
from app.records.ended_runs import EndedRuns
from app.records.feed import Feed
from app.records.notice_ledger import NoticeLedger
from app.services.courier import Courier
from app.services.digests import Digests
from app.services.floor import Ledgers
from app.services.leases import Leases
from app.services.notices import NoticeRules, Notices, Receiver
from app.services.notification_desk import Arrangement, NotificationDesk
from app.services.ports import Notifier
from app.services.turns import Turns
from app.services.workers import Workers

AT_ONCE = 8  # workers that may wait for receivers


def make_notification_desk(
    settings: Settings,
    notifier: Notifier,
    ledgers: Ledgers,
    *,
    database: Database,
    feed: Feed,
    leases: Leases,
    workers: Workers,
    metronome: Metronome,
    clock: Callable[[], datetime],
) -> NotificationDesk:
    """The desk, with a witness on the database and a courier on the feed where anybody is told."""
    zone = _zone(settings)
    rules = _rules(settings, zone)
    ledger = NoticeLedger(ledgers.runs.stores)
    notices = Notices(ledger, ledgers.projects, rules, clock)
    courier = Courier(
        ledger,
        Digests(ledger, EndedRuns(ledgers.runs.stores), notices, rules),
        notifier,
        rules,
        leases,
        Turns(workers, AT_ONCE),
        clock,
        lambda moment, duty: metronome.call_at(moment, duty, name="notifications"),
        chance=lambda: secrets.randbelow(1001) / 1000,
    )
    if rules.receivers:
        database.witness = notices.witness
        feed.subscribe(courier.hear)
    arrangement = Arrangement(
        kinds=settings.notify_kinds,
        quiet_hours=settings.quiet_hours or "",
        digest_at=settings.digest_at or "",
        zone=str(zone),
    )
    return NotificationDesk(ledger, notifier, rules, arrangement, workers, courier.request)


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
