"""Transactions that callers share: those that wait for the write lock are written together.

A commit costs nearly as much for one row as for many: it waits for the disk once, and writes the
pages of every index once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from app.records.database.database import Transaction, Writing, is_silence, watched
from app.records.stores.sessions import SHARED, every

_T = TypeVar("_T")
Open = Callable[[], AbstractContextManager[Transaction]]


class _Spoiled(Exception):
    """An act failed otherwise than by a refusal, so the transaction must not be committed."""


@dataclass(eq=False)
class _Seat(Generic[_T]):
    """One caller: the act, its context, and the outcome."""

    act: Callable[[Transaction], _T]
    context: Context
    # released once the outcome is known, or once this caller has to write for all that wait
    waits: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    result: _T | None = None
    error: Exception | None = None


class SharedTransactions:
    """Runs acts in transactions made by `open_`; acts that come during one share the next.

    Each act runs as if it were alone: in its caller's context, after those that came before it, and
    what it raises concerns its caller only. It must not wait for another act. `refusal` is the
    exception by which an act says that it writes nothing.
    """

    def __init__(self, open_: Open, refusal: type[Exception]) -> None:
        self._open = open_
        self._refusal = refusal
        self._guard = threading.Lock()
        self._waiting: list[_Seat[Any]] = []
        self._is_led = False

    def write(self, act: Callable[[Transaction], _T]) -> _T:
        """Call `act` with a transaction; return its result once that is committed.

        Raises what `act` raises, and then nothing of it is written. Raises DatabaseSilent.
        """
        seat = _Seat(act, copy_context())
        seat.waits.acquire()
        with self._guard:
            self._waiting.append(seat)
            leads_at_once, self._is_led = not self._is_led, True
        if not leads_at_once:
            seat.waits.acquire()
        if leads_at_once or seat.leads:
            self._lead()
        if seat.error is not None:
            raise seat.error
        return seat.result  # pyright: ignore[reportReturnType]

    def _lead(self) -> None:
        with self._guard:
            seats, self._waiting = self._waiting, []
        try:
            self._write_all(seats)
        finally:
            with self._guard:
                # one that waits leads next, so that nobody writes for others for ever
                successors = self._waiting[:1]
                self._is_led = bool(successors)
            for seat in successors:
                seat.leads = True
            for seat in (*seats, *successors):
                seat.waits.release()

    def _write_all(self, seats: list[_Seat[Any]]) -> None:
        if len(seats) > 1:
            try:
                self._write_together(seats)
            except _Spoiled:
                for seat in seats:
                    seat.result = seat.error = None
            else:
                return
        for seat in seats:
            with _kept(seat):
                seat.result = seat.context.run(self._write_alone, seat.act)

    def _write_alone(self, act: Callable[[Transaction], _T]) -> _T:
        with self._open() as tx:
            return act(tx)

    def _write_together(self, seats: list[_Seat[Any]]) -> None:
        """Write all in one transaction. Raises _Spoiled if they must be written one by one."""
        try:
            with self._open() as tx:
                watching: list[Writing] = []
                for one in every(tx):
                    one.info[SHARED] = watching
                    one.begin_now()
                for seat in seats:
                    if self._has_done(tx, seat) and (writing := seat.context.run(watched)):
                        watching.append(writing)
        except _Spoiled:
            raise
        except Exception as error:
            for seat in seats:
                # also instead of a refusal, whose reason may be a row that was not committed
                seat.error = error

    def _has_done(self, tx: Transaction, seat: _Seat[Any]) -> bool:
        """Do an act; return False if it was refused. Raises _Spoiled."""
        sessions = every(tx)
        had_written, announced = [one.has_written for one in sessions], len(tx.pending_changes())
        for one in sessions:
            one.has_written = False
        try:
            seat.result = seat.context.run(seat.act, tx)
            for one in sessions:
                one.flush()
        except self._refusal as refusal:
            is_touched = any(one.has_written or one.new or one.dirty for one in sessions)
            if is_touched or len(tx.pending_changes()) != announced:
                raise _Spoiled from refusal
            seat.error = refusal
        except DBAPIError as error:
            if is_silence(error):
                raise
            raise _Spoiled from error
        except Exception as error:
            raise _Spoiled from error
        for one, had in zip(sessions, had_written, strict=True):
            one.has_written = one.has_written or had
            one.expunge_all()  # the next act reads its rows anew
        return seat.error is None


@contextmanager
def _kept(seat: _Seat[Any]) -> Generator[None]:
    try:
        yield
    except Exception as error:
        seat.error = error
