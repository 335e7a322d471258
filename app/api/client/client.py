"""The API's client: pages and scripts alike submit through it and meet the same refusals."""

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

Model = TypeVar("Model", bound=BaseModel)


class NotificationCalls:
    """Calls on the receivers of messages."""

    async def notifications(self: Caller) -> schemas.NotificationsOut:
        """Who is told what, and how it stands with each."""
        return await self.ask(schemas.NotificationsOut, "/notifications")

    async def test_notifications(self: Caller) -> list[schemas.TriedOut]:
        """Send every receiver a message now."""
        return (await self.tell(schemas.NotificationTest, "POST", "/notifications/test", {})).items


BASE_PATH = "/api/v1"


class ApiProblem(Exception):
    """The server said no: a refusal with its code, status, sentence and members."""

    def __init__(self, status: int, body: Mapping[str, Any], correlation_id: str) -> None:
        self.status = status
        self.code = str(body.get("error", "fault"))
        self.detail = str(body.get("detail") or body.get("title") or "Something went wrong.")
        self.members = dict(body)
        self.correlation_id = correlation_id
        super().__init__(self.detail)

    @property
    def asks_to_push(self) -> bool:
        """True where commits are kept here that a person may have pushed anyway."""
        return self.code in ("secret_found", "file_too_large", "not_checked")

    @property
    def change_path(self) -> str:
        """The page of the open change that stands in the way, empty where none does."""
        number, project_id = self.members.get("change"), self.members.get("project_id")
        return f"/projects/{project_id}/changes/{number}" if number and project_id else ""


class NoAnswer(Exception):
    """The server did not answer; whether it acted is not known."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        super().__init__("The server did not answer.")


def new_correlation_id() -> str:
    """A fresh id that ties a click to its request, its log lines and its error."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class LogPiece:
    """A piece of a log: bytes, the position after them, and the log's whole length.

    `written_at` is when the log last grew, None where nothing was written or it is not known.
    """

    content: bytes
    next_offset: int
    size: int
    is_cut: bool
    written_at: datetime | None = None


@dataclass(frozen=True)
class DiffText:
    """A unified diff; `is_cut` where there is more of it than a server tells."""

    text: str
    is_cut: bool = False


@dataclass(frozen=True)
class Created:
    """An accepted run; `replayed` where the key had already made it."""

    run: schemas.RunOut
    replayed: bool


