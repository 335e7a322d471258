"""The answer to one approval: a comment, Approve and Reject, with refusals right below."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ApprovalOut
from app.domain.projects.approvals import MOST_WORDS, ApprovalState
from app.pages.components.buttons import button
from app.pages.components.chips import correlation_chip_html
from app.pages.components.countdown import day_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.approvals.approval_words import comments_of, ended_words, needs_words

NO_ANSWER = "The server did not answer. Try again."


class ApprovalAnswers:
    """The comment field with both buttons; a refusal stands below them."""

    def __init__(self, session: PageSession, answered: Callable[[], Awaitable[None]]) -> None:
        self._session, self._answered = session, answered
        self._approval: ApprovalOut | None = None
        with ui.element("div").classes("answers") as self.element:
            self._comment = ui.input(placeholder="Comment, needed to reject").classes("in when")
            self._comment.props(f"outlined dense hide-bottom-space maxlength={MOST_WORDS}")
            self._comment.props('aria-label="Comment"')
            testid(self._comment, "approval-comment")
            self._approve = button("Approve", self._on_approve, kind="small", mark="approve")
            self._reject = button("Reject", self._on_reject, kind="small danger", mark="reject")
            self._error = ui.html("", sanitize=clean).classes("wrong").props("role=alert")
            testid(self._error, "approval-error").set_visibility(False)

    def show(self, approval: ApprovalOut) -> None:
        """Offer to answer this approval; what was typed stays."""
        self.element.set_visibility(True)
        if self._approval is not None and self._approval.id != approval.id:
            self._comment.set_value("")
            self._refuse("")
        self._approval = approval

    async def _on_approve(self) -> None:
        await self._answer(self._session.api.approve)

    async def _on_reject(self) -> None:
        await self._answer(self._session.api.reject)

    async def _answer(self, send: Callable[[str, str], Awaitable[ApprovalOut]]) -> None:
        approval = self._approval
        if approval is None:
            return
        for each in (self._approve, self._reject):
            each.set_enabled(False)
        try:
            await send(approval.id, (self._comment.value or "").strip())
        except ApiProblem as problem:
            self._refuse(plain_html(problem.detail) + _chip_of(problem))
        except NoAnswer:
            self._refuse(text(NO_ANSWER))
        else:
            self._comment.set_value("")
            self._refuse("")
            await self._answered()
        finally:
            for each in (self._approve, self._reject):
                each.set_enabled(True)

    def _refuse(self, html: str) -> None:
        self._error.set_content(html)
        self._error.set_visibility(bool(html))


class ApprovalBox:
    """A banner on the page of a run or a change: what it waits for, and the answer to that."""

    def __init__(
        self, session: PageSession, project_id: str, answered: Callable[[], Awaitable[None]]
    ) -> None:
        with ui.element("div").classes("banner approval") as self._box:
            testid(self._box, "approval")
            self._words = ui.html("", sanitize=clean).classes("grow")
            self._answers = session.offer(
                "approve", project_id, lambda: ApprovalAnswers(session, answered)
            )
        self._box.set_visibility(False)

    def show(self, approval: ApprovalOut | None) -> None:
        """Show an approval that is pending or refused; hide for every other one."""
        is_pending = approval is not None and approval.state is ApprovalState.PENDING
        is_refused = approval is not None and approval.state is ApprovalState.REJECTED
        self._box.set_visibility(is_pending or is_refused)
        if approval is None:
            return
        testid(self._box, "approval", id=approval.id, state=approval.state)
        if not is_pending:
            self._answers.element.set_visibility(False)
        self._words.set_content(box_html(approval) if is_pending else "")
        if is_pending:
            self._answers.show(approval)
        else:
            self._words.set_content(f"<b>{plain_html(ended_words(approval))}</b>")


def box_html(approval: ApprovalOut) -> str:
    """Return what an approval is about, what was said, and until when it may be answered."""
    said = "".join(f"<div>{plain_html(one)}</div>" for one in comments_of(approval))
    until = day_html(approval.expires_at)
    return f"<b>{text(needs_words(approval))}</b>{said}<div>Expires {until}.</div>"


def _chip_of(problem: ApiProblem) -> str:
    # an expected refusal says all there is to say
    return f" {correlation_chip_html(problem.correlation_id)}" if problem.status >= 500 else ""
