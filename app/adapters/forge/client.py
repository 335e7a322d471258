"""The HTTP client of forges: bounded, distrustful, and silent rather than wrong."""

from __future__ import annotations

import email.utils
import random
import re
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

import httpx

from app.adapters.forge import bodies
from app.adapters.forge.meter import Meter
from app.adapters.forge.paging import Place, rows_in
from app.domain.json.objects import is_object
from app.services.ports import ForgeSilent

CONNECT_SECONDS, READ_SECONDS = 3.0, 10.0
# the longest that a slow peer can hold up a call, seconds
WHOLE_SECONDS = 30.0
BODY_CAP = 10 * 1024**2
MOST_PAGES = 200
MOST_REDIRECTS = 3
# entries of a page; a forge may give fewer
PAGE_SIZE = 50
# how long a page that was too long is not asked for again, seconds
TOO_LONG_SECONDS = 3600.0
# how often a list is read that changes meanwhile
MOST_READS = 4
# the first pause after an outage and the longest one, seconds
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# the longest wait that a forge can ask for, seconds
LONGEST_WAIT = 3600
_MOVED = frozenset({301, 302, 307, 308})
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="next"')
_REPOSITORY = re.compile(r"/repos/[^/?]+/[^/?]+")
_LIMIT_WORDS = re.compile(r"rate limit|abuse detection|too many requests", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """An answer that can be relied on: its status, and its JSON (None without any)."""

    status: int
    body: Any
    headers: Mapping[str, str]
    is_json: bool = True
    # the forge sent no body: what was kept still holds
    is_kept: bool = False

    @property
    def is_good(self) -> bool:
        """True for 2xx."""
        return 200 <= self.status < 300

    @property
    def row(self) -> Mapping[str, Any]:
        """Its JSON object, empty if it is none."""
        return self.body if is_object(self.body) else {}

    @property
    def message(self) -> str:
        """The forge's own words about it, "" if there are none."""
        said = self.row.get("message")
        return said.strip()[:500] if isinstance(said, str) else ""


class TooLong(ForgeSilent):
    """An answer beyond the cap; it says nothing of the forge's other answers."""


class ForgeClient:
    """Talks to one forge with one token.

    After an outage it asks again only when a pause is over, the same for all who use it, and after
    a refused token never: a person has to replace that, which makes another client.
    """

    paging: Mapping[str, int] = {"limit": PAGE_SIZE, "page": 1}  # asks for a whole page, size first
    # False where no list tells how many entries it has, so that only a second look shows a change
    tells_totals = True
    refusal = "the forge refused the token"

    def __init__(
        self,
        api: str,
        token: str,
        *,
        clock: Callable[[], float] = monotonic,
        pick: Callable[[float, float], float] = random.uniform,
        meter: Meter | None = None,
        wall: Callable[[], float] = time,
    ) -> None:
        if not token.strip():
            raise ValueError("an empty token is served as nobody")
        self._api = api.rstrip("/")
        self._home = urlsplit(self._api)[:2]
        headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
        )
        # one that is replaced may still be in use elsewhere: its connections go with its last user
        self.close = weakref.finalize(self, self._http.close)
        self._clock, self._pick, self._wall = clock, pick, wall
        self._guard = threading.Lock()
        self._failures, self._closed_until = 0, 0.0
        self._because = ""
        self._refused: str | None = None
        self.meter = meter or Meter()
        # pages that were too long, and until when they are not asked for
        self._too_long: dict[str, float] = {}
        # paths of repositories that have another name now
        self.moved: set[str] = set()
        # seconds by which the forge's clock is ahead of this machine's
        self.ahead = 0.0

    @property
    def home(self) -> str:
        """The address of its web side."""
        return "://".join(self._home)

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nobody is needed."""
        return self._refused

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Read one thing; a 4xx that means something is an answer. Raises ForgeSilent."""
        answer = self._ask("GET", f"{self._api}{path}", params=params)
        if answer.status >= 500:
            raise self._broken(f"it answered {answer.status}")
        return answer

    def get_text(self, path: str, most: int) -> str | None:
        """Read the last `most` bytes of a text such as a log, None if there is none.

        Raises ForgeSilent.
        """
        answer = self._ask("GET", f"{self._api}{path}", tail=most)
        if answer.status >= 500:
            raise self._broken(f"it answered {answer.status}")
        return answer.body if answer.is_good and isinstance(answer.body, str) else None

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Write once, never repeating it; a 500 is an answer: read, then judge.

        Raises ForgeSilent, after which the write may have been made.
        """
        return self._ask(method, f"{self._api}{path}", json=body)

    def web(self, path: str) -> Answer | None:
        """Read JSON of the forge's web side; None unless it answers with that.

        What it answers else, such as its page for signing in, proves nothing. Raises ForgeSilent if
        nothing answers.
        """
        self._refuse_early()
        response = self._fetch("GET", f"{self._api.rpartition('/api/')[0]}{path}", None)
        # it begins a session of a browser, which the API must not see
        self._http.cookies.clear()
        body, is_json = bodies.json_of(response)
        is_told = response.status_code == 200 and is_json
        return Answer(response.status_code, body, response.headers, is_json) if is_told else None

    def pages(self, path: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return all entries of a list, each once; the last page is where no next one is named.

        It is read again if it changed meanwhile. Raises ForgeSilent, also if it is not a list.
        """
        return self._whole(path, params, _entries)

    def _whole(
        self,
        path: str,
        params: Mapping[str, Any] | None,
        rows_of: Callable[[Answer], list[dict[str, Any]]],
    ) -> list[dict[str, Any]]:
        before: set[Any] | None = None
        for _ in range(MOST_READS):
            found: dict[Any, dict[str, Any]] = {}
            totals: list[str] = []
            for answer in self._walk(path, params):
                totals.append(answer.headers.get("x-total-count", ""))
                for one in rows_of(answer):
                    found.setdefault(one.get("id"), one)
            # an entry that goes moves those of later pages up, past the reader
            is_same = len(totals) < 2 or self.tells_totals or set(found) == before
            if is_same and len(set(totals)) < 2:
                return list(found.values())
            before = set(found)
        raise ForgeSilent("the list changed while it was read")

    def walk(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list page by page, for as long as they are wanted."""
        for answer in self._walk(path, params):
            yield from _entries(answer)

    def _walk(self, path: str, params: Mapping[str, Any] | None) -> Iterator[Answer]:
        first = httpx.URL(f"{self._api}{path}").copy_merge_params({**self.paging, **(params or {})})
        place = Place.of(first, *self.paging)
        whole = place.size if place else 0
        url: str | None = str(first)
        # False once a page had fewer entries than were asked for, and was not the last one
        is_even = True
        for _ in range(MOST_PAGES):
            if url is None:
                return
            place = Place.of(httpx.URL(url), *self.paging)
            try:
                answer = self._page(url)
            except TooLong:
                smaller = place.smaller() if place and is_even else None
                if smaller is None:
                    raise
                url = smaller
                continue
            yield answer
            following = self._following(url, answer)
            is_even = is_even and place is not None and len(rows_in(answer.body)) >= place.size
            after = Place.of(httpx.URL(following), *self.paging) if following else None
            # beyond what was too long a whole page may do again
            url = (after.larger(whole) if after and is_even else None) or following
        raise ForgeSilent("the list has too many pages")

    def _page(self, url: str) -> Answer:
        if self._too_long.get(url, 0.0) > self._clock():
            raise TooLong("its answer is too long")
        try:
            answer = self._ask("GET", url)
        except TooLong:
            now = self._clock()
            kept = {one: until for one, until in self._too_long.items() if until > now}
            self._too_long = {**kept, url: now + TOO_LONG_SECONDS}
            raise
        if answer.status >= 500:
            raise self._broken(f"it answered {answer.status}")
        if not answer.is_good:
            raise NotThere(answer)
        return answer

    def _following(self, url: str, answer: Answer) -> str | None:
        """Return the address of the page after one, None after the last."""
        found = _NEXT.search(answer.headers.get("link", ""))
        try:
            # the host of a link may be another than the one that was asked
            return str(httpx.URL(self._here(found[1]))) if found else None
        except (httpx.InvalidURL, ValueError) as problem:
            raise ForgeSilent("its list names no usable next page") from problem

    def _here(self, link: str) -> str:
        parts = urlsplit(link)
        return parts._replace(scheme=self._home[0], netloc=self._home[1]).geturl()

    def _ask(self, method: str, url: str, tail: int | None = None, **more: Any) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            self._refuse_early()
            answer = self._judge(self._fetch(method, url, tail, **more), is_text=tail is not None)
            if answer.status not in _MOVED:
                return answer
            moved, url = url, self._moved_to(url, answer)
            self._note_moved(moved, url)
            more.pop("params", None)
        raise ForgeSilent("it redirects in a circle")

    def _moved_to(self, url: str, answer: Answer) -> str:
        target = urljoin(url, answer.headers.get("location", ""))
        if urlsplit(target)[:2] != self._home:
            raise ForgeSilent("it redirects to another host", needs_attention=True)
        return target

    def _note_moved(self, url: str, target: str) -> None:
        """Note a repository that has another name; a log, for example, may be kept elsewhere."""
        match = _REPOSITORY.match(url.removeprefix(self._api))
        if match and target.startswith((f"{self._api}/repos/", f"{self._api}/repositories/")):
            self.moved.add(match[0])

    def _refuse_early(self) -> None:
        with self._guard:
            if self._refused is not None:
                raise ForgeSilent(self._refused, needs_attention=True)
            left = self._closed_until - self._clock()
            if left > 0:
                raise ForgeSilent(self._because, retry_after=max(1, round(left)))

    def _fetch(self, method: str, url: str, tail: int | None, **more: Any) -> httpx.Response:
        self.meter.count()
        try:
            with self._http.stream(method, url, **more) as response:
                body, late = bytearray(), monotonic() + WHOLE_SECONDS
                for chunk in response.iter_bytes():
                    body += chunk
                    if tail is not None:
                        del body[:-tail]
                    elif len(body) > BODY_CAP and response.is_success:
                        raise TooLong("its answer is too long")
                    elif len(body) > BODY_CAP:
                        raise self._broken(f"it answered {response.status_code}")
                    if monotonic() > late:
                        raise self._broken("it did not answer in time")
                return httpx.Response(
                    response.status_code,
                    headers=bodies.plain_headers(response.headers),
                    content=bytes(body),
                )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as problem:
            raise self._broken(bodies.words_of(problem)) from problem

    def _judge(self, response: httpx.Response, *, is_text: bool) -> Answer:
        """Return a reliable answer. Raises ForgeSilent for one that proves nothing."""
        self._note_date(response)
        self.meter.note(response.headers)
        status, headers = response.status_code, response.headers
        body, is_json = bodies.text_of(response) if is_text else bodies.json_of(response)
        answer = Answer(status, body, headers, is_json)
        if status == 429 or (status == 403 and _is_limit(answer)):
            raise self._limited(headers)
        if status == 401:
            raise self._refuse(self.refusal)
        if status == 403:
            raise ForgeSilent(self._lacks(answer), needs_attention=True)
        if status in (502, 503, 504):
            raise self._broken(f"it answered {status}", bodies.seconds_of(headers))
        is_moved = status in _MOVED
        if response.content.strip() and not is_json and not is_moved and status < 400:
            raise self._broken("its answer is not JSON")
        if status < 500:
            with self._guard:
                self._failures = 0
        return answer

    def _lacks(self, answer: Answer) -> str:
        return answer.message or "the forge does not allow this"

    def _refuse(self, because: str) -> ForgeSilent:
        with self._guard:
            self._refused = because
        return ForgeSilent(because, needs_attention=True)

    def _limited(self, headers: Mapping[str, str]) -> ForgeSilent:
        wait = bodies.seconds_of(headers)
        if wait is None:
            reset = bodies.reset_of(headers)
            wait = 60 if reset is None else reset - int(time())
        wait = min(max(wait, 1), LONGEST_WAIT)
        return self._pause("its rate limit is reached", float(wait))

    def _broken(self, because: str, wait: int | None = None) -> ForgeSilent:
        """Return the silence of an outage; each one in a row doubles the pause after it."""
        with self._guard:
            self._failures += 1
            most = min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
        if wait is None:
            return self._pause(because, self._pick(most / 2, most))
        return self._pause(because, float(min(max(wait, 1), LONGEST_WAIT)))

    def _pause(self, because: str, seconds: float) -> ForgeSilent:
        with self._guard:
            until = self._clock() + seconds
            self._closed_until, self._because = max(self._closed_until, until), because
        return ForgeSilent(because, retry_after=max(1, round(seconds)))

    def _note_date(self, response: httpx.Response) -> None:
        try:
            said = email.utils.parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        self.ahead = said - self._wall()


class NotThere(Exception):
    """A list that the forge does not give: its owner is missing, or the feature is switched off."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.message}")
        self.answer = answer


def _entries(answer: Answer) -> list[dict[str, Any]]:
    """Return the entries of a page; an empty list may be `null`."""
    if answer.body is None and answer.is_json:
        return []
    body: object = answer.body
    if not isinstance(body, list):
        raise ForgeSilent("its answer is not a list")
    return [one for one in cast(list[object], body) if is_object(one)]


def _is_limit(answer: Answer) -> bool:
    headers = answer.headers
    is_spent = headers.get("x-ratelimit-remaining") == "0"
    return is_spent or "retry-after" in headers or bool(_LIMIT_WORDS.search(answer.message))
