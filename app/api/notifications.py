"""Notifications over HTTP: who is told, how it stands, and a message to try it."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.schemas import NotificationsOut, NotificationTest, ReceiverOut, TriedOut
from app.services.plane import Services


def notification_routes(services: Services) -> APIRouter:
    """Everything below `/notifications`."""
    router = APIRouter(tags=["system"])
    desk = services.notifications

    @router.get("/notifications")
    def notifications() -> NotificationsOut:
        """Every receiver without its secrets, with what waits for it and its last outcome."""
        arranged = desk.arrangement
        return NotificationsOut(
            items=[ReceiverOut.model_validate(one) for one in desk.receivers()],
            kinds=list(arranged.kinds),
            quiet_hours=arranged.quiet_hours,
            digest_at=arranged.digest_at,
            zone=arranged.zone,
        )

    @router.post("/notifications/test")
    def test() -> NotificationTest:
        """Send every receiver a message now, quiet hours or not, and say who took it."""
        return NotificationTest(items=[TriedOut.model_validate(one) for one in desk.test()])

    return router
