"""Causes of failed launches, where known."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from app.domain.words import Cause
from app.services.ports import DiskFull, LaunchFailed, OriginProblem

_FULL = (errno.ENOSPC, errno.EDQUOT)


def cause_of(failure: BaseException) -> Cause:
    """Return the cause of a launch failure, following its chain of exceptions."""
    if any(_is_want_of_room(one) for one in _chain(failure)):
        return Cause.DISK_FULL
    known = failure.cause if isinstance(failure, OriginProblem | LaunchFailed) else None
    return known or Cause.LAUNCH_FAILED


def sentence_of(failure: BaseException) -> str:
    """Return the failure as a sentence for people."""
    is_told = isinstance(failure, OriginProblem)
    full = not is_told and cause_of(failure) is Cause.DISK_FULL
    return f"the disk is full: {failure}" if full else str(failure)


def _is_want_of_room(problem: BaseException) -> bool:
    return isinstance(problem, DiskFull) or (
        isinstance(problem, OSError) and problem.errno in _FULL
    )


def _chain(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__
