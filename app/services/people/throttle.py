"""Waiting after wrong passwords: per account and per address, alike for unknown names."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from app.domain.people.passwords import wait_after
from app.domain.system.addresses import household_of

MOST = 20_000
# failures are forgotten after this time without a new one
MEMORY = timedelta(hours=1)


@dataclass(slots=True)
class _Failures:
    count: int
    last: datetime


class Throttle:
    """Counts failures in the memory of this server, at most MOST accounts and addresses."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._failed: OrderedDict[str, _Failures] = OrderedDict()

    def begin(self, account: str, address: str | None, now: datetime) -> timedelta:
        """Count a try as failed before it is checked, or return how long to wait.

        So tries at the same time cannot share one turn; `succeed` takes it back.
        """
        with self._lock:
            keys = _keys(account, address)
            wait = max((self._wait_of(key, now) for key in keys), default=timedelta())
            if wait > timedelta():
                return wait
            for key in keys:
                known = self._failed.pop(key, None)
                is_old = known is None or now - known.last >= MEMORY
                count = 1 if known is None or is_old else known.count + 1
                self._failed[key] = _Failures(count, now)
            while len(self._failed) > MOST:
                self._failed.popitem(last=False)
        return timedelta()

    def succeed(self, account: str, address: str | None) -> None:
        """Forget an account's failures, and take back the address's last one."""
        with self._lock:
            self._failed.pop(f"account {account}", None)
            for key in _keys(account, address):
                if (known := self._failed.get(key)) is not None:
                    known.count -= 1

    def _wait_of(self, key: str, now: datetime) -> timedelta:
        known = self._failed.get(key)
        if known is None or now - known.last >= MEMORY:
            return timedelta()
        return max(known.last + wait_after(known.count) - now, timedelta())


def _keys(account: str, address: str | None) -> list[str]:
    found = [f"account {account}"] if account else []
    return [*found, f"address {household_of(address)}"] if address else found
