"""The pull request that a run's agent opened itself: the one that counts, and why none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.tracker.forges import ForgeKind

# after an agent's end: a forge may show its pull request late
GRACE_SECONDS = 60
# with its pull request open, an agent that is silent for this long is done
SILENT_SECONDS = 60
# in a run's provenance: who opens its pull request, and the login of the agents' account there
OPENS, OPENS_AS = "open_pr", "open_pr_as"
NONE_OPENED = "its agent opened no pull request"
# the command lines of forges, by their kind
TOOLS: dict[str, str] = {ForgeKind.GITHUB: "gh", ForgeKind.FORGEJO: "tea", ForgeKind.GITEA: "tea"}


@dataclass(frozen=True)
class OpenedRequest:
    """A pull request on a run's branch; `state` is open, merged or closed.

    `is_new`: it was opened since the run began, and not for an earlier run of the branch.
    """

    number: int
    url: str
    state: str
    base: str
    author: str
    head_sha: str
    is_draft: bool = False
    is_new: bool = True


@dataclass(frozen=True)
class AgentRequest:
    """The one that counts, and others by the same account; without one, `because` says why.

    `in_the_way` names an open one of the branch that cannot count, "" if there is none.
    """

    kept: OpenedRequest | None
    doubles: tuple[int, ...] = ()
    because: str = ""
    in_the_way: str = ""


@dataclass(frozen=True)
class Wanted:
    """The request that a run wants of its agent: by this account (in lower case), into this base.

    `adopted` is the number of the one that was taken over before, which Runyard itself may have
    made a draft since; those in `taken` are other runs' deliveries.
    """

    account: str
    base: str
    adopted: int | None = None
    taken: frozenset[int] = frozenset()


def judge_requests(found: Sequence[OpenedRequest], wanted: Wanted) -> AgentRequest:
    """Decide which of the requests on a run's branch is the run's.

    Only those of the agents' own account count: anybody who may write there can open one of the
    branch, and write anything into its text. Of several it is the one adopted before, a merged
    one, or the lowest open one that is no draft.
    """
    own = [one for one in found if _is_own(one, wanted)]
    rows = sorted(own, key=lambda one: _rank(one, wanted.adopted))
    kept = next((one for one in rows if _is_fit(one, wanted)), None)
    if kept is None:
        because = _why_none(rows, wanted.base)
        return AgentRequest(None, because=because, in_the_way=_way_words(found, rows, because))
    doubles = [one.number for one in rows if one.state == "open" and one != kept]
    return AgentRequest(kept, tuple(doubles))


def _is_own(one: OpenedRequest, wanted: Wanted) -> bool:
    is_theirs = bool(wanted.account) and one.author.lower() == wanted.account
    return is_theirs and one.number not in wanted.taken


def _is_fit(one: OpenedRequest, wanted: Wanted) -> bool:
    is_ready = not one.is_draft or one.number == wanted.adopted or one.state == "merged"
    return one.state != "closed" and one.base == wanted.base and is_ready


def _rank(one: OpenedRequest, adopted: int | None) -> tuple[bool, bool, int]:
    return one.number != adopted, one.state != "merged", one.number


def _way_words(found: Sequence[OpenedRequest], own: Sequence[OpenedRequest], because: str) -> str:
    if any(one.state == "open" for one in own):
        return because
    other = next((one for one in found if one.state == "open"), None)
    return f"pull request #{other.number} of {other.author} is open" if other else ""


def _why_none(rows: Sequence[OpenedRequest], base: str) -> str:
    left = next((one for one in rows if one.state != "closed"), None)
    if left is None:
        closed = next(iter(rows), None)
        return f"pull request #{closed.number} of its agent was closed" if closed else NONE_OPENED
    if left.base != base:
        return f"its agent opened pull request #{left.number} into {left.base}, not into {base}"
    return f"its agent left pull request #{left.number} a draft"
