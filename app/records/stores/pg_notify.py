"""The relay: passes changes between several servers on one PostgreSQL, by LISTEN and NOTIFY."""

from __future__ import annotations

import socket
import threading
from selectors import EVENT_READ, DefaultSelector
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.records.database.change_codec import CHANNEL, notify_others, read
from app.records.database.database import Database
from app.records.database.engines import postgresql_wire
from app.records.feed import Change, Feed, FeedBroke, LogGrew, Numbered, RunReported, SweepWanted

log = structlog.get_logger()
TOGETHER_SECONDS = 0.2
AGAIN_SECONDS = 1.0
# changes without a transaction; all others are sent by the transaction that commits them
UNCOMMITTED = (LogGrew, RunReported, SweepWanted)


class PgNotifyRelay:
    """Publishes other servers' changes here, and sends them changes that have no transaction."""

    def __init__(self, database: Database, feed: Feed, *, sends: bool = True) -> None:
        self._wire = postgresql_wire(database.url)
        self._mark = database.mark
        self._feed = feed
        # with two databases, one relay is enough to send changes without a transaction
        self._sends = sends
        self._is_listening = False
        self._closing = threading.Event()
        # a socket pair that wakes the listening thread when the relay closes
        self._woken, self._waker = socket.socketpair()
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._waiting: dict[Change, None] = {}
        self._listening = threading.Thread(target=self._listen, name="relay in", daemon=True)
        self._sending = threading.Thread(target=self._send, name="relay out", daemon=True)

    def open(self) -> None:
        """Start listening and, if this relay sends, sending, each in its own thread."""
        self._listening.start()
        if self._sends:
            self._sending.start()
            self._feed.subscribe(self._on_published)

    def close(self) -> None:
        """Stop both threads and close their connections; safe if the relay was never opened."""
        self._closing.set()
        self._news.set()
        self._waker.close()
        for thread in (self._listening, self._sending):
            if thread.is_alive():
                thread.join(5)
        self._woken.close()
        self._wire.dispose()

    def _on_published(self, one: Numbered) -> None:
        is_own = threading.current_thread() is not self._listening
        if is_own and isinstance(one.change, UNCOMMITTED):
            with self._lock:
                self._waiting[one.change] = None
            self._news.set()

    # --- sending -------------------------------------------------------------------------------

    def _send(self) -> None:
        while self._news.wait() and not self._closing.is_set():
            self._closing.wait(TOGETHER_SECONDS)
            with self._lock:
                self._news.clear()
                changes, self._waiting = list(self._waiting), {}
            try:
                with self._wire.connect() as connection:
                    notify_others(connection, changes, self._mark)
            except SQLAlchemyError:
                # not retried: a later change carries the same news, and without a database nothing
                # works anyway
                log.debug("changes_not_sent_to_other_servers", exc_info=True)

    # --- receiving -----------------------------------------------------------------------------

    def _listen(self) -> None:
        from psycopg import Error

        while not self._closing.is_set():
            try:
                with self._wire.connect() as connection:
                    try:
                        self._receive(connection.connection.driver_connection)
                    finally:
                        connection.invalidate()
            except (Error, SQLAlchemyError) as silence:
                reason = str(silence).partition("\n")[0]
                log.warning("other_servers_not_heard", because=reason)
                self._lose_connection()
            except Exception:
                log.exception("other_servers_not_heard")
                self._lose_connection()

    def _lose_connection(self) -> None:
        if self._is_listening:
            # caches that rely on receiving every change are no longer valid
            self._is_listening = False
            self._feed.publish([FeedBroke()])
        self._closing.wait(AGAIN_SECONDS)

    def _receive(self, connection: Any) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        # changes before this LISTEN were missed, so subscribers must reload
        self._feed.publish([FeedBroke()])
        self._is_listening = True
        with DefaultSelector() as sources:
            for one in (connection, self._woken):
                sources.register(one, EVENT_READ)
            while not self._closing.is_set():
                for message in connection.notifies(timeout=0):
                    self._feed.publish(read(message.payload, own=self._mark))
                    if self._closing.is_set():
                        return
                # psycopg's own wait polls ten times a second
                sources.select()
