"""Hooks of forges: who signed a delivery, which it is, and what it hints at."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.json.objects import is_object

# each is the HMAC-SHA256 of the body in hex, GitHub's with a prefix
HUB_SIGNATURE, _PREFIX = "x-hub-signature-256", "sha256="
# of these the first that is given counts
OWN_SIGNATURES = ("x-forgejo-signature", "x-gitea-signature")
_EVENTS = ("x-forgejo-event", "x-gitea-event", "x-github-event")
# the beginnings of the events after which a look may find something
KNOWN = ("issue", "pull_request", "push", "create", "delete", "status", "check_", "workflow_")
# a comment leaves the list as it is, and a merge closes issues
_OF_ISSUES = ("issues", "issue_label", "issue_assign", "issue_milestone", "pull_request")
_DELIVERIES = ("x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery")
MAX_DELIVERY = 100


@dataclass(frozen=True)
class Hint:
    """A delivery that was signed: its id, "" without one, and the repository that changed.

    `is_of_issues` is True if its list of issues may be another one now.
    """

    delivery: str
    repository: str
    is_of_issues: bool = True


def is_signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Return True if a delivery has a signature, and fits the secret by each that counts."""
    own = next((name for name in OWN_SIGNATURES if name in headers), HUB_SIGNATURE)
    given = [headers[name] for name in {own, HUB_SIGNATURE} if name in headers]
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    fits = [
        hmac.compare_digest(one.removeprefix(_PREFIX).strip().lower().encode(), wanted)
        for one in given
    ]
    return bool(fits) and all(fits)


def hint_of(headers: Mapping[str, str], body: bytes) -> Hint | None:
    """Return what a signed delivery hints at.

    None if it names no repository, or an event after which there is nothing to look at.
    """
    event = next((headers[one] for one in _EVENTS if one in headers), _OF_ISSUES[0])
    if not event.startswith(KNOWN):
        return None
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    repository = told.get("repository") if is_object(told) else None
    name = repository.get("full_name") if is_object(repository) else None
    if not isinstance(name, str) or not name:
        return None
    delivery = next((headers[one] for one in _DELIVERIES if one in headers), "")
    return Hint(delivery[:MAX_DELIVERY], name, event.startswith(_OF_ISSUES))
