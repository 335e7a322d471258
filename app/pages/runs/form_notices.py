"""Notices around the run form: limits, and why a submit failed; and the keeper of its draft."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.api.schemas import BranchOut, UsageLimit
from app.domain.quota import Counted, QuotaBanner
from app.pages.components.banners import limits_html, own_limit_html, quota_words_html
from app.pages.components.browser import detail_of
from app.pages.components.buttons import button
from app.pages.components.chips import correlation_chip_html
from app.pages.components.countdown import until_html
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.projects.card import held_words_html
from app.pages.shell.page_session import PageSession
from app.state.runs.form_draft import FormDraft
from app.state.runs.lock_wait import LockWait
from app.state.runs.run_form import RunForm, Trouble, TroubleKind

WAITS = "Waiting: the run starts by itself when the branch is free."
WAIT_TITLE = "Sends the same form again by itself, once, when the branch is free"
Notice = QuotaBanner | Trouble | UsageLimit


class RunFormNotices:
    """The form's places for notices; at most one quota banner at a time."""

    def __init__(
        self,
        session: PageSession,
        form: RunForm,
        lock: LockWait,
        retry: Callable[[], Awaitable[None]],
        reset: Callable[[], None],
    ) -> None:
        self._session, self._form, self._lock = session, form, lock
        self._wait: ui.button | None = None
        self._retry, self._reset = retry, reset
        self._degraded = ui.html("", sanitize=clean).classes("banners")
        self._note = ui.element("div").classes("banners")
        self._held = ui.element("div").classes("banners")
        self._quota = ui.element("div").classes("banners")
        self._seen: dict[ui.element, object] = {}

    def draw_trouble(self) -> None:
        """Draw the place for errors, inside the form."""
        self._trouble = ui.element("div").props("role=alert")

    def draw_rate_limit(self) -> None:
        """Draw the place for a rate limit, below the form."""
        self._limit = ui.element("div").classes("banners").props("role=alert")

    def refresh(self, now: datetime) -> None:
        """Update the notices from the form's state."""
        self._degraded.set_content(limits_html(self._session.system))
        banner = self._form.banner(now)
        self._put(self._held, self._form.held(now), now)
        self._put(self._quota, banner if isinstance(banner, QuotaBanner) else None, now)
        self._put(self._limit, banner if isinstance(banner, Trouble) else None, now)
        self._put(self._trouble, self._form.inline(), now)
        self.show_wait()

    def show_wait(self) -> None:
        """Show whether the form is waiting for its branch, if a run holds it."""
        if self._wait is None or self._wait.is_deleted:
            return
        is_on = self._lock.is_on
        self._waits.set_text(WAITS if is_on else "")
        self._wait.set_text("Stop waiting" if is_on else "Wait")
        self._wait.props["title"] = "" if is_on else WAIT_TITLE
        if is_on:
            self._waits.run_method("scrollIntoView", {"block": "nearest"})

    def show_return(self) -> None:
        """Show that the form was restored, and offer to reset it."""
        self._note.clear()
        with self._note, testid(ui.element("div").classes("banner"), "form-restored"):
            ui.label("Your form is back as you left it. Run sends the same key.")
            ui.element("span").classes("sp")
            button("Reset form", self._reset, kind="small", mark="form-reset")

    def hide_note(self) -> None:
        """Remove the note about a restored form."""
        self._note.clear()

    def _put(self, place: ui.element, notice: Notice | None, now: datetime) -> None:
        if self._seen.get(place) == notice:
            return
        self._seen[place] = notice
        place.clear()
        with place:
            if isinstance(notice, QuotaBanner):
                self._show_quota(notice, now)
            elif isinstance(notice, UsageLimit):
                self._show_held(notice, now)
            elif notice is not None and notice.kind is TroubleKind.RATE_LIMITED:
                self._show_limit(notice, now)
            elif notice is not None:
                self._show_trouble(notice)

    def _show_held(self, limit: UsageLimit, now: datetime) -> None:
        left = f" · {until_html(limit.until, now)}" if limit.until else ""
        html = (
            f'<span>{held_words_html(limit)}</span><span class="sp"></span>'
            f"<span>Usage limit{left}</span>"
        )
        testid(ui.html(html, sanitize=clean), "account-held").classes("banner wait")

    def _show_quota(self, banner: QuotaBanner, now: datetime) -> None:
        words, tone = quota_words_html(banner, now)
        testid(ui.html(f"<span>{words}</span>", sanitize=clean), "quota-banner").classes(
            f"banner {tone}"
        )
        self._show_owner()

    def _show_limit(self, trouble: Trouble, now: datetime) -> None:
        left = until_html(trouble.until, now) if trouble.until else "a while"
        chip = correlation_chip_html(trouble.correlation_id)
        html = f'<span>Rate limit reached. Retry in {left}.</span><span class="sp"></span>{chip}'
        testid(ui.html(html, sanitize=clean), "rate-limit-banner").classes("banner stop")
        self._show_owner()
        self._limit.run_method("scrollIntoView", {"block": "nearest"})

    def _show_owner(self) -> None:
        # a separate line, because the wording of the sentences is fixed
        if self._form.quota is not None:
            ui.html(own_limit_html(Counted.RUNS, self._form.quota), sanitize=clean)

    def _turn_wait(self) -> None:
        if self._lock.is_on:
            self._lock.cancel()
        else:
            self._lock.begin()
        self.show_wait()

    def _show_trouble(self, trouble: Trouble) -> None:
        with testid(ui.element("div").classes("trouble"), "form-error") as box:
            box.props["data-error"] = str(trouble.kind)
            ui.html(_words_html(trouble), sanitize=clean, tag="span").classes("words")
            if trouble.kind is TroubleKind.NO_ANSWER:
                button("Retry", self._retry, kind="small")
            if trouble.kind is TroubleKind.PR_LOCK and trouble.run_id:
                self._waits = ui.label("").classes("waits")
                self._wait = button("Wait", self._turn_wait, kind="small", mark="lock-wait")
            if trouble.kind is TroubleKind.KEY_REUSED:
                button("Reset form", self._reset, kind="small")
            if trouble.correlation_id:
                ui.html(correlation_chip_html(trouble.correlation_id), sanitize=clean, tag="span")
        # in a dialog on a phone it may be below the visible part
        box.run_method("scrollIntoView", {"block": "nearest"})


