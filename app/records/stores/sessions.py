"""Links between the sessions of both stores, and the check that a query sees both where it must.

With one database, every session sees all rows. With two, a session that is not linked to the other
store's raises OnlyOneStore instead of returning half of the rows.
"""

from __future__ import annotations

from typing import TypeVar

from sqlmodel import Session

S = TypeVar("S", bound=Session)
APART = "is_one_of_two"
BESIDE = "beside"
CONTROL = "control"
# of a transaction that several operations share: the states of those that wrote in it
SHARED = "shared"


class OnlyOneStore(LookupError):
    """A session of one store was asked for rows that may be in the other."""


def join(session: S, other: S, *, control: S) -> S:
    """Link two sessions to each other and to the control store's; return the first."""
    session.info |= {BESIDE: other, CONTROL: control}
    other.info |= {BESIDE: session, CONTROL: control}
    return session


def every(session: S) -> tuple[S, ...]:
    """Return the session and the one linked to it: together they see every run.

    Raises OnlyOneStore.
    """
    other = session.info.get(BESIDE)
    if other is not None:
        return (session, other)
    if session.info.get(APART):
        raise OnlyOneStore("this session sees the runs of one store only")
    return (session,)


def control_of(session: S) -> S:
    """Return the session of the control store. Raises OnlyOneStore."""
    control = session.info.get(CONTROL)
    if control is not None:
        return control
    if session.info.get(APART) == "runs":
        raise OnlyOneStore("this session is the run store's alone")
    return session
