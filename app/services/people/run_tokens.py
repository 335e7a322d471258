"""Tokens of runs: an agent reads its run's own issue with one, and comments on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

import structlog

from app.domain.people.roles import Role, Scope
from app.domain.people.run_agents import RunAgent
from app.domain.projects.allowed_agents import gets_token
from app.domain.secret_masks import Secret
from app.domain.words import Status
from app.errors import Invalid, NotSignedIn
from app.records.database.database import DatabaseSilent
from app.records.feed import FeedBroke, Numbered, RunTokensChanged
from app.records.people.run_token_ledger import Held, RunTokenLedger
from app.records.tables import Project, Run
from app.services.context import Context
from app.services.people.accounts import TOKEN_BEGINNING, hash_of
from app.services.people.visitor import OwnIssue, Visitor
from app.services.system.ownership import Leases
from app.services.system.secret_key import SecretKey
from app.services.system.token_file import new_secret

log = structlog.get_logger()
# agents are at work in these; a token is refused as soon as its run has another status
AT_WORK = frozenset({Status.STARTING, Status.RUNNING})


class RunTokens:
    """Makes the tokens of runs, admits who has one, and masks them.

    A look at the run's row admits each call anew, so that nothing has to end a token; `forget_once`
    only tidies up.
    """

    def __init__(
        self, context: Context, leases: Leases, *, entropy: Callable[[int], bytes]
    ) -> None:
        self._ledger = RunTokenLedger(context.ledgers.runs)
        self._key = SecretKey(context)
        self._may_act = leases.may_sweep
        self._entropy = entropy
        self._settings = context.settings
        self._workers = context.workers
        self._lock = Lock()
        # by run id, the tokens to mask: of runs that go on, or left work
        self._texts: dict[str, str] = {}
        # changed in one step, and copied by a builtin: every accept asks for it
        self._masked: list[Secret] = []
        context.adapters.secrets.add(self._masked.copy)
        context.feed.subscribe(self._on_change, (RunTokensChanged, FeedBroke))

    def load(self) -> None:
        """Read the tokens to mask anew; keep them if the database is silent."""
        before = self._texts
        try:
            rows = self._ledger.all()
        except DatabaseSilent:
            return
        found: dict[str, str] = {}
        for row in rows:
            try:
                found[row.run_id] = self._key.unseal(row.sealed)
            except Invalid as problem:
                log.warning("run_token_not_opened", run_id=row.run_id, because=str(problem))
                # known from before another server replaced the key
                if row.run_id in before:
                    found[row.run_id] = before[row.run_id]
        with self._lock:
            # a launch meanwhile may have made one, or replaced one
            made = {one: text for one, text in self._texts.items() if before.get(one) != text}
            self._set(found | made)

    def take(self, run: Run, project: Project, now: datetime) -> str | None:
        """Return the token for a run's agent that is started now, None if it gets none.

        Each start of a run, a follow-up too, gets the same. Raises DatabaseSilent, Invalid.
        """
        if run.issue is None or not gets_token(project):
            return None
        if run.status != Status.STARTING and (known := self._ledger.of_run(run.id)) is not None:
            return self._key.unseal(known.sealed)
        text = f"{TOKEN_BEGINNING}{new_secret(self._entropy)}"
        self._ledger.keep(run, run.issue, hash_of(text), self._key.sealer(text), now)
        # masked before any process has it
        with self._lock:
            self._set({**self._texts, run.id: text})
        return text

    def forget_once(self, now: datetime) -> int:
        """Delete the tokens of runs that are over and left no work. Return how many.

        Of several servers only the one that sweeps does. Raises DatabaseSilent.
        """
        return self._ledger.forget_settled() if self._may_act(now) else 0

    def _set(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self._masked[:] = [Secret("the token of a run", one) for one in texts.values()]

    def holder(self, bearer: str, now: datetime) -> Visitor | None:
        """Return the run whose token this is, None if it is none or its agent is not at work."""
        return self._admitted(self._ledger.held(hash_of(bearer)), now)

    def must_hold(self, own: OwnIssue, now: datetime) -> None:
        """Raise NotSignedIn if the token ended while the body of its call was on the way."""
        token = self._ledger.of_run(own.run_id)
        held = self._ledger.held(token.token_hash) if token else None
        if self._admitted(held, now) is None:
            raise NotSignedIn

    def _admitted(self, held: Held | None, now: datetime) -> Visitor | None:
        if held is None:
            return None
        run, project, issue = held.run, held.project, held.token.issue
        agent = RunAgent(run.agent, run.id)
        is_at_work = run.status in AT_WORK and now < self._last_moment(run)
        if not is_at_work or run.issue != issue or not gets_token(project):
            return None
        return Visitor(
            person_id="",
            name=agent.shown,
            csrf=None,
            organisation_id=project.organisation_id,
            role=Role.VIEWER,
            project_roles={project.id: Role.USER},
            scopes=frozenset({Scope.READ, Scope.REVIEW}),
            projects=frozenset({project.id}),
            token=agent.token_name,
            own_issue=OwnIssue(run.id, project.id, issue),
        )

    def _last_moment(self, run: Run) -> datetime:
        """Return when the agent is ended at the latest, with its grace."""
        began = run.started_at or run.taken_at or run.created_at
        seconds = run.budget_seconds + self._settings.launch_seconds
        deadline = run.deadline or began + timedelta(seconds=seconds)
        return deadline + timedelta(seconds=self._settings.kill_grace_seconds)

    def _on_change(self, _: Numbered) -> None:
        # the feed is held while it calls its listeners
        self._workers.submit(self.load)
