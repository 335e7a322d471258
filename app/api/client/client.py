"""The API client of pages and scripts: asynchronous, with typed answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import httpx

from app.api import schemas
from app.api.client import (
    approval_calls,
    batch_calls,
    calls,
    forge_calls,
    people_calls,
    prompt_calls,
    review_calls,
    system_calls,
    tracker_calls,
)
from app.api.client.protocol import (
    CORRELATION,
    Call,
    change_page,
    new_correlation_id,
    problem_in,
    sentence_in,
)

if TYPE_CHECKING:
    from app.api.client.protocol import Body

# answers that every page fetches, and that are the same for each until something changes
OF_ALL_PAGES = {"Projects"}
Answer = TypeVar("Answer")
Given = ParamSpec("Given")


class ApiProblem(Exception):
    """An error response: a refusal or fault with its code, status, sentence and members."""

    def __init__(self, status: int, body: Mapping[str, Any], correlation_id: str) -> None:
        self.status = status
        self.code = str(body.get("error", "fault"))
        self.detail = sentence_in(body)
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
        return change_page(self.members)


class NoAnswer(Exception):
    """The server did not answer; the outcome is unknown."""

    def __init__(self, correlation_id: str) -> None:
        self.correlation_id = correlation_id
        super().__init__("The server did not answer.")


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
class EntriesPiece:
    """The entries of all lines that begin between `begin` and `next_offset`, and the log's size.

    Offsets and sizes in bytes. `written_at` is when the log last grew, None if it is empty or the
    time is unknown.
    """

    entries: list[schemas.LogEntry]
    begin: int
    next_offset: int
    size: int
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


def _asks(
    describe: Callable[Given, Call[Answer]],
) -> Callable[Concatenate[ApiClient, Given], Coroutine[Any, Any, Answer]]:
    """Return the method that sends a described call and returns its answer."""

    @wraps(describe)
    async def method(self: ApiClient, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        return await self.ask(describe(*args, **kwargs))

    return method


def _parsed(name: str, content: bytes) -> Any:
    if not name:
        return None
    return getattr(schemas, name).model_validate_json(content)


# pages share the models, which are frozen; only the newest answer is kept
_parsed_once = lru_cache(maxsize=1)(_parsed)


@dataclass
class ApiClient:
    """The API client of one person. `http` carries the base URL, session and transport.

    The methods are the calls of the same names; those that read headers are written out.
    """

    http: httpx.AsyncClient
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    async def send(self, call: Call[Any]) -> httpx.Response:
        """Send a call. Raises ApiProblem or NoAnswer."""
        correlation_id = call.correlation_id or new_correlation_id()
        try:
            answer = await self.http.request(**call.request(correlation_id, self.headers))
        except httpx.HTTPError as error:
            raise NoAnswer(correlation_id) from error
        if answer.is_error:
            members = problem_in(answer.content, f"The server answered {answer.status_code}.")
            told = answer.headers.get(CORRELATION, correlation_id)
            raise ApiProblem(answer.status_code, members, told)
        return answer

    async def ask(self, call: Call[Answer]) -> Answer:
        """Send a call and parse its answer. Raises ApiProblem or NoAnswer."""
        content = (await self.send(call)).content
        parse = _parsed_once if call.answer in OF_ALL_PAGES else _parsed
        answer = parse(call.answer, content)
        if not call.takes_items:
            return answer
        # a list of the caller's own: the answer may be shared
        own: Any = list(answer.items)
        return own

    projects = _asks(calls.projects)
    project = _asks(calls.project)
    figures = _asks(calls.figures)
    counts = _asks(calls.counts)
    add_project = _asks(calls.add_project)
    add_demo_project = _asks(calls.add_demo_project)
    change_project = _asks(calls.change_project)
    unarchive_project = _asks(calls.unarchive_project)
    archive_project = _asks(calls.archive_project)
    branches = _asks(calls.branches)
    concurrency = _asks(calls.concurrency)
    reset_key = _asks(calls.reset_key)

    start_afk = _asks(calls.start_afk)
    set_auto = _asks(calls.set_auto)
    reset = _asks(calls.reset)
    try_checks_again = _asks(calls.try_checks_again)
    check_again = _asks(calls.check_again)
    make_ready_label = _asks(calls.make_ready_label)
    next_plan = _asks(calls.next_plan)
    state = _asks(calls.state)
    trust = _asks(calls.trust)

    issues = _asks(tracker_calls.issues)
    board = _asks(tracker_calls.board)
    issue = _asks(tracker_calls.issue)
    seen_issue = _asks(tracker_calls.seen_issue)
    add_issue = _asks(tracker_calls.add_issue)
    change_issue = _asks(tracker_calls.change_issue)
    issue_text = _asks(tracker_calls.issue_text)
    approvals = _asks(approval_calls.approvals)
    approve = _asks(approval_calls.approve)
    reject = _asks(approval_calls.reject)

    approve_text = _asks(tracker_calls.approve_text)
    comments = _asks(tracker_calls.comments)
    comment = _asks(tracker_calls.comment)
    changes = _asks(tracker_calls.changes)
    change = _asks(tracker_calls.change)
    close_change = _asks(tracker_calls.close_change)
    merge = _asks(tracker_calls.merge)
    cancel_merge = _asks(tracker_calls.cancel_merge)
    undo_change = _asks(tracker_calls.undo_change)

    runs = _asks(calls.runs)
    run_totals = _asks(calls.run_totals)
    run = _asks(calls.run)
    retry = _asks(calls.retry)
    resume = _asks(calls.resume)
    plan_run = _asks(calls.plan_run)
    stop = _asks(calls.stop)
    deliver = _asks(calls.deliver)
    release = _asks(calls.release)
    timeline = _asks(calls.timeline)
    report = _asks(calls.report)
    checks = _asks(calls.checks)
    search_log = _asks(calls.search_log)

    inbox = _asks(review_calls.inbox)
    report_since = _asks(review_calls.report)
    search = _asks(review_calls.search)
    change_files = _asks(review_calls.change_files)
    change_history = _asks(review_calls.change_history)
    change_comments = _asks(review_calls.change_comments)
    comment_on_change = _asks(review_calls.comment_on_change)
    edit_comment = _asks(review_calls.edit_comment)
    unread = _asks(review_calls.unread)
    read_items = _asks(review_calls.read_items)
    request_changes = _asks(review_calls.request_changes)
    fix_ci = _asks(review_calls.fix_ci)
    resolve_conflicts = _asks(review_calls.resolve_conflicts)

    preview = _asks(prompt_calls.preview)
    prompt = _asks(prompt_calls.prompt)
    templates = _asks(prompt_calls.templates)

    parked = _asks(calls.parked)
    discard = _asks(calls.discard)
    stuck = _asks(calls.stuck)
    try_again = _asks(calls.try_again)

    batches = _asks(batch_calls.batches)
    batch = _asks(batch_calls.batch)
    batch_items = _asks(batch_calls.batch_items)
    batch_quota = _asks(batch_calls.batch_quota)
    stop_batch = _asks(batch_calls.stop_batch)
    order_bulk = _asks(batch_calls.order_bulk)
    bulk = _asks(batch_calls.bulk)
    abort_bulk = _asks(batch_calls.abort_bulk)

    quota = _asks(system_calls.quota)
    people_quotas = _asks(system_calls.people_quotas)
    account_holds = _asks(system_calls.account_holds)
    lift_hold = _asks(system_calls.lift_hold)
    notifications = _asks(system_calls.notifications)
    test_notifications = _asks(system_calls.test_notifications)
    subscriptions = _asks(system_calls.subscriptions)
    subscribe = _asks(system_calls.subscribe)
    push_key = _asks(system_calls.push_key)
    devices = _asks(system_calls.devices)
    add_device = _asks(system_calls.add_device)
    test_device = _asks(system_calls.test_device)
    system = _asks(system_calls.system)
    doctor = _asks(system_calls.doctor)
    retention = _asks(system_calls.retention)

    people = _asks(people_calls.people)
    person = _asks(people_calls.person)
    invite = _asks(people_calls.invite)
    invite_again = _asks(people_calls.invite_again)
    change_person = _asks(people_calls.change_person)
    sessions = _asks(people_calls.sessions)
    end_sessions = _asks(people_calls.end_sessions)
    end_session = _asks(people_calls.end_session)
    change_password = _asks(people_calls.change_password)
    prove = _asks(people_calls.prove)
    begin_codes = _asks(people_calls.begin_codes)
    confirm_codes = _asks(people_calls.confirm_codes)
    remove_codes = _asks(people_calls.remove_codes)
    tokens = _asks(people_calls.tokens)
    add_token = _asks(people_calls.add_token)
    revoke_token = _asks(people_calls.revoke_token)
    organisations = _asks(people_calls.organisations)
    add_organisation = _asks(people_calls.add_organisation)
    change_organisation = _asks(people_calls.change_organisation)
    audit = _asks(system_calls.audit)

    forges = _asks(forge_calls.forges)
    add_forge = _asks(forge_calls.add_forge)
    change_forge = _asks(forge_calls.change_forge)
    check_forge = _asks(forge_calls.check_forge)
    hosted = _asks(forge_calls.hosted)
    forge_at = _asks(forge_calls.forge_at)
    remove_forge = _asks(forge_calls.remove_forge)

    async def remote_of(self, folder: str) -> str | None:
        """Return the remote of a local folder, None if it has no usable one."""
        return (await self.ask(calls.origin(folder))).remote

    async def start_run(self, order: Body, key: str, correlation_id: str | None = None) -> Created:
        """Submit a run under an idempotency key; see `calls.start_run`."""
        answer = await self.send(calls.start_run(order, key, correlation_id))
        run = schemas.RunOut.model_validate_json(answer.content)
        return Created(run, answer.headers.get("Idempotency-Replayed") == "true")

    async def diff(self, run_id: str) -> DiffText:
        """Return a run's unified diff."""
        answer = await self.send(calls.diff(run_id))
        return DiffText(answer.text, answer.headers["X-Diff-Truncated"] == "true")

    async def file_diff(self, project_id: str, number: int, path: str) -> DiffText:
        """Return the unified diff of one file of a change request."""
        answer = await self.send(review_calls.file_diff(project_id, number, path))
        return DiffText(answer.text, answer.headers["X-Diff-Truncated"] == "true")

    async def mark_viewed(self, project_id: str, number: int, path: str, *, viewed: bool) -> None:
        """Mark a file of a change request as viewed, or not."""
        await self.send(review_calls.mark_viewed(project_id, number, path, viewed=viewed))

    async def delete_comment(self, project_id: str, number: int, comment: int) -> None:
        """Delete a draft of a review."""
        await self.send(review_calls.delete_comment(project_id, number, comment))

    async def remove_device(self, device_id: str) -> None:
        """Remove a device of this person."""
        await self.send(system_calls.remove_device(device_id))

    async def log(self, run_id: str, *, offset: int, limit: int) -> LogPiece:
        """Return bytes of a run's log; a negative offset counts from the end."""
        answer = await self.send(calls.log(run_id, offset=offset, limit=limit))
        return LogPiece(
            answer.content,
            int(answer.headers["X-Log-Next"]),
            int(answer.headers["X-Log-Size"]),
            answer.headers["X-Log-Truncated"] == "true",
            _written_at(answer),
        )

    async def has_log_entries(self, run_id: str) -> bool:
        """Return True if the run's agent writes events that can be shown as entries."""
        answer = await self.send(calls.log(run_id, offset=0, limit=1, readable=True))
        return answer.headers["X-Log-Form"] == calls.READABLE["form"]

    async def log_entries(self, run_id: str, *, offset: int, limit: int) -> EntriesPiece:
        """Return the entries of all lines that begin in a byte range of a log."""
        answer = await self.send(calls.log(run_id, offset=offset, limit=limit, readable=True))
        return EntriesPiece(
            [schemas.LogEntry.model_validate_json(line) for line in answer.content.splitlines()],
            int(answer.headers["X-Log-Begin"]),
            int(answer.headers["X-Log-Next"]),
            int(answer.headers["X-Log-Size"]),
            _written_at(answer),
        )


def _written_at(answer: httpx.Response) -> datetime | None:
    date = answer.headers.get("Last-Modified")
    return parsedate_to_datetime(date) if date else None
