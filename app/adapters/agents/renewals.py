"""Sign-in files that agents renew: what a private home gets, and which tokens are copied back.

A file that comes back was written by an agent: only its tokens are used, and only if all the rest
is as it was handed out. All other data in the user's own file stays the same.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from app.adapters.agents.catalogue.preset import Lent, Renewal
from app.domain.secret_masks import secret_in

MAX_TOKEN = 16 * 1024
# no sign-in expires later than this from now; a time of renewal must not lie ahead
LONGEST = timedelta(days=400)
_CLOCKS_DIFFER = timedelta(minutes=5)
_WORD = re.compile(r"[\x21-\x7e]+", re.ASCII)
# the prefix of a token such as sk-ant-ort01-… names its kind
_KIND = re.compile(r"sk-(?:[a-z0-9]+-)*", re.ASCII)
_JWT = re.compile(r"[\w-]+\.([\w-]+)\.[\w-]*", re.ASCII)
_WHOSE = ("iss", "sub", "email", "client_id", "https://api.openai.com/auth")
_OF_OPENAI = ("chatgpt_account_id", "chatgpt_user_id", "user_id")
_TABLE = re.compile(r"\[+\s*[\"']?([\w.-]+?)[\"']?\s*[.\]]")
_SETTING = re.compile(r"(?:export\s+)?[\"']?([\w.-]+)[\"']?\s*[=:]")


class NotRenewed(Exception):
    """A file that came back cannot be used; the message says why, without any value."""


class NotReadable(NotRenewed):
    """A file that came back is not a JSON object; it may be only partly written."""


def pick(lent: Lent, own: bytes) -> bytes | None:
    """Return what a private home gets of a file of the user's, None if that is nothing.

    Raises ValueError, RecursionError.
    """
    if lent.is_merged:
        chosen = _chosen(_read(own), lent.only)
        return _write(chosen) if chosen else None
    if not lent.only:
        return own
    text = own.decode(errors="replace")
    return "".join(_chosen_lines(text, lent.only)).encode() or None


def fit_in(lent: Lent, wanted: bytes | None, there: bytes | None) -> bytes | None:
    """Return the file that a private home should hold, None for no file.

    `there` is the file as the agent left it; everything in it but the lent settings stays, since
    an agent keeps data of its own in the same file.
    """
    if there is None or not lent.is_merged:
        return wanted
    try:
        before, kept, given = _read(there), _read(there), _read(wanted or b"{}")
        for path in lent.only:
            _put(kept, path, _get(given, path))
        if before == kept:
            return there
        return _write(kept) if kept else None
    except (ValueError, RecursionError):
        return wanted


def take_back(own: bytes, back: bytes, renewal: Renewal, now: datetime) -> bytes | None:
    """Return the user's own file with the newer tokens of `back`, None if none is newer.

    Raises NotRenewed, or its subclass NotReadable if `back` cannot be parsed.
    """
    try:
        mine = _read(own)
    except (ValueError, RecursionError):
        raise NotRenewed("the user's own file cannot be read") from None
    try:
        theirs = _read(back)
        has_newer = False
        for path in _parts(mine, renewal.part):
            part, other = _get(mine, path), _get(theirs, path)
            if isinstance(part, dict) and _is_newer(part, other, renewal, now):
                _renew(part, other, renewal)
                has_newer = True
        return _write(mine) if has_newer else None
    except (ValueError, RecursionError, OverflowError):
        raise NotReadable("it cannot be read") from None


def tokens_in(own: bytes, renewal: Renewal) -> list[str]:
    """Return the tokens and keys in a sign-in file of the user's, none if it cannot be parsed."""
    known = {field.rpartition(".")[2] for field in renewal.fields}
    try:
        return list(_tokens(_read(own), known))
    except (ValueError, RecursionError):
        return []


def _tokens(document: dict[str, Any], known: set[str]) -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _tokens(value, known)
        elif isinstance(value, str) and (_claims(value) is not None or _moment(value) is None):
            # a time of renewal is no secret
            found = secret_in(name, value, is_known=name in known)
            if found is not None:
                yield found.value


