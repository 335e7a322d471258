"""The API client; pages and scripts submit through it and get the same refusals."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.api import schemas
from app.api.client.auto import Caller, LoopCalls
from app.api.client.batches import BatchCalls
from app.api.client.projects import IssueCalls
from app.api.client.runs import EntriesPiece as EntriesPiece
from app.api.client.runs import LogCalls
from app.domain.json.objects import is_object

Model = TypeVar("Model", bound=BaseModel)


class NotificationCalls:
    """Calls for notification receivers."""

    async def notifications(self: Caller) -> schemas.NotificationsOut:
        """Return the notification receivers with their delivery state, and the settings."""
        return await self.ask(schemas.NotificationsOut, "/notifications")

    async def test_notifications(self: Caller) -> list[schemas.TriedOut]:
        """Send a test message to every receiver now; return the outcome for each."""
        return (await self.tell(schemas.NotificationTest, "POST", "/notifications/test", {})).items


BASE_PATH = "/api/v1"


class ApiProblem(Exception):
    """An error response: a refusal or fault with its code, status, sentence and members."""

    def __init__(self, status: int, body: Mapping[str, Any], correlation_id: str) -> None:
        self.status = status
        self.code = str(body.get("error", "fault"))
        self.detail = str(body.get("detail") or body.get("title") or "Something went wrong.")
        self.members = dict(body)
        self.correlation_id = correlation_id
        super().__init__(self.detail)

    @property
    def asks_to_push(self) -> bool:
        """True if the kept commits failed a check and a person may push them anyway."""
        return self.code in ("secret_found", "file_too_large", "not_checked")

    @property
    def change_path(self) -> str:
        """The page of the open change that caused the refusal, empty if there is none."""
        number, project_id = self.members.get("change"), self.members.get("project_id")
        return f"/projects/{project_id}/changes/{number}" if number and project_id else ""


class NoAnswer(Exception):
    """The server did not answer; the outcome is unknown."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        super().__init__("The server did not answer.")


