"""Routes of the server: health, metrics, quota, retention, doctor and notifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from html import escape
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)

from app.api.http.gate import visitor_of
from app.api.schemas import (
    AlertOut,
    ConcurrencyOut,
    CopiesOut,
    DoctorOut,
    Finding,
    HealthOut,
    LeavingOut,
    NotificationsOut,
    NotificationTest,
    Provenance,
    QuotaOut,
    ReceiverOut,
    RetentionOut,
    SandboxOut,
    SettingOut,
    SystemOut,
    TriedOut,
    TroubleOut,
)
from app.api.schemas.inbox import InboxCounts
from app.api.schemas.people import PeopleQuotas, PersonQuotaOut
from app.api.schemas.system import SubscriptionBody, SubscriptionOut, SubscriptionsOut
from app.api.views import quota_out
from app.domain.formatting import iso
from app.domain.people.roles import Role
from app.domain.review.inbox import counts_of, mark_of
from app.domain.sandbox.levels import SandboxLevel
from app.domain.words import Status
from app.logs import correlation
from app.services.container import Services
from app.services.notifications.subscriptions import Choice
from app.services.people.visitor import Visitor, deeds_of
from app.services.retention.logs import SHOWN, LogUsage
from app.services.retention.working_copies import CopyUsage
from app.services.rows import DatabaseSilent
from app.services.system.doctor import Look
from app.services.system.store_health import Health, PartHealth, PartTrouble

_T = TypeVar("_T")


def retention_routes(services: Services) -> APIRouter:
    """Build `/retention`."""
    router = APIRouter(tags=["system"])

    @router.get("/retention")
    def retention() -> RetentionOut:
        """Retention settings, and the logs and working copies due for removal, oldest first."""
        desk = services.retention
        return retention_out(desk.usage(services.clock()), desk.copies.usage())

    return router


def retention_out(standing: LogUsage, copies: CopyUsage) -> RetentionOut:
    """Convert the retention state of logs and working copies; lists the first SHOWN of each."""
    return RetentionOut(
        keep_days=standing.terms.keep_days,
        keep_gb=standing.terms.keep_gb,
        kept_runs=standing.kept_runs,
        kept_bytes=standing.kept_bytes,
        leaving_runs=len(standing.leaving),
        leaving_bytes=standing.leaving_bytes,
        next_at=standing.next_at,
        leaving=[LeavingOut.model_validate(one) for one in standing.leaving[:SHOWN]],
        copies=CopiesOut(
            kept=copies.kept,
            bytes=copies.bytes,
            unmeasured=copies.unmeasured,
            staying=copies.staying,
            staying_bytes=copies.staying_bytes,
            leaving_copies=len(copies.leaving),
            leaving_bytes=copies.leaving_bytes,
            next_at=copies.next_at,
            looked_at=copies.looked_at,
            leaving=[LeavingOut.model_validate(one) for one in copies.leaving[:SHOWN]],
        ),
    )


def open_routes(services: Services) -> APIRouter:
    """Build `/healthz` and `/readyz`, which need no sign-in, and `/metrics`."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/healthz", methods=["GET", "HEAD"], response_class=PlainTextResponse)
    def alive() -> str:
        return "ok"

    @router.api_route("/readyz", methods=["GET", "HEAD"], response_class=PlainTextResponse)
    def ready() -> Response:
        trouble = services.store_watch.parts()
        if not trouble:
            return PlainTextResponse("ok")
        health = {one.part: one for one in services.health.inspect(trouble, services.limits_mode())}
        told = "\n".join(_line(one, health[one.part]) for one in trouble)
        # degraded (a full disk) still answers 200: everything can be read
        return PlainTextResponse(told, 200 if all(one.is_degraded for one in trouble) else 503)

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(_metrics(services)), media_type=CONTENT_TYPE_LATEST)

    return router


