"""Notifications: kinds, message texts, and the defusing of hostile text in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import unquote, urlsplit

from app.domain.backoff import Backoff
from app.domain.safe_text import blank
from app.domain.words import Cause, Status

LINE, TITLE = 200, 120
DIGEST_RUNS = 12
DIGEST_LINES = 3000  # characters of a digest: many receivers truncate or split at 4000
DIGEST_SENTENCES = 3
WAITS = Backoff(timedelta(seconds=30), timedelta(hours=1))


class Kind(StrEnum):
    """The kinds of notifications."""

    PAUSED = "paused"
    DELIVERED = "delivered"
    FAILED = "failed"
    NEEDS_YOU = "needs_you"
    DIGEST = "digest"


# the kinds that a person chooses project by project; the digest is about all of them
CHOSEN = (Kind.NEEDS_YOU, Kind.DELIVERED, Kind.FAILED, Kind.PAUSED)


class State(StrEnum):
    """The state of a notification; `sent` only once its receiver has accepted it."""

    PENDING = "pending"
    SENT = "sent"
    DROPPED = "dropped"


class Outcome(StrEnum):
    """The outcomes by which a digest counts runs."""

    DELIVERED = "delivered"
    NO_CHANGE = "no change"
    HELD = "held"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Told:
    """The content of one message. Only `what` and `path` are Runyard's, the rest may be hostile."""

    project: str
    what: str
    subject: str = ""
    because: str = ""
    path: str = "/"

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data for a row."""
        return asdict(self)


@dataclass(frozen=True)
class Digest:
    """A summary of many runs: counts by outcome, cost in US dollars, and some of the runs.

    `told` names the batch, if the digest is about one and not about a time window.
    """

    counts: Mapping[Outcome, int]
    cost_usd: float | None
    lines: tuple[Told, ...]
    more: int = 0
    told: Told | None = None

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to report."""
        return not self.lines and not any(self.counts.values())

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data for a row."""
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
    """The title and body that a receiver gets, both plain text.

    A device that opens links itself shows the `headline` and the `sentence` instead, and leads to
    the `path` on this server; `id` is that of the notification.
    """

    title: str
    body: str
    headline: str = ""
    sentence: str = ""
    path: str = "/"
    id: str = ""


def outcome_of(status: Status, cause: Cause | None) -> Outcome:
    """Return the outcome by which a digest counts an ended run."""
    if status is Status.SUCCEEDED:
        return Outcome.DELIVERED
    if status is Status.DIED and cause is Cause.NO_DELIVERY:
        return Outcome.NO_CHANGE
    if status is Status.STOPPED:
        return Outcome.STOPPED
    return Outcome.HELD if status is Status.LIMITED else Outcome.FAILED


def outcome_words(counts: Mapping[Outcome, int]) -> str:
    """Format counts by outcome, in the order of Outcome; empty if there are no runs."""
    return ", ".join(f"{counts[one]} {one}" for one in Outcome if counts.get(one))


def wait_after(attempts: int, chance: float) -> timedelta:
    """Return the delay before the next attempt, which doubles with each attempt.

    `chance`, from 0 to 1, varies it by up to a quarter either way.
    """
    return WAITS.after(attempts) * (0.75 + chance / 2)


# --- message texts -----------------------------------------------------------------------------


def compose(kind: Kind, about: Mapping[str, Any], *, address: str, id_: str) -> Message:
    """Compose the message of a row; receivers can detect duplicates by `id_`.

    `address` is this server's base URL.
    """
    message = _of_digest(about, address) if kind is Kind.DIGEST else _of_one(about, address)
    headline = tame(message.title, TITLE)
    return replace(
        message,
        title=f"Runyard: {headline}",
        body=f"{message.body}\n({id_})",
        headline=headline,
        id=id_,
    )


def tame(text: str, longest: int = LINE) -> str:
    """Return text as one line that no chat, mail or terminal client interprets.

    Removes control and direction characters, and defuses markup, mentions and links.
    """
    line = " ".join(blank(text[:2000]).split()).translate(_POWERLESS)
    line = _ADDRESS.sub(": //", line)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


_POWERLESS = str.maketrans("<>[]`*~|@\\", "‹›()'∗∼¦＠/")
_ADDRESS = re.compile(r":\s*//")


def _of_one(about: Mapping[str, Any], address: str) -> Message:
    told = [line for line in (tame(about["subject"]), tame(about["because"])) if line]
    path = about["path"]
    body = "\n".join([*told, f"{address}{path}"])
    title = f"{tame(about['project'], 60)} {about['what']}"
    return Message(title, body, sentence="\n".join(told), path=path)


def _of_digest(about: Mapping[str, Any], address: str) -> Message:
    told = about.get("told")
    title = outcome_words(about["counts"]) or "what needs you"
    here, more_at = "/", "/runs"
    if told:
        title = f"{tame(told['project'], 60)} {told['what']}"
        here = more_at = told["path"]
    lines: list[str] = []
    room = DIGEST_LINES
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
    body = "\n".join([f"{sums} · {address}{here}", *lines])
    return Message(title, body, sentence=_shown_lines(about["lines"]), path=here)


def _shown_lines(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the first lines of a digest without addresses, for a small screen."""
    return "\n".join(
        f"{tame(one['project'], 60)} {one['what']}" for one in lines[:DIGEST_SENTENCES]
    )


def _digest_line(line: Mapping[str, Any], address: str) -> str:
    parts = (tame(line["subject"], 80), tame(line["because"], 80))
    why = "".join(f": {part}" for part in parts if part)
    return f"- {tame(line['project'], 60)} {line['what']}{why} {address}{line['path']}"


# --- receivers ---------------------------------------------------------------------------------

# for these schemes the part after :// is a host; for others it may be a secret
_WITH_HOST = frozenset(
    f"{scheme}{s}" for scheme in ("json", "xml", "form", "mailto") for s in ("", "s")
)
_SCHEME = re.compile(r"[a-z0-9+.-]{1,20}", re.ASCII)


def mask_receiver(url: str) -> str:
    """Return a receiver's URL for display: the scheme, and the host if it is not a secret."""
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


# separators of a URL's parts
_BETWEEN = re.compile(r"[/?&=@:#,;]+")
# hosts and plain words are no secrets: masking them would hit ordinary text
_NO_SECRET = re.compile(r"[\w-]+(?:\.[\w-]+)+|[A-Z]?[a-z]{1,15}|[0-9]+|[a-z]+[-_][a-z]+", re.ASCII)
_PART_LEAST = 8


def secrets_of_receiver(url: str) -> tuple[str, ...]:
    """Return the secret parts of a receiver's URL: passwords, tokens, topics."""
    _, _, rest = url.partition("://")
    parts = [part for part in _BETWEEN.split(rest) if not _NO_SECRET.fullmatch(part)]
    user, _, password = re.split(r"[/?#]", rest)[0].rpartition("@")[0].partition(":")
    parts += [password or user]
    told = [one for part in parts for one in (part, unquote(part))]
    return tuple(dict.fromkeys(part for part in told if len(part) >= _PART_LEAST))
