"""What one session sees where rows live in two databases: those beside it, and the control store.

With one database it is all in that one; a session of one of two that is asked for more than its
own store refuses, instead of answering with half.
"""

from __future__ import annotations

from typing import TypeVar

from sqlmodel import Session

S = TypeVar("S", bound=Session)
APART = "is_one_of_two"
BESIDE = "beside"
CONTROL = "control"


class OnlyOneStore(LookupError):
    """A session of one of two stores was asked for what may be in the other."""


def join(session: S, other: S, *, control: S) -> S:
    """Let both sessions know each other; the first of them."""
    session.info |= {BESIDE: other, CONTROL: control}
    other.info |= {BESIDE: session, CONTROL: control}
    return session


def every(session: S) -> tuple[S, ...]:
    """The session and the one beside it: together they see every run. Raises OnlyOneStore."""
    other = session.info.get(BESIDE)
    if other is not None:
        return (session, other)
    if session.info.get(APART):
        raise OnlyOneStore("this session sees the runs of one store only")
    return (session,)


def control_of(session: S) -> S:
    """The session of the control store. Raises OnlyOneStore."""
    control = session.info.get(CONTROL)
    if control is not None:
        return control
    if session.info.get(APART) == "runs":
        raise OnlyOneStore("this session is the run store's alone")
    return session
