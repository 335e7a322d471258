"""Parsing of plain forms: size limit, CSRF check, fields, and the page to return to.

Every error is a Refusal.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode

from fastapi import Depends, Request
from pydantic import ValidationError

from app.api.http.gate import TooLarge, WrongMediaType, visitor_of
from app.api.http.request_info import RequestInfo
from app.api.schemas.parts import Body
from app.api.schemas.sentences import sentence_of
from app.errors import Forbidden, Invalid

MAX_FORM = 8 * 1024
MAX_FIELDS = 10
HOME = "/plain"
NOTICE = "notice"
_OF_EVERY_FORM = ("csrf", "next")
_FORM = "application/x-www-form-urlencoded"
_OWN_PATH = re.compile(r"/[A-Za-z0-9._~/%-]{0,500}", re.ASCII)
_LEADS_ASTRAY = re.compile(r"//|\\|/\.{1,2}(?:/|\Z)|[\x00-\x1f\x7f]")
_OWN_QUERY = re.compile(r"[A-Za-z0-9._~%&=+-]{0,500}", re.ASCII)
Fields = TypeVar("Fields", bound=Body)


@dataclass(frozen=True)
class SentForm:
    """One plain form and the request that brought it."""

    request: Request
    pairs: tuple[tuple[str, str], ...]

    def field(self, name: str) -> str:
        """Return the first value of a field, "" if missing."""
        return next((value for key, value in self.pairs if key == name), "")

    def check_secret(self) -> None:
        """Raise Forbidden if a browser's form lacks the CSRF secret of its session."""
        secret = visitor_of(self.request).csrf
        given = [value for name, value in self.pairs if name == "csrf"]
        if secret is not None and (len(given) != 1 or not _equal(given[0], secret)):
            raise Forbidden("This form is not of your session. Open the page again and retry.")

    def read(self, kind: type[Fields]) -> Fields:
        """Validate the fields as `kind`; a blank one counts as absent. Raises Invalid."""
        names = [name for name, _ in self.pairs]
        if len(set(names)) < len(names):
            raise Invalid("A field was sent twice.")
        known = {*kind.model_fields, *_OF_EVERY_FORM}
        given = {name: value for name, value in self.pairs if value.strip() or name not in known}
        for name in _OF_EVERY_FORM:
            given.pop(name, None)
        try:
            return kind.model_validate(given)
        except ValidationError as problem:
            errors = problem.errors(include_url=False, include_input=False)
            raise Invalid.fields(
                {".".join(map(str, one["loc"]))[:100]: sentence_of(one) for one in errors}
            ) from problem

    @property
    def wants_card(self) -> bool:
        """True if a script inserts the response into its page."""
        return self.request.headers.get("X-Runyard-Fragment") == "1"

    @property
    def wants_problem(self) -> bool:
        """True if a program, not a person, reads the refusal."""
        accept = self.request.headers.get("Accept", "")
        return self.wants_card or ("json" in accept and "text/html" not in accept)

    def way_back(self, notice: str) -> str:
        """Return our page that sent the form, with a notice code added; /plain if it is unknown."""
        came_from = own_path(self.field("next")) or own_path(self._referer()) or HOME
        path, _, query = came_from.partition("?")
        kept = [pair for pair in parse_qsl(query) if pair[0] != NOTICE]
        return f"{path}?{urlencode([*kept, (NOTICE, notice)])}"

    def _referer(self) -> str:
        own = RequestInfo.of(self.request.scope).own_origin
        referer = self.request.headers.get("Referer", "")
        return referer.removeprefix(own) if referer.startswith(f"{own}/") else ""


def own_path(target: str) -> str | None:
    """Return `target` if it is a path of this site, at most with a query; else None."""
    path, _, query = target.partition("#")[0].partition("?")
    if not _OWN_PATH.fullmatch(path) or not _OWN_QUERY.fullmatch(query):
        return None
    # unquoted twice: %252f must not become a slash on a later hop
    if any(_LEADS_ASTRAY.search(way) for way in (path, unquote(path), unquote(unquote(path)))):
        return None
    return f"{path}?{query}" if query else path


async def _read_form(request: Request) -> SentForm:
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_FORM:
            raise TooLarge
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if (content or media_type) and media_type != _FORM:
        raise WrongMediaType(f"This address takes a plain form: send Content-Type: {_FORM}.")
    try:
        pairs = parse_qsl(
            content.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as problem:
        raise Invalid("This content cannot be read as a form.") from problem
    return SentForm(request, tuple(pairs))


Sent = Annotated[SentForm, Depends(_read_form)]


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())