@dataclass
class ApiClient(BatchCalls, IssueCalls, LogCalls, LoopCalls, NotificationCalls):
    """One person's client. `http` carries base URL, session and transport."""

    http: httpx.AsyncClient
    headers: Mapping[str, str] = field(default_factory=dict)

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
        """One call below the base path. Raises ApiProblem or NoAnswer."""
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
        """GET a model."""
        given = {name: value for name, value in params.items() if value not in (None, "")}
        return model.model_validate_json((await self.send("GET", path, params=given)).content)

    async def tell(
        self, model: type[Model], method: str, path: str, body: Any = None, key: str | None = None
    ) -> Model:
        """Change something and read the model that comes back."""
        return model.model_validate_json(
            (await self.send(method, path, body=body, key=key)).content
        )

    async def projects(self) -> list[schemas.ProjectOut]:
        """Every project, archived ones too."""
        return (await self.ask(schemas.Projects, "/projects", include_archived=True)).items

    async def project(self, project_id: str) -> schemas.ProjectOut:
        """One project."""
        return await self.ask(schemas.ProjectOut, f"/projects/{project_id}")

    async def figures(self, project_id: str, days: int) -> schemas.ProjectFigures:
        """What a project's runs of the last days add up to."""
        path = f"/projects/{project_id}/figures"
        return await self.ask(schemas.ProjectFigures, path, days=days)

    async def counts(self, project_id: str) -> schemas.ProjectCounts:
        """How many runs, open issues and open change requests a project has."""
        return await self.ask(schemas.ProjectCounts, f"/projects/{project_id}/counts")

    async def add_project(self, new: schemas.NewProject) -> schemas.ProjectOut:
        """Register a repository."""
        return await self.tell(schemas.ProjectOut, "POST", "/projects", new)

    async def add_demo_project(self) -> schemas.ProjectOut:
        """Make the demo repository with its issues, and register it."""
        return await self.tell(schemas.ProjectOut, "POST", "/demo-project")

    async def change_project(
        self, project_id: str, change: schemas.ProjectChange
    ) -> schemas.ProjectOut:
        """Change settings; what was not set stays."""
        return await self.tell(schemas.ProjectOut, "PATCH", f"/projects/{project_id}", change)

    async def unarchive_project(self, project_id: str) -> schemas.ProjectOut:
        """Take an archived project back."""
        body = schemas.ProjectChange(archived=False)
        return await self.change_project(project_id, body)

    async def archive_project(self, project_id: str) -> schemas.ProjectOut:
        """Archive a project; its history stays."""
        return await self.tell(schemas.ProjectOut, "DELETE", f"/projects/{project_id}")

    async def remote_of(self, folder: str) -> str | None:
        """A folder's own remote, None where it has no usable one."""
        return (await self.ask(schemas.OriginOut, "/origins", folder=folder)).remote

    async def branches(self, project_id: str) -> list[schemas.BranchOut]:
        """Branches of origin, base first."""
        return (await self.ask(schemas.Branches, f"/projects/{project_id}/branches")).items

    async def start_run(
        self, order: schemas.RunOrder, key: str, correlation_id: str | None = None
    ) -> Created:
        """Submit a run under a key; the run carries the correlation id of the first submit."""
        answer = await self.send(
            "POST", "/runs", body=order, key=key, correlation_id=correlation_id
        )
        run = schemas.RunOut.model_validate_json(answer.content)
        return Created(run, answer.headers.get("Idempotency-Replayed") == "true")

    async def reset_key(self, project_id: str, key: str) -> schemas.KeyOut:
        """Take your own key from its run: its next use starts a new one."""
        path = f"/idempotency-keys/{quote(key, safe='')}/reset"
        return await self.tell(schemas.KeyOut, "POST", path, {"project_id": project_id})

    async def runs(self, *, status: Sequence[str] = (), **filters: Any) -> schemas.RunsPage:
        """A page of runs: project_id, phase, trigger, branch, q, limit, cursor."""
        return await self.ask(schemas.RunsPage, "/runs", status=list(status) or None, **filters)

    async def run(self, run_id: str) -> schemas.RunOut:
        """One run."""
        return await self.ask(schemas.RunOut, f"/runs/{run_id}")

    async def timeline(self, run_id: str) -> list[schemas.TimelineEvent]:
        """A run's events, oldest first."""
        return (await self.ask(schemas.Timeline, f"/runs/{run_id}/timeline")).items

    async def report(self, run_id: str) -> schemas.ReportOut:
        """What a run's agent reported so far."""
        return await self.ask(schemas.ReportOut, f"/runs/{run_id}/report")

    async def diff(self, run_id: str) -> DiffText:
        """A run's unified diff."""
        answer = await self.send("GET", f"/runs/{run_id}/diff")
        return DiffText(answer.text, answer.headers["X-Diff-Truncated"] == "true")

    async def log(self, run_id: str, *, offset: int, limit: int) -> LogPiece:
        """Bytes of a run's log; a negative offset counts from the end."""
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
        """Have a delayed run start at `starts_at`, or with `start_now` now."""
        return await self.tell(schemas.RunOut, "PATCH", f"/runs/{run_id}", plan)

    async def changes(self, project_id: str) -> list[schemas.ChangeOut]:
        """Change requests of the built-in tracker."""
        return (await self.ask(schemas.Changes, f"/projects/{project_id}/changes")).items

    async def change(self, project_id: str, number: int) -> schemas.ChangeOut:
        """One change request."""
        return await self.ask(schemas.ChangeOut, f"/projects/{project_id}/changes/{number}")

    async def change_diff(self, project_id: str, number: int) -> str:
        """What a change request changes, as a unified diff."""
        return (await self.send("GET", f"/projects/{project_id}/changes/{number}/diff")).text

    async def close_change(self, project_id: str, number: int) -> schemas.ChangeOut:
        """Close a change request without merging it."""
        return await self.tell(
            schemas.ChangeOut, "POST", f"/projects/{project_id}/changes/{number}/close"
        )

    async def merge(
        self, project_id: str, number: int, *, push_anyway: bool = False
    ) -> schemas.ChangeOut:
        """Merge a change request, with `push_anyway` whatever a check objects to."""
        path = f"/projects/{project_id}/changes/{number}/merge"
        body = {"push_anyway": True} if push_anyway else None
        return await self.tell(schemas.ChangeOut, "POST", path, body)

    async def quota(self) -> schemas.QuotaOut:
        """This person's window of runs."""
        return await self.ask(schemas.QuotaOut, "/quota/runs")

    async def concurrency(self, project_id: str) -> schemas.ConcurrencyOut:
        """Open runs of a project against its limit."""
        return await self.ask(schemas.ConcurrencyOut, "/quota/concurrency", project_id=project_id)

    async def system(self) -> schemas.SystemOut:
        """What this server is."""
        return await self.ask(schemas.SystemOut, "/system")

    async def doctor(self, look: str) -> schemas.DoctorOut:
        """What doctor sees on the server's machine; `look` is no, stale or anew."""
        return await self.ask(schemas.DoctorOut, "/doctor", look=look)

    async def retention(self) -> schemas.RetentionOut:
        """What is kept of runs that are over, and what goes next."""
        return await self.ask(schemas.RetentionOut, "/retention")


def _moment(date: str | None) -> datetime | None:
    return parsedate_to_datetime(date) if date else None


def _problem(answer: httpx.Response, correlation_id: str) -> ApiProblem:
    try:
        body = answer.json()
    except ValueError:
        body = {"detail": f"The server answered {answer.status_code}."}
    return ApiProblem(
        answer.status_code,
        body if isinstance(body, dict) else {},
        answer.headers.get("X-Correlation-Id", correlation_id),
    )
