"""The pull request that a run's agent opened itself: the one that counts, and why none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# after an agent's end: a forge may show its pull request late
GRACE_SECONDS = 60
# with its pull request open, an agent that is silent for this long is done
SILENT_SECONDS = 60
# in a run's provenance: who opens its pull request
OPENS = "open_pr"
NONE_OPENED = "its agent opened no pull request"


@dataclass(frozen=True)
class OpenedRequest:
    """A pull request on a run's branch; `state` is open, merged or closed.

    `runs` are the runs whose mark its text has.
    """

    number: int
    url: str
    state: str
    base: str
    author: str
    head_sha: str
    is_draft: bool = False
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgentRequest:
    """The one that counts, and others by the same account; without one, `because` says why.

    `is_left_open`: there is an open one that cannot count.
    """

    kept: OpenedRequest | None
    doubles: tuple[int, ...] = ()
    because: str = ""
    is_left_open: bool = False


def judge_requests(found: Sequence[OpenedRequest], run_id: str, base: str) -> AgentRequest:
    """Decide which of the requests on a run's branch is the run's.

    Those that have another run's mark do not count. One that has its own was adopted before, and
    stays the one even as a draft. Otherwise it is a merged one, else the lowest open one that is
    no draft and is to be merged into `base`.
    """
    rows = sorted((one for one in found if run_id in one.runs or not one.runs), key=_rank)
    marked = [one for one in rows if run_id in one.runs and one.state != "closed"]
    fit = [one for one in rows if one.state != "closed" and one.base == base and not one.is_draft]
    kept = next(iter(marked or fit), None)
    if kept is None:
        is_open = any(one.state == "open" for one in rows)
        return AgentRequest(None, because=_why_none(rows, base), is_left_open=is_open)
    doubles = [one for one in rows if one.state == "open" and one.author == kept.author]
    return AgentRequest(kept, tuple(one.number for one in doubles if one != kept))


def _rank(one: OpenedRequest) -> tuple[bool, int]:
    return one.state != "merged", one.number


def _why_none(rows: Sequence[OpenedRequest], base: str) -> str:
    left = next((one for one in rows if one.state != "closed"), None)
    if left is None:
        closed = next(iter(rows), None)
        return f"pull request #{closed.number} of its agent was closed" if closed else NONE_OPENED
    if left.base != base:
        return f"its agent opened pull request #{left.number} into {left.base}, not into {base}"
    return f"its agent left pull request #{left.number} a draft"
