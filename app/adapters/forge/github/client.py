"""The HTTP client of GitHub: answers kept by ETag, one queue, and its limits obeyed."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from app.adapters.forge.client import LONGEST_WAIT, Answer, ForgeClient, NotThere, seconds_of
from app.domain.json.objects import is_array, is_object
from app.services.ports import ForgeSilent

API_VERSION = "2022-11-28"
# between two writes, seconds: faster ones meet a secondary limit
WRITE_SECONDS = 1.0
# answers that are kept, and the longest that are, bytes
MOST_KEPT, MOST_KEPT_BYTES, LONGEST_KEPT = 4000, 64 * 1024**2, 2 * 1024**2
# the first wait after a secondary limit that names none, seconds
FIRST_WAIT = 60
_FRESH = ("date", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
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
        # a repository's number says nothing of its owner, whose token is needed
        self._owners: dict[str, str] = {}
        self._acting = threading.local()
        # answers that had changed since they were asked last, and writes: what the limits count
        self.counted = 0

    def entries(self, path: str, member: str) -> Iterator[Mapping[str, Any]]:
        """Yield the entries of a list that is a member of each page. Raises ForgeSilent."""
        try:
            for page in self._walk(path, None):
                rows = page.row.get(member)
                if not isinstance(rows, list):
                    raise ForgeSilent("its answer is not a list")
                yield from rows
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
        with self._acting_for(owner):
            answer = self._ask("POST", url, json={"query": query, "variables": variables})
        if not answer.is_good or answer.row.get("errors"):
            if _is_rate_limited(answer):
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
        known = self._kept.find(key)
        if known is not None:
            headers["If-None-Match"] = known.headers["etag"]
        response = super()._fetch(method, url, None, headers=headers, **more)
        if response.status_code == 304 and known is not None:
            fresh = {name: response.headers[name] for name in _FRESH if name in response.headers}
            return httpx.Response(200, headers={**known.headers, **fresh}, content=known.content)
        self.counted += 1
        if response.status_code == 200:
            self._kept.keep(key, response)
        return response

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
        return answer

    def _limited(self, headers: Mapping[str, str]) -> ForgeSilent:
        wait = seconds_of(headers)
        reset = headers.get("x-ratelimit-reset", "")
        is_spent = headers.get("x-ratelimit-remaining") == "0"
        if wait is None and is_spent and reset.isascii() and reset.isdigit():
            return super()._limited(headers)
        if wait is None:
            # a secondary limit: a minute, then longer each time
            wait = FIRST_WAIT * 2**self._slowed
            self._slowed = min(self._slowed + 1, 6)
        return self._pause("its rate limit is reached", float(min(max(wait, 1), LONGEST_WAIT)))

    def _lacks(self, answer: Answer) -> str:
        wanted = answer.headers.get("x-accepted-github-permissions", "").strip()
        said = answer.message or "GitHub does not allow this"
        return f"{said} (needed: {wanted[:200]})" if wanted else said


def _is_question(asked: Any) -> bool:
    """Return True for a GraphQL question: it is sent as a write is, and writes nothing."""
    query = asked.get("query") if is_object(asked) else None
    return isinstance(query, str) and query.lstrip().startswith(("query", "{"))


def _first(answer: Answer) -> Any:
    errors = answer.row.get("errors")
    first = errors[0] if is_array(errors) and errors else None
    return first if is_object(first) else {}


def _first_error(answer: Answer) -> str:
    said = _first(answer).get("message")
    return said[:500] if isinstance(said, str) else f"it answered {answer.status}"


def _is_rate_limited(answer: Answer) -> bool:
    """Return True where GraphQL says with a 200 that its own limit is reached."""
    return _first(answer).get("type") == "RATE_LIMITED"
