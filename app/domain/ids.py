"""Ids whose format alone shows which store owns a row."""

from __future__ import annotations

import re
from enum import StrEnum

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_TIME_DIGITS = 10
# number of final characters of an id that screens show
SEEN = 6
_SPLIT = re.compile(r"(?:run|batch)_[0-9a-v]{25}1", re.ASCII)
_TOGETHER = re.compile(r"(?:run|batch)_c[0-9a-v]{24}", re.ASCII)
_BEGINNING = re.compile(r"run_(?:c[0-9a-v]{0,24}|[0-7][0-9a-v]{0,25})?", re.ASCII)
_CONTROL = re.compile(
    r"(?:proj|person|org|token|approval|change|session|issue|audit|bulk|notice|outgoing|device)_"
    r"[0-9a-v]{24}",
    re.ASCII,
)


class Store(StrEnum):
    """The two databases that a row can be in."""

    CONTROL = "control"
    RUNS = "runs"


class Unclassifiable(ValueError):
    """An id of unknown format; callers assume the control store, and log a warning."""


def mint_run_store_id(prefix: str, *, at_ms: int, entropy: bytes, split: bool) -> str:
    """Make a run or batch id that sorts by creation time.

    `prefix` is `run` or `batch`, `at_ms` milliseconds since 1970, `entropy` at least 10 bytes. With
    `split` the id belongs to the run store (26 characters ending in 1), otherwise to the control
    store (25 characters starting with c).
    """
    time = _digits(at_ms & (2**48 - 1), _TIME_DIGITS)
    noise = _digits(int.from_bytes(entropy[:10], "big"), 16)
    return f"{prefix}_{time}{noise[:15]}1" if split else f"{prefix}_c{time}{noise[:14]}"


def mint_control_id(prefix: str, *, at_ms: int, entropy: bytes) -> str:
    """Make an id of the control store that sorts by creation time: prefix, `_`, 24 characters."""
    time = _digits(at_ms & (2**48 - 1), _TIME_DIGITS)
    return f"{prefix}_{time}{_digits(int.from_bytes(entropy[:10], 'big'), 16)[:14]}"


def store_of(id_: str) -> Store:
    """Return the store that owns the row with this id.

    Raises Unclassifiable for an id of unknown format.
    """
    if _SPLIT.fullmatch(id_):
        return Store.RUNS
    if _TOGETHER.fullmatch(id_) or _CONTROL.fullmatch(id_):
        return Store.CONTROL
    raise Unclassifiable(id_[:60])


def is_run_id(id_: str) -> bool:
    """Return True for a complete run id of either store."""
    return id_.startswith("run_") and bool(_SPLIT.fullmatch(id_) or _TOGETHER.fullmatch(id_))


def is_batch_id(id_: str) -> bool:
    """Return True for a complete batch id of either store."""
    return id_.startswith("batch_") and bool(_SPLIT.fullmatch(id_) or _TOGETHER.fullmatch(id_))


def minted_between(beginning: str) -> tuple[int, int] | None:
    """Return the earliest and latest creation time of run ids with this prefix, or None.

    In milliseconds since 1970, both inclusive; None if no run id has this prefix.
    """
    if not _BEGINNING.fullmatch(beginning):
        return None
    time = beginning.removeprefix("run_").removeprefix("c")[:_TIME_DIGITS]
    first, last = (int((time + end * _TIME_DIGITS)[:_TIME_DIGITS], 32) for end in "0v")
    return first, min(last, 2**48 - 1)


def shorten(id_: str) -> str:
    """Return the id's last six characters as screens show them: `…7f3k1a`."""
    return f"…{id_[-SEEN:]}"


def _digits(number: int, width: int) -> str:
    text = ""
    for _ in range(width):
        number, digit = divmod(number, 32)
        text = _ALPHABET[digit] + text
    return text