def routes(services: Services) -> APIRouter:
    """Build `/system`, `/doctor`, the quota routes and `/retention`."""
    router = APIRouter(tags=["system"])
    router.routes.extend(retention_routes(services).routes)
    router.routes.extend(_quota_routes(services).routes)

    @router.get("/system")
    def system(request: Request) -> SystemOut:
        """This server, current problems, and the last seven days.

        Answers even while a database is silent; values that are unknown then are null.
        """
        now = services.clock()
        trouble, mode = services.store_watch.parts(), services.limits_mode()
        week = _known(lambda: services.statistics.week(now))
        held = _known(services.quarantine.held)
        views = _known(services.overview.all)
        return SystemOut(
            provenance=Provenance.model_validate(services.identity),
            base_url=f"{request.url.scheme}://{request.headers['host']}",
            installable=services.devices.is_on,
            identity_provider=services.accounts.provider,
            now=now,
            live_runs=None if views is None else sum(view.live_runs for view in views),
            success_rate=week and week.success_rate,
            ended_7d=week and week.judged,
            **_visitor_facts(services, visitor_of(request)),
            limits=mode.value,
            stuck=None if held is None else sum(one.project_id is None for one in held),
            trouble=[TroubleOut.model_validate(one) for one in trouble],
            health=[_health_out(one) for one in services.health.inspect(trouble, mode)],
            alerts=[AlertOut.model_validate(one) for one in _known(services.alerts.all) or ()],
            **_inbox_facts(services, visitor_of(request).person_id),
            sandbox=_sandbox_out(services),
            key_hold_seconds=services.keys.terms.hold_seconds,
            key_ttl_seconds=services.keys.terms.ttl_seconds,
        )

    @router.get("/doctor")
    def doctor(look: Look = Look.STALE) -> DoctorOut:
        """Doctor's findings; `look` re-checks always, if stale, or never."""
        return doctor_out(services, look)

    return router


def _visitor_facts(services: Services, visitor: Visitor) -> dict[str, Any]:
    names, own = services.directory.organisation_names, visitor.organisation_id
    general, agents = deeds_of(visitor), services.directory.agents
    if agents is None:
        agents = _known(services.directory.read_agents)
    more = {one: deeds_of(visitor, one) for one in visitor.project_roles}
    return {
        "person": visitor.name,
        "person_id": visitor.person_id,
        "has_password": visitor.has_password,
        "role": visitor.role,
        "preferences": visitor.preferences and asdict(visitor.preferences),
        "organisation": names.get(own, own),
        "organisation_id": visitor.organisation_id,
        "agents": list((agents or {}).get(visitor.person_id, ())),
        "may": general,
        "may_in": {one: its for one, its in more.items() if its != general},
    }


def _inbox_facts(services: Services, person_id: str) -> dict[str, Any]:
    items = _known(services.inbox.all)
    if items is None:
        return {}
    return {
        "inbox": InboxCounts.model_validate(counts_of(items)),
        "inbox_mark": mark_of(items),
        "unread": _known(lambda: len(services.unread.ids(person_id))),
    }


def _line(trouble: PartTrouble, health: PartHealth) -> str:
    return f"{health.health}: {trouble.brief}, since {iso(trouble.since)}. {health.works}"


def _health_out(one: PartHealth) -> HealthOut:
    told = HealthOut.model_validate(one)
    if one.health is Health.UNREACHABLE:
        told.correlation_id = correlation.get()
    return told


def _sandbox_out(services: Services) -> SandboxOut:
    sandboxes = services.projects.sandboxes
    capability = sandboxes.capability()
    return SandboxOut(
        means=capability.means,
        default=sandboxes.default,
        levels=[level for level in SandboxLevel if capability.can(level)],
        because=capability.because,
        remedy=capability.remedy,
    )


def _known(ask: Callable[[], _T]) -> _T | None:
    try:
        return ask()
    except DatabaseSilent:
        return None


def _quota_routes(services: Services) -> APIRouter:
    router = APIRouter(tags=["system"])

    @router.get("/quota/runs")
    def quota(request: Request) -> QuotaOut:
        """The caller's quota window."""
        now, person_id = services.clock(), visitor_of(request).person_id
        window = services.listing.window(person_id, now)
        return quota_out(window, window.retry_after(now))

    @router.get("/quota/people")
    def people_quotas(request: Request) -> PeopleQuotas:
        """The quota windows of everybody in your organisation; for admins."""
        return _people_quotas(services, visitor_of(request))

    @router.get("/quota/batches")
    def batch_quota(request: Request) -> QuotaOut:
        """The caller's batch quota window, counted in items; `retry_after` is for one item."""
        now = services.clock()
        window = services.batches.window(visitor_of(request).person_id, now)
        return quota_out(window, window.retry_after(now))

    @router.get("/quota/concurrency")
    def concurrency(project_id: str) -> ConcurrencyOut:
        """Open runs of a repository and its limit."""
        project = services.projects.find(project_id)
        active = services.listing.count_open(project_id)
        return ConcurrencyOut(active=active, max=project.max_concurrency)

    return router


def _people_quotas(services: Services, visitor: Visitor) -> PeopleQuotas:
    found = services.people_quotas.all(visitor.organisation_id, services.clock())
    items = [
        PersonQuotaOut(
            person_id=one.person.id,
            name=one.person.shown_name,
            role=Role(one.role),
            limit=window.limit,
            limit_of=window.limit_of,
            used=window.used,
            remaining=window.remaining,
            reset_at=window.reset_at,
            free_at=window.free_at,
        )
        for one, window in found
    ]
    return PeopleQuotas(items=items, window_seconds=services.quota.seconds)