def new_correlation_id() -> str:
    """Return a new id that ties a click to its request, its log lines and its error."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class LogPiece:
    """A chunk of a log: bytes, the offset after them, and the total log size in bytes.

    `written_at` is when the log last grew, None if it is empty or the time is unknown.
    """

    content: bytes
    next_offset: int
    size: int
    is_cut: bool
    written_at: datetime | None = None


@dataclass(frozen=True)
class DiffText:
    """A unified diff; `is_cut` if the server truncated it."""

    text: str
    is_cut: bool = False


@dataclass(frozen=True)
class Created:
    """An accepted run; `replayed` if an earlier submit with the same key created it."""

    run: schemas.RunOut
    replayed: bool


@dataclass
class ApiClient(BatchCalls, IssueCalls, LogCalls, LoopCalls, NotificationCalls):
    """The API client of one person. `http` carries the base URL, session and transport."""

    http: httpx.AsyncClient
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | dict[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        key: str | None = None,
        correlation_id: str | None = None,
    ) -> httpx.Response:
        """Send one request below the base path. Raises ApiProblem or NoAnswer."""
        correlation_id = correlation_id or new_correlation_id()
        headers = {**self.headers, "X-Correlation-Id": correlation_id}
        if key:
            headers["x-idempotency-key"] = key
        content = (
            body.model_dump(mode="json", exclude_unset=True)
            if isinstance(body, BaseModel)
            else body
        )
        try:
            answer = await self.http.request(
                method, BASE_PATH + path, json=content, params=params, headers=headers
            )
        except httpx.HTTPError as error:
            raise NoAnswer(correlation_id) from error
        if answer.is_error:
            raise _problem(answer, correlation_id)
        return answer

    async def ask(self, model: type[Model], path: str, **params: Any) -> Model:
        """GET a path and parse the response as `model`; empty parameters are left out."""
        given = {name: value for name, value in params.items() if value not in (None, "")}
        return model.model_validate_json((await self.send("GET", path, params=given)).content)

    async def tell(
        self, model: type[Model], method: str, path: str, body: Any = None, key: str | None = None
    ) -> Model:
        """Send a change and parse the response as `model`."""
        return model.model_validate_json(
            (await self.send(method, path, body=body, key=key)).content
        )

    async def projects(self) -> list[schemas.ProjectOut]:
        """Return all projects, including archived ones."""
        return (await self.ask(schemas.Projects, "/projects", include_archived=True)).items

    async def project(self, project_id: str) -> schemas.ProjectOut:
        """Return one project."""
        return await self.ask(schemas.ProjectOut, f"/projects/{project_id}")

    async def figures(self, project_id: str, days: int) -> schemas.ProjectFigures:
        """Return statistics of a project's runs over the last `days` days, per day and in total."""
        path = f"/projects/{project_id}/figures"
        return await self.ask(schemas.ProjectFigures, path, days=days)

    async def counts(self, project_id: str) -> schemas.ProjectCounts:
        """Return how many runs, open issues and open change requests a project has."""
        return await self.ask(schemas.ProjectCounts, f"/projects/{project_id}/counts")

    async def add_project(self, new: schemas.NewProject) -> schemas.ProjectOut:
        """Register a repository."""
        return await self.tell(schemas.ProjectOut, "POST", "/projects", new)

    async def add_demo_project(self) -> schemas.ProjectOut:
        """Create the demo repository with its issues, and register it."""
        return await self.tell(schemas.ProjectOut, "POST", "/demo-project")

    async def change_project(
        self, project_id: str, change: schemas.ProjectChange
    ) -> schemas.ProjectOut:
        """Change the settings that are set in `change`; leave the others as they are."""
        return await self.tell(schemas.ProjectOut, "PATCH", f"/projects/{project_id}", change)

    async def unarchive_project(self, project_id: str) -> schemas.ProjectOut:
        """Unarchive a project."""
        body = schemas.ProjectChange(archived=False)
        return await self.change_project(project_id, body)

    async def archive_project(self, project_id: str) -> schemas.ProjectOut:
        """Archive a project; its history is kept."""
        return await self.tell(schemas.ProjectOut, "DELETE", f"/projects/{project_id}")

    async def remote_of(self, folder: str) -> str | None:
        """Return the remote of a local folder, None if it has no usable one."""
        return (await self.ask(schemas.OriginOut, "/origins", folder=folder)).remote

    async def branches(self, project_id: str) -> list[schemas.BranchOut]:
        """Return the branches of origin, base branch first."""
        return (await self.ask(schemas.Branches, f"/projects/{project_id}/branches")).items

    async def start_run(
        self, order: schemas.RunOrder, key: str, correlation_id: str | None = None
    ) -> Created:
        """Submit a run under an idempotency key.

        The run carries the correlation id of the first submit.
        """
        answer = await self.send(
            "POST", "/runs", body=order, key=key, correlation_id=correlation_id
        )
        run = schemas.RunOut.model_validate_json(answer.content)
        return Created(run, answer.headers.get("Idempotency-Replayed") == "true")

    async def reset_key(self, project_id: str, key: str) -> schemas.KeyOut:
        """Detach one of your own keys from its run, so that its next use starts a new run."""
        path = f"/idempotency-keys/{quote(key, safe='')}/reset"
        return await self.tell(schemas.KeyOut, "POST", path, {"project_id": project_id})

    async def runs(self, *, status: Sequence[str] = (), **filters: Any) -> schemas.RunsPage:
        """Return a page of runs.

        Filters: project_id, phase, trigger, branch, q, limit, cursor, and others of `GET /runs`.
        """
        return await self.ask(schemas.RunsPage, "/runs", status=list(status) or None, **filters)

    async def run(self, run_id: str) -> schemas.RunOut:
        """Return one run."""
        return await self.ask(schemas.RunOut, f"/runs/{run_id}")

    async def timeline(self, run_id: str) -> list[schemas.TimelineEvent]:
        """Return a run's events, oldest first."""
        return (await self.ask(schemas.Timeline, f"/runs/{run_id}/timeline")).items

    async def report(self, run_id: str) -> schemas.ReportOut:
        """Return the agent's report on a run so far."""
        return await self.ask(schemas.ReportOut, f"/runs/{run_id}/report")

    async def diff(self, run_id: str) -> DiffText:
        """Return a run's unified diff."""
        answer = await self.send("GET", f"/runs/{run_id}/diff")
        return DiffText(answer.text, answer.headers["X-Diff-Truncated"] == "true")

    async def log(self, run_id: str, *, offset: int, limit: int) -> LogPiece:
        """Return bytes of a run's log; a negative offset counts from the end."""
        answer = await self.send(
            "GET", f"/runs/{run_id}/log", params={"offset": offset, "limit": limit}
        )
        return LogPiece(
            answer.content,
            int(answer.headers["X-Log-Next"]),
            int(answer.headers["X-Log-Size"]),
            answer.headers["X-Log-Truncated"] == "true",
            _moment(answer.headers.get("Last-Modified")),
        )

    async def stop(self, run_id: str, because: str | None = None) -> schemas.RunOut:
        """Stop a run."""
        return await self.tell(schemas.RunOut, "POST", f"/runs/{run_id}/stop", {"because": because})

    async def plan_run(self, run_id: str, plan: dict[str, Any]) -> schemas.RunOut:
        """Reschedule a delayed run to `starts_at`, or start it now with `start_now`."""
        return await self.tell(schemas.RunOut, "PATCH", f"/runs/{run_id}", plan)

    async def changes(self, project_id: str) -> list[schemas.ChangeOut]:
        """Return the change requests of the built-in tracker."""
        return (await self.ask(schemas.Changes, f"/projects/{project_id}/changes")).items

    async def change(self, project_id: str, number: int) -> schemas.ChangeOut:
        """Return one change request."""
        return await self.ask(schemas.ChangeOut, f"/projects/{project_id}/changes/{number}")

    async def change_diff(self, project_id: str, number: int) -> str:
        """Return the unified diff of a change request."""
        return (await self.send("GET", f"/projects/{project_id}/changes/{number}/diff")).text

    async def close_change(self, project_id: str, number: int) -> schemas.ChangeOut:
        """Close a change request without merging it."""
        return await self.tell(
            schemas.ChangeOut, "POST", f"/projects/{project_id}/changes/{number}/close"
        )

    async def merge(
        self, project_id: str, number: int, *, push_anyway: bool = False
    ) -> schemas.ChangeOut:
        """Merge a change request; `push_anyway` overrides a failed check."""
        path = f"/projects/{project_id}/changes/{number}/merge"
        body = {"push_anyway": True} if push_anyway else None
        return await self.tell(schemas.ChangeOut, "POST", path, body)

    async def quota(self) -> schemas.QuotaOut:
        """Return this person's quota window for runs."""
        return await self.ask(schemas.QuotaOut, "/quota/runs")

    async def concurrency(self, project_id: str) -> schemas.ConcurrencyOut:
        """Return a project's open runs and its concurrency limit."""
        return await self.ask(schemas.ConcurrencyOut, "/quota/concurrency", project_id=project_id)

    async def system(self) -> schemas.SystemOut:
        """Return the server's version, health and state."""
        return await self.ask(schemas.SystemOut, "/system")

    async def doctor(self, look: str) -> schemas.DoctorOut:
        """Return doctor's findings; `look` is no (cached), stale (re-check if old) or anew."""
        return await self.ask(schemas.DoctorOut, "/doctor", look=look)

    async def retention(self) -> schemas.RetentionOut:
        """Return what is kept of ended runs and what is removed next."""
        return await self.ask(schemas.RetentionOut, "/retention")


def _moment(date: str | None) -> datetime | None:
    return parsedate_to_datetime(date) if date else None


def _problem(answer: httpx.Response, correlation_id: str) -> ApiProblem:
    try:
        told = answer.json()
    except ValueError:
        told = {"detail": f"The server answered {answer.status_code}."}
    body = told if is_object(told) else {}
    correlation_id = answer.headers.get("X-Correlation-Id", correlation_id)
    return ApiProblem(answer.status_code, body, correlation_id)
