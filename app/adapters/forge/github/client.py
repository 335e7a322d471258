"""The HTTP client of GitHub: answers kept by ETag, one queue, and its limits obeyed."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import monotonic, sleep
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from app.adapters.forge.bodies import reset_of, seconds_of
from app.adapters.forge.client import LONGEST_WAIT, Answer, ForgeClient, NotThere
from app.adapters.forge.paging import Place
from app.domain.json.objects import is_array, is_object
from app.services.ports import ForgeSilent

API_VERSION = "2022-11-28"
# between two writes, seconds: faster ones meet a secondary limit
WRITE_SECONDS = 1.0
# answers that are kept, and the longest that are, bytes
MOST_KEPT, MOST_KEPT_BYTES, LONGEST_KEPT = 4000, 64 * 1024**2, 2 * 1024**2
# the first wait after a secondary limit that names none, seconds
FIRST_WAIT = 60
# an ETag is that of the body alone: a next page may be there now
_FRESH = ("date", "link", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
# by their old name and by their new one
_LIMIT_TYPES = ("RATE_LIMITED", "RATE_LIMIT")
_SPENT = "its rate limit for GraphQL is reached"
_BY_ID = re.compile(r"/repositories/(\d{1,20})(?=[/?>#\s]|$)")
_ISSUE = re.compile(r"/issues/\d{1,20}(?=[/?#]|$)")
_BY_NAME = re.compile(r"/repos/([^/]+)/[^/?]+")


class SignIn(Protocol):
    """The sign-in of requests to GitHub."""

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nobody is needed."""
        ...

    def bearer(self, owner: str) -> str:
        """Return the token for what an account owns, "" for no account's. Raises ForgeSilent."""
        ...

    def renew(self, owner: str) -> bool:
        """Forget a token that was refused; True if there will be another one."""
        ...

    def is_lasting(self, owner: str) -> bool:
        """Return True if an account's token serves for more than one request."""
        ...


@dataclass(frozen=True)
class TokenSignIn:
    """A person's token, classic or fine-grained."""

    token: str = field(repr=False)
    refused: str | None = None

    def bearer(self, owner: str) -> str:
        """Return the token."""
        return self.token

    def renew(self, owner: str) -> bool:
        """Return False: only a person can replace it."""
        return False

    def is_lasting(self, owner: str) -> bool:
        """Return True."""
        return True


