"""Accounts at their usage limit: their holds, and which runs may be launched on them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from app.domain.agents.final_output import LimitReached, limit_of
from app.domain.usage_limits import (
    HEAD_START,
    MAX_RESUMES,
    MOST_JITTER,
    STAGGER,
    Stand,
    covers,
    family_of,
    is_turn,
    next_try,
    sentence_of,
    stand_of,
)
from app.domain.words import Trigger
from app.errors import AccountHeld, NotFound
from app.records.database.database import Transaction
from app.records.people import usage_limit_ledger
from app.records.people.audit_ledger import Deed, write_down
from app.records.people.usage_limit_ledger import HoldLedger, facts_of
from app.records.runs.run_ledger import RunLedger
from app.records.stores.sessions import every
from app.records.tables import AccountHold, Run
from app.services.ports import Agents

PROBE_LOOK = timedelta(seconds=5)


@dataclass(frozen=True)
class HoldView:
    """A hold with its current stand and the number of runs that wait for it."""

    hold: AccountHold
    stand: Stand
    waiting: int

    @property
    def sentence(self) -> str:
        """State of the hold in a sentence for people."""
        return sentence_of(self.hold.agent, self.hold.family, self.stand, self.hold.until)


class UsageLimits:
    """Holds on accounts at their usage limit, kept in the database to survive restarts."""

    def __init__(self, runs: RunLedger, agents: Agents) -> None:
        self._runs = runs
        self._agents = agents
        self.ledger = HoldLedger(runs.stores)

    # --- meeting a limit -----------------------------------------------------------------------

    def hold(self, tx: Transaction, run: Run, told: Mapping[str, Any], now: datetime) -> str:
        """Hold the account whose limit ended `run`. Return a sentence about the hold.

        `told` is a limit as returned by `as_data`; the transaction is the control store's.
        """
        limit = limit_of(told)
        account, family = self._agents.account(run.agent), family_of(limit.family)
        known = tx.get(AccountHold, (run.agent, account, family))
        hold = _renewed(known, run, limit, now) or AccountHold(
            agent=run.agent,
            account=account,
            family=family,
            since=now,
            until=next_try(limit, now, None, 1, _jitter(run.id)),
            evidence=limit.evidence,
            run_id=run.id,
        )
        usage_limit_ledger.put(tx, hold)
        for other in self._covering(tx, run):
            if other.probe_run_id == run.id and other.family != family:
                # the probe met a narrower limit, so this wider one is over
                usage_limit_ledger.change(tx, other, probe_run_id=None, next_at=now)
        sentence = sentence_of(run.agent, family, Stand.HELD, hold.until)
        if run.resumes >= MAX_RESUMES:
            sentence += f"; it was resumed {MAX_RESUMES} times in a row: a person decides"
        return sentence

    # --- taking turns --------------------------------------------------------------------------

    def refusal(
        self, session: Session, agent: str, model: str | None, now: datetime
    ) -> AccountHeld | None:
        """Return the refusal for new runs while the account is held, as `session` sees it."""
        for hold in usage_limit_ledger.covering(session, agent, self._agents.account(agent), model):
            if stand_of(facts_of(hold), now) is Stand.HELD:
                sentence = sentence_of(agent, hold.family, Stand.HELD, hold.until)
                return AccountHeld(f"{sentence[0].upper()}{sentence[1:]}.", until=hold.until)
        return None

    def reason(
        self, agent: str, model: str | None, now: datetime, *, is_resume: bool = False
    ) -> str | None:
        """Return why no new run may be launched on the account now, None if one may."""
        with self.ledger.stores.looking() as session:
            return self.reason_in(session, agent, model, now, is_resume=is_resume)

    def reason_in(
        self,
        session: Session,
        agent: str,
        model: str | None,
        now: datetime,
        *,
        is_resume: bool = False,
    ) -> str | None:
        """Do the same as `reason`, inside the transaction that acts on the answer."""
        account = self._agents.account(agent)
        holds = usage_limit_ledger.covering(session, agent, account, model)
        reasons = (_waits(session, hold, None, now, is_resume=is_resume) for hold in holds)
        return next((reason for reason in reasons if reason), None)

    def take(self, tx: Transaction, run: Run, now: datetime) -> str | None:
        """Take a queued run's turn on its account. Return why it waits, None if it may start."""
        holds, is_resume = self._covering(tx, run), run.trigger == Trigger.RESUME
        for hold in holds:
            if reason := _waits(tx, hold, run.id, now, is_resume=is_resume):
                return reason
        for hold in holds:
            stand = stand_of(facts_of(hold), now)
            turn = {"next_at": now + STAGGER} if stand is Stand.EASING else {}
            first = {"probe_run_id": run.id} if stand is Stand.DUE else {}
            if (turn or first) and not usage_limit_ledger.change(tx, hold, **turn, **first):
                return sentence_of(run.agent, hold.family, Stand.PROBING, hold.until)
        return None

    def begin_resume(self, tx: Transaction, run: Run, now: datetime, *, by_hand: bool) -> bool:
        """Let a resume that is being accepted go first. Return False if it may not start now.

        A resume by hand does not wait for the account's time.
        """
        for hold in self._covering(tx, run):
            stand = stand_of(facts_of(hold), now)
            if stand is Stand.DUE or (by_hand and stand is Stand.HELD):
                if not usage_limit_ledger.change(tx, hold, probe_run_id=run.id) and not by_hand:
                    return False
            elif stand is not Stand.EASING and not by_hand:
                return False
        return True

    def stops(self, session: Session, run: Run, now: datetime) -> str | None:
        """Return why a dequeued run must not be launched after all, or None."""
        for hold in self._covering(session, run):
            stand = stand_of(facts_of(hold), now)
            if stand is Stand.HELD or (stand is Stand.PROBING and hold.probe_run_id != run.id):
                return sentence_of(run.agent, hold.family, stand, hold.until)
        return None

    def moments(self, now: datetime) -> list[datetime]:
        """Return the future moments (UTC) at which a held account is due for a check."""
        found: list[datetime | None] = []
        for hold in self.ledger.all():
            stand = stand_of(facts_of(hold), now)
            look = now + PROBE_LOOK if stand is Stand.PROBING else hold.until
            found.append(hold.next_at if stand is Stand.EASING else look)
        return [moment for moment in found if moment is not None and moment > now]

    # --- for people ----------------------------------------------------------------------------

    def views(self, now: datetime, session: Session | None = None) -> list[HoldView]:
        """Return every hold of this machine's accounts, oldest first.

        Reads the holds through `session` if given.
        """
        known = self.ledger.all(session)
        holds = [one for one in known if one.account == self._agents.account(one.agent)]
        waiting = self.ledger.count_waiting(holds)
        return [
            HoldView(hold, stand_of(facts_of(hold), now), count)
            for hold, count in zip(holds, waiting, strict=True)
        ]

    def waiting_by_project(self, now: datetime) -> Counter[str]:
        """Count the runs that wait for an account at its limit, by project."""
        held = [one.hold for one in self.views(now) if one.stand is Stand.HELD]
        return self.ledger.waiting_by_project(held)

    def held(self, session: Session | None = None) -> dict[str, list[AccountHold]]:
        """Return the holds that runs on this machine may meet, by agent, sorted by family.

        Reads through `session` if given.
        """
        found: dict[str, list[AccountHold]] = {}
        for hold in sorted(self.ledger.all(session), key=lambda hold: hold.family):
            if hold.account == self._agents.account(hold.agent):
                found.setdefault(hold.agent, []).append(hold)
        return found

    def lift(self, agent: str, family: str, deed: Deed, now: datetime) -> None:
        """Lift a hold by hand; the waiting runs start one by one. Raises NotFound."""
        for hold in self._read(agent, None):
            if hold.family != family:
                continue
            with self.ledger.stores.control.transaction() as tx:
                if usage_limit_ledger.change(tx, hold, probe_run_id=None, next_at=now):
                    write_down(tx, deed, now)
                    return
        raise NotFound("This account is not at its usage limit.")

    def _read(self, agent: str, model: str | None) -> list[AccountHold]:
        with self.ledger.stores.control.reading() as session:
            return usage_limit_ledger.covering(session, agent, self._agents.account(agent), model)

    def _covering(self, session: Session, run: Run) -> list[AccountHold]:
        return usage_limit_ledger.covering(
            session, run.agent, self._agents.account(run.agent), run.model
        )


