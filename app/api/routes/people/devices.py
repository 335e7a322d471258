"""Routes of devices that get notifications by web push; each person's own, and nobody else's."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.http.gate import visitor_of
from app.api.schemas import DeviceOut, Devices, NewDevice, PushKeyOut, TriedOut
from app.services.container import Services
from app.services.ports import PushTarget


def routes(services: Services) -> APIRouter:
    """Build the routes below `/push`."""
    router = APIRouter(tags=["system"])
    desk = services.devices

    @router.get("/push/key")
    def key() -> PushKeyOut:
        """The key with which a browser subscribes; it is made at its first use."""
        return PushKeyOut(key=desk.public_key())

    @router.get("/push/subscriptions")
    def devices(request: Request) -> Devices:
        """Your devices, with the reason for which the last message to one was not taken."""
        mine = desk.of_person(visitor_of(request).person_id)
        return Devices(items=[DeviceOut.model_validate(one) for one in mine])

    @router.post(
        "/push/subscriptions",
        status_code=201,
        responses={200: {"description": "It is known; it gets your notifications from now on."}},
    )
    def add(request: Request, response: Response, body: NewDevice) -> DeviceOut:
        """Be notified on this browser, too."""
        target = PushTarget(body.endpoint, body.keys.p256dh, body.keys.auth)
        agent = request.headers.get("user-agent", "")
        kept, is_new = desk.keep(visitor_of(request).person_id, target, agent)
        response.status_code = 201 if is_new else 200
        return DeviceOut.model_validate(kept)

    @router.delete("/push/subscriptions/{device_id}", status_code=204)
    def remove(request: Request, device_id: str) -> None:
        """Remove a device of yours; what waits for it is not sent."""
        desk.remove(visitor_of(request).person_id, device_id)

    @router.post("/push/subscriptions/{device_id}/test")
    def test(request: Request, device_id: str) -> TriedOut:
        """Send one of your devices a message now, even in quiet hours; return the outcome."""
        name, because = desk.test(visitor_of(request).person_id, device_id)
        return TriedOut(receiver=name, taken=because is None, because=because)

    return router
