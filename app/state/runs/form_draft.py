"""A form draft kept by the browser while the server was away: idempotency key and input."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeGuard

from app.domain.json.values import JsonObject, JsonValue
from app.domain.words import Depth
from app.state.runs.run_form import RunForm

TEXTS = ("task", "agent", "model", "delay", "ttl", "tags")
MAX_TEXT = 256 * 1024
MAX_SENT = 50
_CORRELATION = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_ISSUE = re.compile(r"#([0-9]{1,9})\b", re.ASCII)


@dataclass(frozen=True)
class FormDraft:
    """A draft as the browser sent it: key, correlation ids of its submits, fields by name.

    Select fields hold the label that was shown. An invalid draft reads as an empty one.
    """

    key: str = ""
    sent: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def read(cls, told: object) -> FormDraft:
        """Parse and validate what a browser sent; nothing in it is trusted."""
        kept = _object_in(told)
        key, sent, fields = kept.get("key"), kept.get("sent"), kept.get("fields")
        if not _is_key(key):
            return cls()
        return cls(
            key,
            tuple(filter(_is_correlation, sent[:MAX_SENT])) if isinstance(sent, list) else (),
            {
                name: value
                for name, value in (fields.items() if isinstance(fields, dict) else ())
                if isinstance(value, str) and len(value) <= MAX_TEXT
            },
        )

    def take_into(
        self, form: RunForm, branches: Iterable[str], shown: Callable[[str], str]
    ) -> bool:
        """Restore key and fields into `form`; return True if that changed anything.

        `shown` returns the label of a branch or framework.
        """
        if not self.key or form.busy:
            return False
        before = _state_of(form)
        form.key, form.sent = self.key, self.sent
        for name in TEXTS:
            setattr(form, name, self.fields.get(name, getattr(form, name)))
        if branch := self.fields.get("branch"):
            form.branch = _named(branch, branches, shown) or branch
        if framework := self.fields.get("framework"):
            form.framework = _named(framework, form.frameworks(), shown) or form.framework
        if template := self.fields.get("template"):
            form.template = template if template in form.template_names() else ""
        if (depth := self.fields.get("depth")) in set(Depth):
            form.depth = Depth(depth)
        if issue := self.fields.get("issue"):
            number = _ISSUE.match(issue)
            form.issue = int(number[1]) if number else None
        return _state_of(form) != before


def _named(words: str, names: Iterable[str], shown: Callable[[str], str]) -> str | None:
    return next((name for name in names if shown(name) == words), None)


def _state_of(form: RunForm) -> tuple[object, ...]:
    fields = (form.branch, form.framework, form.depth, form.issue, form.template)
    return (form.key, form.sent, *fields, *(getattr(form, name) for name in TEXTS))


def _object_in(told: object) -> JsonObject:
    try:
        kept: JsonValue = json.loads(told) if isinstance(told, str) else None
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


def _is_key(value: object) -> TypeGuard[str]:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _is_correlation(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(_CORRELATION.fullmatch(value))