class KeptAnswers:
    """Answers by token and address, each with the ETag by which it is asked again; bounded."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], httpx.Response] = OrderedDict()
        self._bytes = 0

    def find(self, key: tuple[str, str]) -> httpx.Response | None:
        """Return what was answered last, None if it is not kept."""
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
        return known

    def keep(self, key: tuple[str, str], answer: httpx.Response) -> None:
        """Keep an answer, leaving out what was not asked for longest."""
        known = self._kept.pop(key, None)
        self._bytes -= len(known.content) if known else 0
        if "etag" not in answer.headers or len(answer.content) > LONGEST_KEPT:
            return
        self._kept[key] = answer
        self._bytes += len(answer.content)
        while len(self._kept) > MOST_KEPT or self._bytes > MOST_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.content)


class GithubClient(ForgeClient):
    """Talks to GitHub as one account: one request at a time, writes a second apart."""

    paging: Mapping[str, int] = {"per_page": 100, "page": 1}
    tells_totals = False

    def __init__(
        self,
        api: str,
        sign_in: SignIn,
        *,
        pause: Callable[[float], None] = sleep,
        clock: Callable[[], float] = monotonic,
        **more: Any,
    ) -> None:
        super().__init__(api, "signed in by each request", clock=clock, **more)
        self.api = api.rstrip("/")
        self.sign_in = sign_in
        self._sleep, self._now = pause, clock
        self._queue = threading.RLock()
        self._kept = KeptAnswers()
        self._may_write_at = 0.0
        self._slowed = 0
        # GraphQL has a budget of its own
        self._graphql_closed_until = 0.0
        # a repository's number says nothing of its owner, whose token is needed
        self._owners: dict[str, str] = {}
        self._acting = threading.local()
        # answers that had changed since they were asked last, and writes: what the limits count
        self.counted = 0

    def entries(self, path: str, member: str) -> list[dict[str, Any]]:
        """Return all entries of a list that is a member of each page. Raises ForgeSilent."""

        def rows_of(page: Answer) -> list[dict[str, Any]]:
            rows = page.row.get(member)
            if not is_array(rows):
                raise ForgeSilent("its answer is not a list")
            return [one for one in rows if is_object(one)]

        try:
            return self._whole(path, None, rows_of)
        except NotThere as problem:
            raise ForgeSilent(problem.answer.message or str(problem)) from problem

    def now(self) -> float:
        """Return the time of its clock, seconds."""
        return self._now()

    def graphql(
        self, owner: str, query: str, variables: Mapping[str, Any], *, is_partial: bool = False
    ) -> Answer:
        """Ask one GraphQL question about what an account owns. Raises ForgeSilent.

        With `is_partial` an answer with errors counts for what it tells besides them.
        """
        # GitHub's own stands beside the REST paths, a GitHub Enterprise Server's beside /v3
        url = f"{self.api.removesuffix('/v3')}/graphql"
        left = self._graphql_closed_until - self._now()
        if left > 0:
            raise ForgeSilent(_SPENT, retry_after=max(1, round(left)))
        with self._acting_for(owner):
            answer = self._ask("POST", url, json={"query": query, "variables": variables})
        if not answer.is_good or answer.row.get("errors"):
            if _is_spent(answer):
                raise self._graphql_limited(answer.headers)
            if _is_too_fast(answer):
                raise self._limited(answer.headers)
            if is_partial and answer.is_good and isinstance(answer.row.get("data"), dict):
                return answer
            raise ForgeSilent(_first_error(answer))
        return answer

    @contextmanager
    def _acting_for(self, owner: str) -> Generator[None]:
        self._acting.owner = owner
        try:
            yield
        finally:
            self._acting.owner = ""

    # --- one request ---------------------------------------------------------------------------

    def _fetch(self, method: str, url: str, tail: int | None, **more: Any) -> httpx.Response:
        with self._queue:
            # who was before in the queue may have met a limit
            self._refuse_early()
            owner = self._owner_of(url)
            response = self._fetch_once(method, url, owner, tail, **more)
            # a claim may be refused for its time alone
            self._note_date(response)
            if response.status_code == 401 and self.sign_in.renew(owner):
                response = self._fetch_once(method, url, owner, tail, **more)
            self._note_numbers(owner, response)
            return response

    def _fetch_once(
        self, method: str, url: str, owner: str, tail: int | None, **more: Any
    ) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {self.sign_in.bearer(owner)}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": API_VERSION,
        }
        # what is not kept whole cannot be asked for again by its ETag
        if method != "GET" or tail is not None:
            if method != "GET" and not _is_question(more.get("json")):
                self._wait_to_write()
            self.counted += 1
            return super()._fetch(method, url, tail, headers=headers, **more)
        # without any, `params` would take away what the address asks for
        asked = httpx.URL(url, params=more["params"]) if more.get("params") else url
        key = headers["Authorization"], str(asked)
        known = self._kept.find(key) if self.sign_in.is_lasting(owner) else None
        if known is not None:
            headers["If-None-Match"] = known.headers["etag"]
        response = super()._fetch(method, url, None, headers=headers, **more)
        if response.status_code == 304 and known is not None:
            fresh = {name: response.headers[name] for name in _FRESH if name in response.headers}
            return httpx.Response(
                200,
                headers={**known.headers, **fresh},
                content=known.content,
                extensions={"is_kept": True},
            )
        self.counted += 1
        if response.status_code == 200 and self.sign_in.is_lasting(owner):
            self._kept.keep(key, response)
        return response

    def _following(self, url: str, answer: Answer) -> str | None:
        named = super()._following(url, answer)
        place = Place.of(httpx.URL(url), *self.paging)
        if named is not None or place is None or not answer.is_kept:
            return named
        # an unchanged page that is full may have got a next one, which not every 304 tells
        is_full = is_array(answer.body) and len(answer.body) >= place.size
        return place.at(place.size, place.number + 1) if is_full else None

    def _wait_to_write(self) -> None:
        left = self._may_write_at - self._now()
        if left > 0:
            self._sleep(left)
        self._may_write_at = self._now() + WRITE_SECONDS

    def _owner_of(self, url: str) -> str:
        path = urlsplit(url).path
        if found := _BY_NAME.search(path):
            return found[1].lower()
        if found := _BY_ID.search(path):
            return self._owners.get(found[1], "")
        return getattr(self._acting, "owner", "").lower()

    def _note_numbers(self, owner: str, response: httpx.Response) -> None:
        for name in ("link", "location"):
            for found in _BY_ID.finditer(response.headers.get(name, "")):
                self._owners[found[1]] = owner

    def _note_moved(self, url: str, target: str) -> None:
        # an issue that was moved leads to another repository: this one is where it was
        if not _ISSUE.search(urlsplit(url).path):
            super()._note_moved(url, target)

    # --- what an answer means ------------------------------------------------------------------

    def _judge(self, response: httpx.Response, *, is_text: bool) -> Answer:
        answer = super()._judge(response, is_text=is_text)
        if answer.status == 304:
            raise self._broken("it says that nothing changed, though nothing was kept")
        if answer.is_good:
            self._slowed = 0
        return replace(answer, is_kept="is_kept" in response.extensions)

    def _limited(self, headers: Mapping[str, str]) -> ForgeSilent:
        wait = seconds_of(headers)
        is_spent = headers.get("x-ratelimit-remaining") == "0"
        if is_spent and headers.get("x-ratelimit-resource") == "graphql":
            return self._graphql_limited(headers)
        if wait is None and is_spent and reset_of(headers) is not None:
            return super()._limited(headers)
        if wait is None:
            # a secondary limit: a minute, then longer each time
            wait = FIRST_WAIT * 2**self._slowed
            self._slowed = min(self._slowed + 1, 6)
        return self._pause("its rate limit is reached", float(min(max(wait, 1), LONGEST_WAIT)))

    def _graphql_limited(self, headers: Mapping[str, str]) -> ForgeSilent:
        """Return the silence of GraphQL alone, until its budget is a new one."""
        wait, reset = seconds_of(headers), reset_of(headers)
        if wait is None and reset is not None:
            wait = round(reset - self._wall() - self.ahead)
        wait = min(max(FIRST_WAIT if wait is None else wait, 1), LONGEST_WAIT)
        self._graphql_closed_until = self._now() + wait
        return ForgeSilent(_SPENT, retry_after=wait)

    def _lacks(self, answer: Answer) -> str:
        wanted = answer.headers.get("x-accepted-github-permissions", "").strip()
        said = answer.message or "GitHub does not allow this"
        return f"{said} (needed: {wanted[:200]})" if wanted else said


def _is_question(asked: Any) -> bool:
    """Return True for a GraphQL question: it is sent as a write is, and writes nothing."""
    query = asked.get("query") if is_object(asked) else None
    return isinstance(query, str) and query.lstrip().startswith(("query", "{"))


def _errors(answer: Answer) -> list[Mapping[str, Any]]:
    errors = answer.row.get("errors")
    return [one for one in errors if is_object(one)] if is_array(errors) else []


def _said(answer: Answer) -> list[str]:
    found = [one.get("message") for one in _errors(answer)]
    return [one for one in (*found, answer.message) if isinstance(one, str) and one]


def _first_error(answer: Answer) -> str:
    return next((one[:500] for one in _said(answer)), f"it answered {answer.status}")


def _is_spent(answer: Answer) -> bool:
    """Return True where GraphQL says with a 200 that its own limit is reached."""
    return any(
        one.get("type") in _LIMIT_TYPES or one.get("code") == "graphql_rate_limit"
        for one in _errors(answer)
    )


def _is_too_fast(answer: Answer) -> bool:
    """Return True for a secondary limit, which holds for all that GitHub is asked."""
    return any("secondary rate limit" in one.lower() for one in _said(answer))