def _words_html(trouble: Trouble) -> str:
    words = plain_html(trouble.sentence)
    if trouble.change_path:
        return f'{words} <a href="{text(trouble.change_path)}">Open the change</a>'
    if not trouble.run_id:
        return words
    path = f"/runs/{text(trouble.run_id)}"
    if trouble.kind is TroubleKind.PR_LOCK:
        return f'{words}: <a href="{path}?show=pull-request">see the pull request</a>'
    return f'{words} <a href="{path}">Open that run</a>'


class Show(Protocol):
    """Called after the browser's draft has changed the form's state."""

    def __call__(self, *, is_arrival: bool) -> None:
        """Update the view; `is_arrival` if the page was reloaded, not only reconnected."""
        ...


class DraftKeeper:
    """Sends the form's key and sent ids to the browser; restores its draft on load or reconnect.

    A form in a dialog (not `is_page`) opens after the page has loaded and ends with it, so it is
    restored only after a reconnect.
    """

    def __init__(
        self,
        session: PageSession,
        form: RunForm,
        box: ui.element,
        branches: Sequence[BranchOut],
        show: Show,
        *,
        is_page: bool,
    ) -> None:
        self._form, self._box, self._show = form, box, show
        self._branches = [branch.name for branch in branches]
        self._asked, self._is_page = 0, is_page
        box.props["data-draft"] = "form" if is_page else "dialog"
        box.on("draft", self._take, args=["detail"])
        self.on_change()
        if is_page:
            session.on_arrival(self._ask)
        session.on_return(self._ask)

    def on_change(self, *, is_done: bool = False) -> None:
        """Send the form's key and sent ids to the browser; `is_done` deletes its draft."""
        self._box.props["data-draft-key"] = self._form.key
        self._box.props["data-draft-sent"] = " ".join(self._form.sent)
        if is_done:
            self._box.props["data-draft-done"] = "true"

    def _ask(self) -> None:
        if self._box.is_deleted:
            return
        self._asked += 1
        self._box.props["data-draft-asked"] = str(self._asked)

    def _take(self, event: GenericEventArguments) -> None:
        draft = FormDraft.read(detail_of(event.args).get("detail"))
        if draft.take_into(self._form, self._branches, plain):
            self.on_change()
            self._show(is_arrival=self._is_page and self._asked == 1)
