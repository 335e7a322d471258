"""Messages in which agents report limits, failed sign-ins, network failures and retries.

Keys in such messages are masked: they are shown, stored and sent to people.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.adapters.agents.formats.fields import MAX_EVIDENCE_CHARS, moment_of, text_of
from app.domain.agents.final_output import Failure, LimitReached, Retrying, Troubled
from app.domain.agents.reports import ReportEvent

_LOOKED_AT_CHARS = 4_000
_FLAGS = re.IGNORECASE | re.ASCII

# messages of any of the agents and of the libraries under them
_RETRYING = re.compile(
    r"\bReconnecting\b|\bwaiting for network\b|\bRetrying (?:in|with|after)\b|\bwill retry\b",
    _FLAGS,
)
_AUTH = re.compile(
    r"\bNot logged in\b|\bPlease run /login\b|\b401 Unauthorized\b|\bstatus(?: code)?:? 401\b"
    r"|\bInvalid (?:API key|authentication credentials)\b|\bincorrect api key\b"
    r"|\bAuthentication(?:_?Error|_failed)\b|\bProviderAuthError\b|\binvalid_api_key\b"
    r"|\bOAuth token (?:has expired|revoked)\b|\bset an Auth method\b"
    r"|\bNo authentication information found\b|\bPlease (?:log|sign) in\b|\bapi key is missing\b"
    r"|\brefresh token (?:was|has)\b|\bauthentication required\b",
    _FLAGS,
)
_NETWORK = re.compile(
    r"\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b"
    r"|\bfetch failed\b|\bConnection error\b|\bUnable to connect\b|\bAPIConnectionError\b"
    r"|\bfailed to lookup address\b|\bstream disconnected before completion\b"
    r"|\bwaiting for network\b|\berror sending request for url\b|\bnetwork is unreachable\b"
    r"|\bTemporary failure in name resolution\b|\bUND_ERR_(?:CONNECT|SOCKET)",
    _FLAGS,
)
# prefixes of the keys of model providers, forges and chats, and of Runyard's own
_KEY = re.compile(
    r"(\b(?:sk-|gh[oprsu]_|github_pat_|glpat-|xox[abprs]-|AIza|AKIA|ry_)|\b[Bb]earer\s+)"
    r"[\w.~+/=-]{12,}",
    re.ASCII,
)


class Failures:
    """Finds failures in a text; `limit_messages` are the agent's own patterns, ignoring case.

    The group `epoch` is the time of the reset in seconds since 1970, `family` the window or the
    models; `person` means that only a person can lift the limit, unless `until` matches too.
    """

    def __init__(self, limit_messages: Sequence[str]) -> None:
        self._limits = [re.compile(pattern, _FLAGS) for pattern in limit_messages]

    def reported_in(self, value: object) -> Iterator[ReportEvent]:
        """Yield the limit, the failures and the retries that a text reports, if any."""
        for line in text_of(value, _LOOKED_AT_CHARS).splitlines():
            if limit := self._limit_in(line):
                yield limit
                return
            if _RETRYING.search(line):
                yield Retrying()
            if failure := failure_in(line):
                yield Troubled(failure, line.strip()[:MAX_EVIDENCE_CHARS])

    def _limit_in(self, line: str) -> LimitReached | None:
        for pattern in self._limits:
            if found := pattern.search(line):
                groups = found.groupdict()
                epoch = groups.get("epoch")
                begin = max(0, min(found.start(), len(line) - MAX_EVIDENCE_CHARS))
                return LimitReached(
                    line[begin : begin + MAX_EVIDENCE_CHARS].strip(),
                    moment_of(int(epoch)) if epoch else None,
                    (groups.get("family") or "").lower(),
                    bool(groups.get("person")) and not groups.get("until"),
                )
        return None


def failure_in(line: str) -> Failure | None:
    """Return the failure that a line reports, None if none."""
    if _AUTH.search(line):
        return Failure.AUTH
    return Failure.NETWORK if _NETWORK.search(line) else None


def hide_keys(text: str) -> str:
    """Return the text with each key cut down to its prefix."""
    return _KEY.sub(r"\1…", text)
