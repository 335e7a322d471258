"""Hooks of forges: who signed a delivery, which it is, and what it hints at."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.json.objects import is_object

# each is the HMAC-SHA256 of the body in hex, the first with a prefix
SIGNATURES = ("x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature")
_PREFIX = "sha256="
_DELIVERIES = ("x-forgejo-delivery", "x-gitea-delivery", "x-github-delivery")
MAX_DELIVERY = 100


@dataclass(frozen=True)
class Hint:
    """A delivery that was signed: its id, "" without one, and the repository that changed."""

    delivery: str
    repository: str


def is_signed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Return True if a delivery has a signature, and each one that it has fits the secret."""
    given = [headers[name] for name in SIGNATURES if name in headers]
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
    fits = [
        hmac.compare_digest(one.removeprefix(_PREFIX).strip().lower().encode(), wanted)
        for one in given
    ]
    return bool(fits) and all(fits)


def hint_of(headers: Mapping[str, str], body: bytes) -> Hint | None:
    """Return what a signed delivery hints at, None if it names no repository."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    repository = told.get("repository") if is_object(told) else None
    name = repository.get("full_name") if is_object(repository) else None
    if not isinstance(name, str) or not name:
        return None
    delivery = next((headers[one] for one in _DELIVERIES if one in headers), "")
    return Hint(delivery[:MAX_DELIVERY], name)
