"""What is told to people who do not look: its kinds, its words, and how hostile text is tamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from app.domain.safe_text import blank
from app.domain.words import Cause, Status

LINE, TITLE = 200, 120
DIGEST_RUNS = 12
DIGEST_LINES = 3000  # characters of a digest: many receivers cut at 4000 or split there
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)


class Kind(StrEnum):
    """What a notification is about."""

    PAUSED = "paused"
    DELIVERED = "delivered"
    FAILED = "failed"
    NEEDS_YOU = "needs_you"
    DIGEST = "digest"


class State(StrEnum):
    """Where a notification stands: `sent` only once its receiver has taken it."""

    PENDING = "pending"
    SENT = "sent"
    DROPPED = "dropped"


class Outcome(StrEnum):
    """How a digest sums a run up."""

    DELIVERED = "delivered"
    NO_CHANGE = "no change"
    HELD = "held"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Told:
    """One thing to tell; only `what` is ours, all else may be hostile. `path` is a page of ours."""

    project: str
    what: str
    subject: str = ""
    because: str = ""
    path: str = "/"

    def as_data(self) -> dict[str, Any]:
        """For a row."""
        return asdict(self)


@dataclass(frozen=True)
class Digest:
    """What became of many runs: how many by outcome, their cost in US dollars, some of them.

    `told` says of which, where it is not all that ended between two moments.
    """

    counts: Mapping[Outcome, int]
    cost_usd: float | None
    lines: tuple[Told, ...]
    more: int = 0
    told: Told | None = None

    @property
    def is_empty(self) -> bool:
        """True where there is nothing to tell."""
        return not self.lines and not any(self.counts.values())

    def as_data(self) -> dict[str, Any]:
        """For a row."""
        counts = {str(outcome): number for outcome, number in self.counts.items() if number}
        return {
            "counts": counts,
            "cost_usd": self.cost_usd,
            "lines": [line.as_data() for line in self.lines],
            "more": self.more,
            "told": self.told.as_data() if self.told else None,
        }


@dataclass(frozen=True)
class Message:
    """What a receiver gets: two plain texts."""

    title: str
    body: str


def outcome_of(status: Status, cause: Cause | None) -> Outcome:
    """How a digest counts a run that has ended."""
    if status is Status.SUCCEEDED:
        return Outcome.DELIVERED
    if status is Status.DIED and cause is Cause.NO_DELIVERY:
        return Outcome.NO_CHANGE
    if status is Status.STOPPED:
        return Outcome.STOPPED
    return Outcome.HELD if status is Status.LIMITED else Outcome.FAILED


def outcome_words(counts: Mapping[Outcome, int]) -> str:
    """How many runs came to what, in the order of outcomes; empty for none."""
    return ", ".join(f"{counts[one]} {one}" for one in Outcome if counts.get(one))


def wait_after(attempts: int, chance: float) -> timedelta:
    """How long to wait after so many attempts; `chance` from 0 to 1 spreads it by a half."""
    doubled = FIRST_WAIT * 2 ** min(max(attempts, 1) - 1, 12)
    return min(doubled, LONGEST_WAIT) * (0.75 + chance / 2)


# --- words -------------------------------------------------------------------------------------


def compose(kind: Kind, about: Mapping[str, Any], *, address: str, id_: str) -> Message:
    """The message of a row; `address` is this server's own, `id_` tells a repeated message."""
    message = _of_digest(about, address) if kind is Kind.DIGEST else _of_one(about, address)
    return Message(f"Runyard: {tame(message.title, TITLE)}", f"{message.body}\n({id_})")


def tame(text: str, longest: int = LINE) -> str:
    """One line without anything that a chat, a mail or a terminal would act upon.

    Controls and direction marks go, markup, mentions and links lose their power.
    """
    line = " ".join(blank(text[:2000]).split()).translate(_POWERLESS)
    line = _ADDRESS.sub(": //", line)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


_POWERLESS = str.maketrans("<>[]`*~|@\\", "‹›()'∗∼¦＠/")
_ADDRESS = re.compile(r":\s*//")


def _of_one(about: Mapping[str, Any], address: str) -> Message:
    lines = [tame(about["subject"]), tame(about["because"]), f"{address}{about['path']}"]
    body = "\n".join(line for line in lines if line)
    return Message(f"{tame(about['project'], 60)} {about['what']}", body)


def _of_digest(about: Mapping[str, Any], address: str) -> Message:
    told = about.get("told")
    title = outcome_words(about["counts"]) or "what needs you"
    here, more_at = "/", "/runs"
    if told:
        title = f"{tame(told['project'], 60)} {told['what']}"
        here = more_at = told["path"]
    lines, room = [], DIGEST_LINES
    for line in about["lines"]:
        words = _digest_line(line, address)
        room -= len(words)
        if room < 0:
            break
        lines.append(words)
    more = about["more"] + len(about["lines"]) - len(lines)
    if more:
        lines.append(f"and {more} more: {address}{more_at}")
    cost = about["cost_usd"]
    sums = title if cost is None else f"{title} · ${cost:.2f}"
    return Message(title, "\n".join([f"{sums} · {address}{here}", *lines]))


def _digest_line(line: Mapping[str, Any], address: str) -> str:
    parts = (tame(line["subject"], 80), tame(line["because"], 80))
    why = "".join(f": {part}" for part in parts if part)
    return f"- {tame(line['project'], 60)} {line['what']}{why} {address}{line['path']}"


# --- receivers ---------------------------------------------------------------------------------

# of these the place after the scheme is a host; of others it may be a secret itself
_WITH_HOST = frozenset(
    f"{scheme}{s}" for scheme in ("json", "xml", "form", "mailto") for s in ("", "s")
)
_SCHEME = re.compile(r"[a-z0-9+.-]{1,20}", re.ASCII)


def mask_receiver(url: str) -> str:
    """A receiver's address as people may see it: its scheme, and its host where that is none."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not _SCHEME.fullmatch(scheme):
        return "…"
    if scheme not in _WITH_HOST:
        return f"{scheme}://…"
    try:
        parts = urlsplit(url)
        host, port = tame(parts.hostname or "", 60), parts.port
    except ValueError:
        return f"{scheme}://…"
    return f"{scheme}://{host}{f':{port}' if port else ''}/…"


# between the parts of an address; what says nothing to anybody but a receiver is one of them
_BETWEEN = re.compile(r"[/?&=@:#,;]+")
# a host, or a plain word: such a part would be found in ordinary text
_NO_SECRET = re.compile(r"[\w-]+(?:\.[\w-]+)+|[A-Z]?[a-z]{1,15}|[0-9]+|[a-z]+[-_][a-z]+", re.ASCII)
_PART_LEAST = 8


def secrets_of_receiver(url: str) -> tuple[str, ...]:
    """The parts of a receiver's address that nobody else may read: passwords, tokens, topics."""
    _, _, rest = url.partition("://")
    parts = [part for part in _BETWEEN.split(rest) if not _NO_SECRET.fullmatch(part)]
    user, _, password = re.split(r"[/?#]", rest)[0].rpartition("@")[0].partition(":")
    parts += [password or user]
    told = [one for part in parts for one in (part, unquote(part))]
    return tuple(dict.fromkeys(part for part in told if len(part) >= _PART_LEAST))