def doctor_out(services: Services, look: Look) -> DoctorOut:
    """Build doctor's findings with the settings and their origins."""
    seen = services.doctor.examine(look)
    return DoctorOut(
        items=[Finding.model_validate(one) for one in seen.items],
        settings=[SettingOut.model_validate(one) for one in services.settings],
        looked_at=seen.at,
    )


def docs_page(openapi: dict[str, Any]) -> HTMLResponse:
    """Build the HTML page that lists every API call, from the OpenAPI document."""
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{escape(path)}</code></td>"
        f"<td>{escape(call.get('description') or call.get('summary', ''))}</td></tr>"
        for path, calls in openapi["paths"].items()
        for method, call in calls.items()
    ]
    return HTMLResponse(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Runyard API</title>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        "<link rel=stylesheet href=/assets/theme.css><body class=plain><main>"
        "<h1>The API</h1><p>Base path <code>/api/v1</code>, described by "
        "<a href=/api/v1/openapi.json>openapi.json</a>. Send the token of the data folder as "
        "<code>Authorization: Bearer …</code>.</p>"
        f"<table>{''.join(rows)}</table></main></body></html>"
    )


def _metrics(services: Services) -> CollectorRegistry:
    registry = CollectorRegistry()
    open_runs = Gauge(
        "runyard_open_runs", "Runs accepted and not yet released", ["status"], registry=registry
    )
    counts = services.statistics.open_by_status()
    for status in Status:
        open_runs.labels(status).set(counts[status])
    projects = Gauge("runyard_projects", "Projects by state", ["state"], registry=registry)
    for project in services.projects.all():
        state = "archived" if project.archived_at else project.state
        projects.labels(state).inc()
    _add_forges(registry, services)
    sweeps = Counter("runyard_sweeps", "Sweeps since this server's start", registry=registry)
    sweeps.inc(services.sweep.done)
    return registry


def _add_forges(registry: CollectorRegistry, services: Services) -> None:
    label = ["forge"]
    requests = Counter(
        "runyard_forge_requests", "Requests since this server's start", label, registry=registry
    )
    remaining = Gauge(
        "runyard_forge_remaining", "Requests that the forge says are left", label, registry=registry
    )
    reset = Gauge(
        "runyard_forge_reset_seconds", "Seconds until its limit is reset", label, registry=registry
    )
    spent = services.forges.spending()
    for forge in services.forges.all():
        one = spent.get(forge.id)
        if one is None:
            continue
        requests.labels(forge.name).inc(one.requests)
        if one.remaining is not None:
            remaining.labels(forge.name).set(one.remaining)
        if one.reset_seconds is not None:
            reset.labels(forge.name).set(one.reset_seconds)


def notification_routes(services: Services) -> APIRouter:
    """Build the routes below `/notifications`."""
    router = APIRouter(tags=["system"])
    desk = services.notifications

    @router.get("/notifications")
    def notifications() -> NotificationsOut:
        """All receivers without their secrets, with their waiting messages and last outcome."""
        arranged = desk.arrangement
        return NotificationsOut(
            items=[ReceiverOut.model_validate(one) for one in desk.receivers()],
            kinds=list(arranged.kinds),
            quiet_hours=arranged.quiet_hours,
            digest_at=arranged.digest_at,
            zone=arranged.zone,
        )

    @router.get("/notifications/subscriptions")
    def subscriptions(request: Request) -> SubscriptionsOut:
        """The notifications that you chose, by project."""
        return chosen(services.subscriptions.of_person(visitor_of(request).person_id))

    @router.put("/notifications/subscriptions")
    def subscribe(request: Request, body: SubscriptionBody) -> SubscriptionsOut:
        """Choose the notifications about a project, or about all others; return your choices."""
        person_id, kinds = visitor_of(request).person_id, body.kinds
        return chosen(services.subscriptions.choose(person_id, body.project_id, kinds))

    def chosen(choices: Sequence[Choice]) -> SubscriptionsOut:
        return SubscriptionsOut(
            items=[SubscriptionOut.model_validate(one) for one in choices],
            kinds=list(services.subscriptions.default),
        )

    @router.post("/notifications/test")
    def test() -> NotificationTest:
        """Send every receiver a message now, even in quiet hours, and return each outcome."""
        return NotificationTest(items=[TriedOut.model_validate(one) for one in desk.test()])

    return router
