"""The form that starts a run: its key, fields, options, and the reasons why `Run` is disabled."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.client.protocol import new_correlation_id
from app.api.schemas import (
    IssueOut,
    ProjectOut,
    QuotaOut,
    RunOrder,
    RunOut,
    TemplateOut,
    UsageLimit,
)
from app.domain.agents.templates import SETTING_NAME
from app.domain.formatting import iso
from app.domain.issues import queue_order
from app.domain.quota import QuotaBanner, QuotaLevel, quota_banner
from app.domain.starts import moment_of, read_start
from app.domain.text.durations import clock_words
from app.domain.usage_limits import covers
from app.domain.words import FRAMEWORKS, Depth
from app.state.page.refused_input import messages_of
from app.state.page.submits import Submits
from app.state.runs.run_board import Submitting

BAD_TTL = "Expires after: write a span as 30m, 2h or 1d."
NO_TEMPLATE = "no template"


NO_ANSWER = "The server did not answer. Retry sends the same key, so nothing can start twice."


def options_of(
    delay: str, ttl: str, tags: str, now: datetime, zone: tzinfo | None
) -> dict[str, Any]:
    """Return the given options as fields of an order; `zone` is the reader's time zone.

    Raises ValueError with a sentence for text that cannot be parsed.
    """
    given: dict[str, Any] = {}
    if delay.strip():
        start = read_start(delay)
        given["delay"] = iso(moment_of(start, now, zone)) if isinstance(start, str) else start
    if ttl.strip():
        given["ttl"] = _span(ttl)
    named = [tag for part in tags.split(",") if (tag := part.strip())]
    if named:
        given["tags"] = list(dict.fromkeys(named))
    return given


def _span(words: str) -> int:
    try:
        seconds = read_start(words)
    except ValueError as problem:
        raise ValueError(BAD_TTL) from problem
    if not isinstance(seconds, int) or seconds < 1:
        raise ValueError(BAD_TTL)
    return seconds


class TroubleKind(StrEnum):
    """The kinds of submit failure that the form handles differently."""

    RATE_LIMITED = "rate_limited"
    CONCURRENCY = "concurrency_limit"
    PR_LOCK = "pr_lock"
    KEY_REUSED = "key_reused"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"


@dataclass(frozen=True)
class Trouble:
    """A failed submit: its sentence and what can be done about it.

    `until` (UTC) is when a rate limit ends, `run_id` the run that caused the refusal, `change_path`
    the page of the change that did.
    """

    kind: TroubleKind
    sentence: str
    correlation_id: str = ""
    until: datetime | None = None
    run_id: str = ""
    change_path: str = ""


@dataclass
class RunForm:
    """One open form. The key stays the same until `reset`, however often it is submitted.

    `sent` holds the correlation id of every submit under this key, `ordered` the body of the last.
    `template` is empty for the one that the run gets without a choice.
    """

    project: ProjectOut
    branch: str
    depth: Depth = Depth.STANDARD
    framework: str = "auto"
    issue: int | None = None
    task: str = ""
    template: str = ""
    agent: str = ""
    model: str = ""
    delay: str = ""
    ttl: str = ""
    tags: str = ""
    zone: tzinfo | None = None
    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    sent: tuple[str, ...] = ()
    ordered: RunOrder | None = None
    busy: bool = False
    trouble: Trouble | None = None
    quota: QuotaOut | None = None
    templates: Sequence[TemplateOut] = ()

    @classmethod
    def open(
        cls, project: ProjectOut, query: Mapping[str, str], templates: Sequence[TemplateOut] = ()
    ) -> RunForm:
        """Create a form with a new key, filled from the query of a URL."""
        form = cls(project, project.base_branch, templates=templates)
        form._fill(query)
        return form

    def reset(self) -> None:
        """Clear the form and take a new key, so that the next submit is another run."""
        fresh = RunForm.open(self.project, {}, self.templates)
        fresh.quota, fresh.zone = self.quota, self.zone
        self.__dict__.update(fresh.__dict__)

    def frameworks(self) -> tuple[str, ...]:
        """Return the available frameworks: the known ones, then the project's own."""
        return tuple(dict.fromkeys((*FRAMEWORKS, *self.project.frameworks)))

    def template_names(self) -> dict[str, str]:
        """Return the templates to choose from, by value; the first one is what a run gets without.

        Without a task and an issue that is the project's default. A task or an issue goes into the
        project's own prompt if it has one, else it needs no template.
        """
        names = [one.name for one in self.templates]
        if self.issue is None and not self.task.strip():
            usual = next((one.name for one in self.templates if one.default), "")
        else:
            usual = SETTING_NAME if SETTING_NAME in names else NO_TEMPLATE
        return {"": f"Default ({usual})" if usual else "Default"} | {name: name for name in names}

    def order(self, now: datetime | None = None) -> RunOrder:
        """Build the body of the submit, without empty fields.

        Raises ValueError or its subclass ValidationError.
        """
        options = options_of(self.delay, self.ttl, self.tags, now or datetime.now(UTC), self.zone)
        return self._body(options)

    def wishes(self) -> RunOrder:
        """Build the body without the options: a start time that cannot be read changes no prompt.

        Raises ValidationError.
        """
        return self._body({})

    def _body(self, options: Mapping[str, Any]) -> RunOrder:
        given: dict[str, Any] = {
            "branch": self.branch.strip(),
            "issue": self.issue,
            "task": self.task.strip(),
            "template": self.template,
            "agent": self.agent.strip(),
            "model": self.model.strip(),
        }
        return RunOrder(
            project_id=self.project.id,
            depth_level=self.depth,
            target_framework=self.framework,
            **options,
            **{name: value for name, value in given.items() if value},
        )

    def is_as_sent(self) -> bool:
        """Return True while the form matches the last submit."""
        try:
            return self.order() == self.ordered
        except ValueError:
            return False

    def banner(self, now: datetime) -> Trouble | QuotaBanner | None:
        """Return the banner above the form: the rate limit's first, then the quota's."""
        if self.is_rate_limited(now):
            return self.trouble
        if self.quota is None:
            return None
        banner = quota_banner(
            limit=self.quota.limit,
            remaining=self.quota.remaining,
            reset_at=self.quota.reset_at,
            free_at=self.quota.free_at,
        )
        return None if banner is None or _is_over(banner, now) else banner

    def held(self, now: datetime) -> UsageLimit | None:
        """Return the usage limit that holds the agent's account, None if it is free."""
        limit = self.project.usage_limit
        if limit is None or (limit.until is not None and limit.until <= now):
            return None
        agent, model = self.agent.strip() or self.project.agent, self.model.strip() or None
        return limit if agent == limit.agent and covers(limit.family, model) else None

    def inline(self) -> Trouble | None:
        """Return the failure shown inside the form; a rate limit shows in the banner instead."""
        trouble = self.trouble
        return None if trouble and trouble.kind is TroubleKind.RATE_LIMITED else trouble

    def is_rate_limited(self, now: datetime) -> bool:
        """Return True until the time of a 429 has passed."""
        trouble = self.trouble
        if trouble is None or trouble.kind is not TroubleKind.RATE_LIMITED:
            return False
        return trouble.until is None or now < trouble.until

    def why_disabled(self, now: datetime) -> str | None:
        """Return the reason why `Run` is disabled, None if it is enabled."""
        if self.busy:
            return "Submitting…"
        if self.project.archived_at is not None:
            return "This project is archived. Unarchive it to start runs."
        banner = self.banner(now)
        if isinstance(banner, Trouble):
            return "Rate limit reached. Run is possible again when the countdown ends."
        if banner is not None and banner.is_closed:
            return "You may not start any runs: your limit is 0."
        if banner is not None and banner.level is QuotaLevel.EXHAUSTED:
            return "Quota exhausted. Run is possible again when the next window opens."
        return None

    def wakes_at(self, now: datetime) -> datetime | None:
        """Return when the banners must be recomputed (UTC), None if no limit will end."""
        banner, held = self.banner(now), self.held(now)
        ends = banner.until if isinstance(banner, Trouble) else banner and banner.reset_at
        return min((one for one in (ends, held and held.until) if one), default=None)

    async def submit(
        self, api: ApiClient, submits: Submits, owner: str, clock: Callable[[], datetime]
    ) -> RunOut | None:
        """Submit once; return the run, or None with `trouble` set."""
        if self.why_disabled(clock()) is not None:
            return None
        try:
            order = self.order(clock())
        except ValueError as error:
            told = messages_of(error) if isinstance(error, ValidationError) else str(error)
            self.trouble = Trouble(TroubleKind.REFUSED, told)
            return None
        correlation_id = new_correlation_id()
        self.busy, self.trouble, self.ordered = True, None, order
        self.sent = (*self.sent, correlation_id)
        submit = submits.begin(owner, self._placeholder(clock()))
        try:
            run = (await api.start_run(order, self.key, correlation_id)).run
        except ApiProblem as problem:
            self.trouble = trouble_of(problem, clock())
        except NoAnswer as silence:
            self.trouble = Trouble(TroubleKind.NO_ANSWER, NO_ANSWER, silence.correlation_id)
        else:
            submit.confirm(run)
            return run
        finally:
            self.busy = False
            submit.restore()
        return None

    def _placeholder(self, now: datetime) -> Submitting:
        return Submitting(
            key=self.key,
            project_id=self.project.id,
            project_name=self.project.name,
            branch=self.branch.strip() or self.project.base_branch,
            depth_level=self.depth,
            target_framework=self.framework,
            issue=self.issue,
            began_at=now,
            correlation_ids=self.sent,
        )

    def _fill(self, query: Mapping[str, str]) -> None:
        self.branch = query.get("branch", "").strip() or self.branch
        if (depth := query.get("depth", "")) in set(Depth):
            self.depth = Depth(depth)
        if (framework := query.get("framework", "")) in self.frameworks():
            self.framework = framework
        issue = query.get("issue", "")
        if issue.isascii() and issue.isdigit() and len(issue) < 10 and int(issue) > 0:
            self.issue = int(issue)
        self.task = query.get("task", "")
        if (template := query.get("template", "")) in self.template_names():
            self.template = template
        self.agent = query.get("agent", "").strip()
        self.model = query.get("model", "").strip()


