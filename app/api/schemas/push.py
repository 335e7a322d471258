"""Schemas of devices that get notifications by web push."""

# stands alone: the shape of a subscription is that of browsers

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.api.schemas.parts import Answer, Body, Moment, NoNul


class PushKeyOut(Answer):
    """The key with which a browser subscribes, in base64url."""

    key: str


class PushKeys(Body):
    """The keys of a browser's subscription, in base64url."""

    p256dh: Annotated[str, Field(max_length=200), NoNul]
    auth: Annotated[str, Field(max_length=100), NoNul]


class NewDevice(Body):
    """A browser's subscription as `PushSubscription.toJSON()` gives it."""

    endpoint: Annotated[str, Field(max_length=2000), NoNul]
    keys: PushKeys
    expiration_time: float | None = Field(default=None, alias="expirationTime")


class DeviceOut(Answer):
    """A browser that gets your notifications; `because` says why the last one was not taken."""

    id: str
    name: str
    endpoint: str = Field(description="By it a browser recognizes itself.")
    created_at: Moment
    failed_at: Moment | None
    because: str | None


class Devices(Answer):
    """Your devices, oldest first."""

    items: list[DeviceOut]
