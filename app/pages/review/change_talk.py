"""The Conversation of a change: what its agent said, what people asked for, and what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeCommentOut, ChangeOut, CommitOut, RequestOut, RunItem
from app.domain.words import CheckStatus, Phase
from app.pages.components.buttons import button
from app.pages.components.countdown import day_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.change_dialogs import say_sent, send_to_agent
from app.pages.review.change_view import ChangeView
from app.pages.shell.page_session import PageSession
from app.state.review.change_asks import AskedChange, too_late_words
from app.state.review.change_words import RED, run_facts

# of icons in lines
TONES = {"circle-check": "s go", "circle-alert": "s stop", "git-merge": "s go"}
# commits that a line of the conversation names
NAMED = 5


@dataclass(frozen=True)
class Entry:
    """One entry of the conversation; `kind` is summary, request or line."""

    at: datetime
    kind: str
    html: str


class Conversation:
    """The entries in the order of time, updated in place, and the box to write to the agent."""

    def __init__(self, session: PageSession, asked: Callable[[], AskedChange]) -> None:
        self._session = session
        self._drawn: list[ui.html] = []
        self._entries = ui.element("div").classes("talk")
        self._write: WriteBox | None = None
        if session.may("request_changes", asked().project_id):
            self._write = WriteBox(session, asked)

    def show(self, view: ChangeView) -> None:
        """Show the entries, those that are new at their place."""
        entries = sorted(entries_of(view), key=lambda one: one.at)
        while len(self._drawn) > len(entries):
            self._drawn.pop().delete()
        with self._entries:
            while len(self._drawn) < len(entries):
                self._drawn.append(ui.html("", sanitize=clean))
        for element, entry in zip(self._drawn, entries, strict=True):
            element.classes(replace=f"talk-{entry.kind}")
            element.set_content(entry.html)
        if self._write is not None:
            self._write.show(view.snapshot.change)


class WriteBox:
    """`Write to the agent…`: a request for changes in words, from the page itself."""

    def __init__(self, session: PageSession, asked: Callable[[], AskedChange]) -> None:
        self._session, self._asked = session, asked
        self._sent: tuple[str, str] | None = None  # the words, and their key until they arrived
        with ui.element("div").classes("write-box") as self._box:
            self._text = ui.textarea(placeholder="Write to the agent…").props("outlined autogrow")
            self._text.classes("in").props["aria-label"] = "Write to the agent"
            self._text.props["data-typed"] = "request"
            self._text.props["data-key"] = "c"
            testid(self._text, "change-write")
            with ui.element("div").classes("foot"):
                self._why = ui.html("", sanitize=clean, tag="span").classes("sub")
                ui.element("span").classes("sp")
                self._button = button(
                    "Send to agent", self._send, kind="small", mark="change-write-send"
                )
        for keys in ("keydown.ctrl.enter", "keydown.meta.enter"):
            self._text.on(keys, self._send)
        # assets/typed.js brings words back into a box that is hidden
        self._text.on_value_change(self._show_words)

    @property
    def _words(self) -> str:
        return (self._text.value or "").strip()

    def _show_words(self) -> None:
        if self._words:
            self._box.set_visibility(True)

    def show(self, change: ChangeOut) -> None:
        """Show the box while an agent may work on the change, and words that came too late."""
        is_open = change.state == "open" and change.reverts is None
        self._box.set_visibility(is_open or bool(self._words))
        self._button.set_visibility(is_open)
        drafts = self._asked().drafts
        also = f"With your {counted(drafts, 'line comment')}." if drafts else ""
        self._why.set_content(text(also if is_open else too_late_words(change.state)))

    async def _send(self) -> None:
        words = self._words
        if not self._button.enabled:
            return
        if self._sent is None or self._sent[0] != words:
            self._sent = words, str(uuid.uuid4())
        self._button.set_enabled(False)
        try:
            run = await send_to_agent(self._session, self._asked(), words, self._sent[1])
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._sent = None
            self._text.set_value("")
            say_sent(self._session, run)
        finally:
            self._button.set_enabled(True)


def entries_of(view: ChangeView) -> Iterator[Entry]:
    """Yield what was said and done on a change, a request before the run that it began."""
    snapshot = view.snapshot
    for request in snapshot.requests:
        yield _request(view, request)
    for run in snapshot.runs:
        if run is not snapshot.first:
            yield _line(run.created_at, "play", _follow_up(run))
        if run.ended_at is not None:
            yield from _ended(view, run, run.ended_at)
    change = snapshot.change
    if change.reverts is not None:
        yield _line(change.created_at, "git-merge", f"Opened to take back change {change.reverts}")
    if change.ended_at is not None and change.state == "merged":
        sha = f" as {change.merged_sha[:7]}" if change.merged_sha else ""
        yield _line(change.ended_at, "git-merge", f"Merged into {change.base}{sha}")
    elif change.ended_at is not None:
        why = f": {change.closed_because}" if change.closed_because else ""
        yield _line(change.ended_at, "circle-slash", f"Closed without merging{why}")


def _ended(view: ChangeView, run: RunItem, at: datetime) -> Iterator[Entry]:
    snapshot = view.snapshot
    said = snapshot.reports[run.id].final_message if run.id in snapshot.reports else None
    if said:
        is_first = run is snapshot.first
        yield Entry(
            at,
            "summary",
            _block(
                run.agent,
                "summed up the run" if is_first else "answered",
                at,
                f'<div class="bb">{view.prose_of(said)}</div>',
                mark="change-summary" if is_first else "",
            ),
        )
    if commits := snapshot.made_by(run):
        yield _fact(at, "git-branch", _commits_html(commits))
    checks = snapshot.checks.get(run.id, [])
    last = max((one.round for one in checks), default=0)
    for sign, head, is_red in (
        ("circle-check", "Checks passed", False),
        ("circle-alert", "Checks failed", True),
    ):
        named = [
            one.name
            for one in checks
            if one.round == last
            and (one.status in RED) is is_red
            and one.status is not CheckStatus.RUNNING
        ]
        if named:
            ended = max((one.ended_at or at for one in checks), default=at)
            yield _line(max(ended, at), sign, f"{head}: {', '.join(named)}")


def _request(view: ChangeView, request: RequestOut) -> Entry:
    sent = view.snapshot.sent_with(request)
    text_html = f'<div class="bb">{view.prose_of(request.text)}</div>' if request.text else ""
    rows = "".join(_comment_html(view, one) for one in sent)
    what = f"sent {counted(len(sent), 'comment')} to the agent" if sent else "wrote to the agent"
    who = request.author or "Somebody"
    html = _block(who, what, request.at, text_html + rows, sign="user")
    return Entry(request.at, "request", html)


def _comment_html(view: ChangeView, comment: ChangeCommentOut) -> str:
    place = ""
    if comment.file is not None:
        name = comment.file.rsplit("/", 1)[-1]
        line = f":{comment.line}" if comment.line is not None else ""
        title = plain_html(comment.file)
        place = f'<span class="m" title="{title}">{plain_html(name + line)}</span>'
    sha = view.snapshot.done.get(comment.id, "")
    done = f'<span class="done">Done in {text(sha[:7])}</span>' if sha else ""
    return f'<div class="said-row">{place}<div>{view.prose_of(comment.text)}</div>{done}</div>'


def _follow_up(run: RunItem) -> str:
    words = f"Follow-up run on the same branch, {run.label}"
    return f"{words}, {run_facts(run)}" if run.phase is Phase.DONE else words


def _commits_html(commits: Sequence[CommitOut]) -> str:
    named = ", ".join(
        f'<span class="m">{text(one.sha[:7])}</span> {plain_html(one.subject)}'
        for one in commits[:NAMED]
    )
    more = f" and {len(commits) - NAMED} more" if len(commits) > NAMED else ""
    return f"{counted(len(commits), 'commit')}: {named}{more}"


def _block(
    who: str, what: str, at: datetime, inner: str, *, mark: str = "", sign: str = "bot"
) -> str:
    testid = f' data-testid="{mark}"' if mark else ""
    return (
        f'<div class="blk"{testid}><div class="bh"><span class="who">{icon(sign, kind="s")}</span>'
        f"<b>{plain_html(who)}</b> "
        f'<span class="sub">{text(what)}</span><span class="sp"></span>'
        f'<span class="sub">{day_html(at)}</span></div>{inner}</div>'
    )


def _line(at: datetime, sign: str, words: str) -> Entry:
    return _fact(at, sign, plain_html(words))


def _fact(at: datetime, sign: str, html: str) -> Entry:
    return Entry(
        at,
        "line",
        f'<div class="talk-fact">{icon(sign, kind=TONES.get(sign, "s"))}'
        f'<span>{html}</span><span class="sp"></span>'
        f'<span class="sub">{day_html(at)}</span></div>',
    )