def issue_names(issues: Iterable[IssueOut]) -> dict[int, str]:
    """Return the open issues by number, as a form names them: those that may start first."""
    names: dict[int, str] = {}
    still_open = [issue for issue in issues if issue.state == "open"]
    for issue in sorted(still_open, key=lambda one: (not one.claimable, queue_order(one))):
        why = f" — {issue.hold}" if issue.hold and not issue.claimable else ""
        names[issue.number] = f"#{issue.number} {issue.title}{why}"
    return names


def trouble_of(problem: ApiProblem, now: datetime) -> Trouble:
    """Convert a refusal to the form's failure."""
    kind = next((kind for kind in TroubleKind if kind == problem.code), TroubleKind.REFUSED)
    if kind is TroubleKind.RATE_LIMITED and problem.members.get("limit") == 0:
        kind = TroubleKind.REFUSED  # there is no end to count down to
    run_id = problem.members.get("holder") or problem.members.get("run_id") or ""
    sentence = problem.detail
    if kind is TroubleKind.PR_LOCK:
        sentence = "pr_lock contention"
    elif kind is TroubleKind.KEY_REUSED:
        sentence = "This form has already started a run."
    until = _end_of_limit(problem.members, now) if kind is TroubleKind.RATE_LIMITED else None
    if until is not None:
        # same words as the countdown beside it, for screen readers
        sentence = f"Rate limit reached. Retry in {clock_words((until - now).total_seconds())}."
    return Trouble(kind, sentence, problem.correlation_id, until, str(run_id), problem.change_path)


def _end_of_limit(members: Mapping[str, Any], now: datetime) -> datetime:
    try:
        reset_at = datetime.fromisoformat(str(members["reset_at"]))
    except (KeyError, ValueError):
        return now + timedelta(seconds=60)
    # rounded up to a whole second, like Retry-After: a second too early is refused again
    return reset_at.replace(microsecond=0) + timedelta(seconds=1)


def _is_over(banner: QuotaBanner, now: datetime) -> bool:
    return banner.reset_at is not None and banner.reset_at <= now
