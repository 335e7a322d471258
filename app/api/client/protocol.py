"""A call of the API and the reading of its refusals, as both clients share them.

The pages' asynchronous client and the command line's synchronous one send what is described here.
Nothing is sent in this module, and only the standard library is imported: it loads at every start
of the command line.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from app.domain.json.objects import is_object

if TYPE_CHECKING:
    from pydantic import BaseModel

    Body = BaseModel | Mapping[str, Any]

Answer = TypeVar("Answer")
BASE_PATH = "/api/v1"
CORRELATION = "X-Correlation-Id"


def new_correlation_id() -> str:
    """Return a new id that ties a click to its request, its log lines and its error."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request below the base path, and the type of its answer.

    `answer` names the answer's class in `app.api.schemas`, empty if it is not JSON; with
    `takes_items` the result is its list `items`. `body` is JSON, `lines` are NDJSON, empty
    `params` are left out, and `key` is the idempotency key of a call that creates something.
    """

    method: str
    path: str
    answer: str = ""
    takes_items: bool = False
    body: Body | None = None
    lines: bytes | None = None
    params: Mapping[str, Any] = field(default_factory=dict[str, Any])
    key: str | None = None
    correlation_id: str = ""

    def request(self, correlation_id: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the arguments of httpx's `request`, of either client."""
        given = {name: value for name, value in self.params.items() if value not in (None, "", [])}
        sent = {**headers, CORRELATION: correlation_id}
        if self.key:
            sent["x-idempotency-key"] = self.key
        if self.lines is not None:
            sent["Content-Type"] = "application/x-ndjson"
        return {
            "method": self.method,
            "url": BASE_PATH + self.path,
            "params": given,
            "headers": sent,
            "json": _json_of(self.body),
            "content": self.lines,
        }


def _json_of(body: Body | None) -> Any:
    if body is None or isinstance(body, Mapping):
        return body
    return body.model_dump(mode="json", exclude_unset=True)


def only_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without those that are None."""
    return {name: value for name, value in values.items() if value is not None}


def problem_in(content: bytes, otherwise: str) -> dict[str, Any]:
    """Return the members of an error response; `otherwise` is its detail if it is no object."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    return body if is_object(body) else {"detail": otherwise}


def sentence_in(problem: Mapping[str, Any]) -> str:
    """Return the sentence of an error response."""
    return str(problem.get("detail") or problem.get("title") or "Something went wrong.")


def change_page(problem: Mapping[str, Any]) -> str:
    """Return the page of the open change that caused a refusal, empty if there is none."""
    number, project_id = problem.get("change"), problem.get("project_id")
    is_named = isinstance(number, int) and isinstance(project_id, str)
    return f"/projects/{project_id}/changes/{number}" if is_named else ""