def _is_newer(part: dict[str, Any], other: Any, renewal: Renewal, now: datetime) -> bool:
    """Return True if `other` is the same sign-in, renewed later. Raises NotRenewed."""
    before = _moment(_get(part, renewal.newest))
    if before is None or part == other:
        return False  # a key that is never renewed, or no change
    if not isinstance(other, dict):
        raise NotRenewed("it is gone")
    after = _moment(_get(other, renewal.newest))
    if after is None:
        raise NotRenewed(f"{renewal.newest} is no time")
    if after <= before:
        return False
    if after > now + (LONGEST if renewal.is_end else _CLOCKS_DIFFER):
        raise NotRenewed(f"{renewal.newest} is too far ahead")
    spared = {*renewal.fields, *renewal.unsteady}
    if _without(part, spared) != _without(other, spared):
        raise NotRenewed("it holds more than new tokens")
    for path in renewal.fields:
        _must_be_like(_get(part, path), _get(other, path), path)
    return True


def _renew(part: dict[str, Any], other: dict[str, Any], renewal: Renewal) -> None:
    for path in renewal.fields:
        value = _get(other, path)
        if value is not None and _get(part, path) is not None:
            _put(part, path, value)


def _must_be_like(before: Any, after: Any, path: str) -> None:
    """Check that `after` can follow `before` in the same account. Raises NotRenewed."""
    if before is None or after is None or before == after:
        return
    if isinstance(before, int) and isinstance(after, int) and not isinstance(after, bool):
        return
    if not (isinstance(before, str) and isinstance(after, str)):
        raise NotRenewed(f"{path} is of another kind")
    if len(after) > MAX_TOKEN or not _WORD.fullmatch(after):
        raise NotRenewed(f"{path} is no token")
    if _kind(before) != _kind(after):
        raise NotRenewed(f"{path} is of another kind")
    claims, others = _claims(before), _claims(after)
    if (claims is None) != (others is None):
        raise NotRenewed(f"{path} is of another kind")
    if claims is not None and others is not None and _whose(claims) != _whose(others):
        raise NotRenewed(f"{path} is of another account")


def _kind(token: str) -> str:
    found = _KIND.match(token)
    return found[0] if found else ""


def _claims(token: str) -> dict[str, Any] | None:
    """Return the claims of a JWT, None for any other token."""
    found = _JWT.fullmatch(token)
    if found is None or not token.startswith("eyJ"):
        return None
    try:
        text = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
        return _read(text)
    except (binascii.Error, ValueError, RecursionError):
        return None


def _whose(claims: dict[str, Any]) -> list[Any]:
    told = [claims.get(name) for name in _WHOSE[:-1]]
    inner = claims.get(_WHOSE[-1])
    return [*told, *(inner.get(name) for name in _OF_OPENAI)] if isinstance(inner, dict) else told


def _moment(value: Any) -> datetime | None:
    """Return when a sign-in expires or was renewed, None if the value holds no time."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        if not isinstance(value, str) or len(value) > MAX_TOKEN:
            return None
        claims = _claims(value)
        if claims is not None:
            end = claims.get("exp")
            return datetime.fromtimestamp(end, UTC) if isinstance(end, int) else None
        told = datetime.fromisoformat(_at_most_microseconds(value))
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _at_most_microseconds(moment: str) -> str:
    # Rust writes nanoseconds
    return re.sub(r"(\.\d{6})\d+", r"\1", moment[:64])


def _parts(own: dict[str, Any], part: str) -> Iterator[tuple[str, ...]]:
    """Yield the paths of the parts that are renewed separately."""
    if part == "*":
        yield from ((name,) for name in own)
    else:
        yield (part,) if part else ()


def _without(part: dict[str, Any], paths: set[str]) -> dict[str, Any]:
    rest = copy.deepcopy(part)
    for path in paths:
        _put(rest, path, None)
    return rest


def _chosen(document: dict[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for path in paths:
        _put(chosen, path, _get(document, path))
    return chosen


def _chosen_lines(text: str, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of these settings, and of tables whose name begins with one."""
    is_chosen, is_in_table = False, False
    for line in text.splitlines(keepends=True):
        if table := _TABLE.match(line):
            is_chosen, is_in_table = table[1].partition(".")[0] in names, True
        elif not is_in_table and (setting := _SETTING.match(line)):
            is_chosen = setting[1] in names
        if is_chosen:
            yield line


def _get(document: Any, path: str | tuple[str, ...]) -> Any:
    """Return the value at a path, None if there is none."""
    for name in path.split(".") if isinstance(path, str) else path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path; None removes it."""
    *above, last = path.split(".")
    for name in above:
        inner = document.get(name)
        if not isinstance(inner, dict):
            if value is None:
                return
            inner = document[name] = {}
        document = inner
    if value is None:
        document.pop(last, None)
    else:
        document[last] = value


def _read(content: bytes) -> dict[str, Any]:
    found = json.loads(content, parse_constant=_refuse)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _write(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"
