"""What the API's client asks of notifications."""

from __future__ import annotations

from app.api import schemas
from app.api.client_loop import Caller


class NotificationCalls:
    """Calls on the receivers of messages."""

    async def notifications(self: Caller) -> schemas.NotificationsOut:
        """Who is told what, and how it stands with each."""
        return await self.ask(schemas.NotificationsOut, "/notifications")

    async def test_notifications(self: Caller) -> list[schemas.TriedOut]:
        """Send every receiver a message now."""
        return (await self.tell(schemas.NotificationTest, "POST", "/notifications/test", {})).items
