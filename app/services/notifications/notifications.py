"""Receivers of notifications as shown to people: their state, and test messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.domain.notifications import Kind, Message, State
from app.errors import NoReceivers
from app.records.database.database import DatabaseSilent
from app.records.people.notification_ledger import NoticeLedger, ReceiverBacklog
from app.services.context import Context
from app.services.notifications.receivers import AddressReceiver
from app.services.ports import NotTaken

TEST_SECONDS = 15.0  # longer than any notifier takes
TEST = "This is a test message from Runyard."
LATE = "No answer yet."


@dataclass(frozen=True)
class ReceiverState:
    """State of one receiver without secrets; `problem` says why it cannot be used."""

    receiver: str
    problem: str | None
    pending: int
    next_at: datetime | None
    last_at: datetime | None
    last_taken: bool | None
    last_because: str | None


@dataclass(frozen=True)
class Tried:
    """Result of a test message: `because` says why it was not taken."""

    receiver: str
    taken: bool
    because: str | None


@dataclass(frozen=True)
class Arrangement:
    """Kinds and times of notifications from the settings; empty strings for what is off."""

    kinds: tuple[Kind, ...]
    quiet_hours: str
    digest_at: str
    zone: str


class NotificationService:
    """Reports the state of the setting's receivers and sends test messages."""

    def __init__(
        self,
        context: Context,
        ledger: NoticeLedger,
        receivers: tuple[AddressReceiver, ...],
        arrangement: Arrangement,
        request: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._receivers = receivers
        self._workers = context.workers
        self.arrangement = arrangement
        self.request = request

    def receivers(self) -> list[ReceiverState]:
        """Return the state of every receiver, in the order of the setting."""
        return [self._state_of(receiver) for receiver in self._receivers]

    def test(self) -> list[Tried]:
        """Send every receiver a message now, even in quiet hours. Raises NoReceivers."""
        if not self._receivers:
            raise NoReceivers
        outcomes: dict[str, Tried] = {}

        def try_one(receiver: AddressReceiver) -> None:
            outcomes[receiver.mark] = self._try(receiver)

        duties = [partial(try_one, receiver) for receiver in self._receivers]
        self._workers.do_all(duties, TEST_SECONDS, afterwards=lambda: None)
        return [
            outcomes.get(receiver.mark) or Tried(receiver.shown, False, LATE)
            for receiver in self._receivers
        ]

    def waiting(self) -> list[tuple[str, str, datetime]]:
        """Return each receiver that is failing: its mark, a sentence, and since when (UTC)."""
        found: list[tuple[str, str, datetime]] = []
        for receiver in self._receivers:
            backlog = self._ledger.backlog(receiver.mark)
            if backlog.stuck_since is not None:
                words = _waiting_words(receiver.shown, backlog)
                found.append((receiver.mark, words, backlog.stuck_since))
        return found

    def problems(self) -> list[tuple[str, str | None]]:
        """Return each receiver without secrets and why it cannot be used, for doctor."""
        return [(one.shown, self._problem(one)) for one in self._receivers]

    def _problem(self, receiver: AddressReceiver) -> str | None:
        if problem := receiver.problem():
            return problem
        try:
            backlog = self._ledger.backlog(receiver.mark)
        except DatabaseSilent:
            return None  # doctor reports the database separately
        if backlog.stuck_since is None:
            return None
        return _waiting_words("", backlog)

    def _try(self, receiver: AddressReceiver) -> Tried:
        try:
            receiver.send(Message("Runyard: a test", TEST))
        except NotTaken as problem:
            return Tried(receiver.shown, False, str(problem))
        return Tried(receiver.shown, True, None)

    def _state_of(self, receiver: AddressReceiver) -> ReceiverState:
        backlog = self._ledger.backlog(receiver.mark)
        last = backlog.last
        return ReceiverState(
            receiver=receiver.shown,
            problem=receiver.problem(),
            pending=backlog.pending,
            next_at=backlog.next_at,
            last_at=last and last.tried_at,
            last_taken=None if last is None else last.state == State.SENT,
            last_because=last and last.because,
        )


def _waiting_words(receiver: str, backlog: ReceiverBacklog) -> str:
    count = "1 message waits" if backlog.pending == 1 else f"{backlog.pending} messages wait"
    where = f" for {receiver}" if receiver else ""
    because = f" {backlog.last.because}" if backlog.last and backlog.last.because else ""
    return f"{count}{where} since {backlog.stuck_since:%Y-%m-%d %H:%M} UTC.{because}"