def current_sentence(hold: AccountHold, now: datetime) -> str:
    """Return why runs wait for a hold, as a sentence for people."""
    return sentence_of(hold.agent, hold.family, stand_of(facts_of(hold), now), hold.until)


def needs(hold: AccountHold, run: Run) -> bool:
    """Return True if a run needs the account of this hold."""
    return run.agent == hold.agent and covers(hold.family, run.model)


def _renewed(
    known: AccountHold | None, run: Run, limit: LimitReached, now: datetime
) -> AccountHold | None:
    """Return a known hold after one more limit, None if no hold is known.

    Runs that were live at the same time meet the same limit, which counts once.
    """
    if known is None:
        return None
    stand = stand_of(facts_of(known), now)
    is_same = stand is Stand.HELD or (stand is Stand.PROBING and known.probe_run_id != run.id)
    hits = known.hits if is_same else known.hits + 1
    until = next_try(limit, now, None, hits, _jitter(run.id))
    if is_same and known.until is None:
        until = None
    elif is_same and until is not None and known.until is not None:
        until = max(until, known.until)
    return AccountHold(
        agent=known.agent,
        account=known.account,
        family=known.family,
        since=known.since if is_same else now,
        until=until,
        evidence=limit.evidence,
        run_id=run.id,
        hits=hits,
        probe_run_id=known.probe_run_id if is_same else None,
    )


def _waits(
    session: Session, hold: AccountHold, run_id: str | None, now: datetime, *, is_resume: bool
) -> str | None:
    """Return why a run waits for this hold, None if its turn has come."""
    stand = stand_of(facts_of(hold), now)
    if stand is Stand.PROBING and hold.probe_run_id == run_id:
        return None
    if stand is Stand.EASING and is_turn(hold.next_at, now):
        return None
    if stand is Stand.DUE and (is_resume or not _has_resumable(session, hold, now)):
        return None
    return sentence_of(hold.agent, hold.family, stand, hold.until)


def _has_resumable(session: Session, hold: AccountHold, now: datetime) -> bool:
    """Return True while the first turn is reserved for a run waiting to be resumed."""
    if hold.until is not None and now >= hold.until + HEAD_START:
        return False
    query = select(Run).where(col(Run.may_resume), Run.agent == hold.agent)
    found = (run for one in every(session) for run in one.exec(query))
    return any(covers(hold.family, run.model) for run in found)


def _jitter(run_id: str) -> timedelta:
    """Return a jitter that is always the same for a run."""
    number = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4])
    return timedelta(seconds=number % (int(MOST_JITTER.total_seconds()) + 1))
