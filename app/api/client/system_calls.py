"""Every call about limits, people and the server itself that Runyard's own clients make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.api.client.protocol import Call

if TYPE_CHECKING:
    from app.api import schemas


def quota() -> Call[schemas.QuotaOut]:
    """Return this person's quota window for runs."""
    return Call("GET", "/quota/runs", "QuotaOut")


def people_quotas() -> Call[schemas.PeopleQuotas]:
    """Return the quota windows of everybody in one's organisation."""
    return Call("GET", "/quota/people", "PeopleQuotas")


def account_holds() -> Call[list[schemas.AccountHoldOut]]:
    """Return the accounts that are held at their usage limit."""
    return Call("GET", "/quota/accounts", "AccountHolds", takes_items=True)


def lift_hold(agent: str, family: str) -> Call[list[schemas.AccountHoldOut]]:
    """Lift a hold by hand; return the remaining holds."""
    body = {"agent": agent, "family": family}
    return Call("POST", "/quota/accounts/lift", "AccountHolds", takes_items=True, body=body)


def notifications() -> Call[schemas.NotificationsOut]:
    """Return the notification receivers with their delivery state, and the settings."""
    return Call("GET", "/notifications", "NotificationsOut")


def test_notifications() -> Call[list[schemas.TriedOut]]:
    """Send a test message to every receiver now; return the outcome for each."""
    return Call("POST", "/notifications/test", "NotificationTest", takes_items=True)


def subscriptions() -> Call[schemas.SubscriptionsOut]:
    """Return the notifications that this person chose, by project."""
    return Call("GET", "/notifications/subscriptions", "SubscriptionsOut")


def subscribe(
    project_id: str | None, kinds: Sequence[str] | None
) -> Call[schemas.SubscriptionsOut]:
    """Choose notifications of a project, or of all others (None); without kinds, no longer."""
    body = {"project_id": project_id, "kinds": kinds}
    return Call("PUT", "/notifications/subscriptions", "SubscriptionsOut", body=body)


def push_key() -> Call[schemas.PushKeyOut]:
    """Return the key with which a browser subscribes to web push."""
    return Call("GET", "/push/key", "PushKeyOut")


def devices() -> Call[list[schemas.DeviceOut]]:
    """Return this person's devices."""
    return Call("GET", "/push/subscriptions", "Devices", takes_items=True)


def add_device(subscription: Mapping[str, Any]) -> Call[schemas.DeviceOut]:
    """Keep a browser's subscription, as it gave it; return the device."""
    return Call("POST", "/push/subscriptions", "DeviceOut", body=subscription)


def remove_device(device_id: str) -> Call[Any]:
    """Remove a device of this person."""
    return Call("DELETE", f"/push/subscriptions/{device_id}")


def test_device(device_id: str) -> Call[schemas.TriedOut]:
    """Send a device a test message now; return the outcome."""
    return Call("POST", f"/push/subscriptions/{device_id}/test", "TriedOut")


def system() -> Call[schemas.SystemOut]:
    """Return the server's version, health and state."""
    return Call("GET", "/system", "SystemOut")


def doctor(look: str) -> Call[schemas.DoctorOut]:
    """Return doctor's findings; `look` is no (cached), stale (re-check if old) or anew."""
    return Call("GET", "/doctor", "DoctorOut", params={"look": look})


def retention() -> Call[schemas.RetentionOut]:
    """Return what is kept of ended runs and what is removed next."""
    return Call("GET", "/retention", "RetentionOut")


def audit(limit: int, **filters: Any) -> Call[schemas.AuditOut]:
    """Return a page of the audit, newest first.

    Filters: person, deed, object, since, cursor.
    """
    return Call("GET", "/audit", "AuditOut", params={"limit": limit, **filters})


def login_link() -> Call[schemas.LoginLink]:
    """Create a link that signs one browser in."""
    return Call("POST", "/login-links", "LoginLink")


def rotate_token() -> Call[Any]:
    """Replace the server's token."""
    return Call("POST", "/token/rotate")


def log_out_everywhere() -> Call[schemas.SignedOut]:
    """End the sessions of all browsers."""
    return Call("POST", "/logout", "SignedOut", body={"everywhere": True})
