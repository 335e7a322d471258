"""The pane beside the inbox: the selected item, what was done for it, and what to press."""

from __future__ import annotations

from nicegui import ui

from app.api.schemas import ChangeFile, RunCheck
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import ItemKind
from app.domain.text.durations import rough_words, step_words
from app.domain.tracker.merge_waits import WAIT_WORDS, dropped_words
from app.domain.words import CheckStatus
from app.pages.components.countdown import until_html
from app.pages.components.icons import Mark, icon, mark
from app.pages.components.markup import (
    clean,
    coded_html,
    format_markdown,
    plain,
    plain_html,
    text,
)
from app.pages.components.testids import testid
from app.pages.review.inbox_acts import ItemActs, ItemDeeds, may_do
from app.pages.review.inbox_rows import size_html
from app.pages.runs.checks import command_html
from app.pages.shell.page_session import PageSession
from app.state.review.inbox_board import GROUP_NAMES, InboxBoard
from app.state.review.inbox_preview import Preview, read_preview
from app.state.review.inbox_words import cost_of

FILES = 100
SQUARES = 5
CHECK_MARKS: dict[CheckStatus, Mark] = {
    CheckStatus.PASSED: "done",
    CheckStatus.RUNNING: "running",
    CheckStatus.STOPPED: "stopped",
}


class InboxPane:
    """The preview; it follows the board's selection, and shows an item again once it changes."""

    def __init__(self, session: PageSession, board: InboxBoard, deeds: ItemDeeds) -> None:
        self._session, self._board = session, board
        self._shown: InboxItem | None = None
        self._look = session.looker(self._read, self._show_rest)
        with testid(ui.element("aside").classes("pane"), "inbox-preview") as self.element:
            self.element.props["aria-label"] = "Preview"
            with ui.element("div").classes("crumb"):
                self._crumbs = ui.html("", sanitize=clean, tag="span")
                ui.element("span").classes("sp")
                self._place = ui.html("", sanitize=clean, tag="span").classes("num")
            self._title = ui.html("", sanitize=clean, tag="h2").classes("title")
            self._chips = ui.html("", sanitize=clean).classes("chips")
            self._acts = ItemActs(session, board, deeds)
            self._rest = ui.html("", sanitize=clean).classes("rest-of-it")
        self.element.set_visibility(False)

    def follow(self) -> None:
        """Show the selected item, if it is another one or has changed."""
        item = self._board.selected
        self.element.set_visibility(item is not None)
        if item is None:
            self._shown = None
            return
        self._place.set_content(_place_html(self._board, item))
        self._acts.show(item)
        before, self._shown = self._shown, item
        if before == item:
            return
        if before is None or before.id != item.id:
            self._rest.set_content(LOADING)
        self._show_head(item, None)
        self._session.start(self._look())

    def _show_head(self, item: InboxItem, preview: Preview | None) -> None:
        self._crumbs.set_content(crumbs_html(item, self._session))
        self._title.set_content(plain_html(plain(item.title)))
        self._chips.set_content(chips_html(item, preview))

    async def _read(self) -> tuple[Preview, str] | None:
        item = self._board.selected
        if item is None:
            return None
        preview = await read_preview(self._session.api, item)
        return preview, await format_markdown(preview.summary) if preview.summary else ""

    def _show_rest(self, found: tuple[Preview, str] | None) -> None:
        if found is None or self._shown is None or found[0].item.id != self._shown.id:
            return
        preview, summary = found
        self._show_head(preview.item, preview)
        self._rest.set_content(rest_html(preview, summary, self._session))


LOADING = '<div class="loading" aria-hidden="true"><i></i><i></i><i></i></div>'


def _place_html(board: InboxBoard, item: InboxItem) -> str:
    place, count = board.place_of(item)
    return f"{place} of {count}" if place else ""


def crumbs_html(item: InboxItem, session: PageSession) -> str:
    """Return where an item belongs: its project, and its issue or group."""
    project = session.board.get(item.project_id) if item.project_id else None
    step = icon("chevron-right", kind="s")
    parts: list[str] = []
    if project is not None:
        path = f"/projects/{text(project.id)}"
        parts.append(f'<a href="{path}">{plain_html(project.name)}</a>')
        if item.issue is not None:
            parts.append(f'<a href="{path}/issues/{item.issue}">Issue #{item.issue}</a>')
    return step.join(parts) or text(GROUP_NAMES[item.group])


def chips_html(item: InboxItem, preview: Preview | None) -> str:
    """Return the facts under a title; those of the run once it has been read."""
    chips: list[str] = []
    facts, run = item.facts, preview.run if preview else None
    if facts is not None:
        arrow = icon("arrow-right", kind="s")
        branches = f"{plain_html(facts.branch)} {arrow} {plain_html(facts.base)}"
        chips.append(f'<span class="chip m">{icon("git-branch", kind="s")}{branches}</span>')
    if item.run_id is not None:
        words = "Run"
        if run is not None and run.started_at and run.ended_at:
            words = f"Run, {rough_words((run.ended_at - run.started_at).total_seconds())}"
        chips.append(
            f'<a class="chip" href="/runs/{text(item.run_id)}">{icon("play", kind="s")}{words}</a>'
        )
    agent = facts.agent if facts else run.agent if run else None
    model = facts.model if facts else run.model if run else None
    if agent:
        named = " · ".join(plain_html(one) for one in (agent, model) if one)
        chips.append(f'<span class="chip">{named}</span>')
    if facts and (cost := cost_of(facts)):
        chips.append(f'<span class="chip">{text(cost)}</span>')
    if run is not None and run.provenance.sandbox:
        level = plain_html(run.provenance.sandbox)
        chips.append(f'<span class="chip">{icon("shield-check", kind="s")}{level}</span>')
    return "".join(chips)


def rest_html(preview: Preview, summary: str, session: PageSession) -> str:
    """Return what is below the buttons: what was done, checks, files, or what happened."""
    item = preview.item
    parts: list[str] = []
    if item.facts is None:
        parts += ["<h3>What happened</h3>", _happened_html(item, session)]
    elif item.facts.conflicts:
        files = plain_html(", ".join(item.facts.conflicts))
        parts.append(f'<div class="banner wait">Conflicts in {files}.</div>')
    elif item.facts.merge_waits is not None:
        parts.append(f"<p>{WAIT_WORDS[item.facts.merge_waits]}.</p>")
    elif item.facts.merge_note is not None:
        words = plain_html(dropped_words(item.facts.merge_note))
        parts.append(f'<div class="banner wait">{words}</div>')
    if summary:
        parts += ["<h3>What the agent did</h3>", summary]
    if preview.checks:
        parts.append(_checks_html(preview.checks))
    if preview.files is not None:
        parts.append(_files_html(preview.files, item))
    if preview.lines:
        lines = "\n".join(map(plain_html, preview.lines))
        parts.append(f'<h3>Last lines</h3><pre class="out" tabindex="0">{lines}</pre>')
    return "".join(parts)


def _happened_html(item: InboxItem, session: PageSession) -> str:
    more = f" Resumes in {until_html(item.until, session.now())}." if item.until else ""
    end = "" if item.action.endswith("…") else "."
    press = f"Press <b>{text(item.action)}</b>{end} " if item.action != "Open" else ""
    said = f"<p>{coded_html(item.sentence)}{more}</p>"
    if not may_do(session, item):
        return said + (f'<p class="sub">{NEXT[item.kind]}</p>' if item.kind in _FACTS else "")
    is_forge = item.kind is ItemKind.REPOSITORY_UNREACHABLE and item.project_id is None
    then = "Give the forge another token there." if is_forge else NEXT[item.kind]
    if item.kind is ItemKind.APPROVAL and item.issue is not None:
        then = "Read the text: once you approve it, the issue starts by itself."
    if item.approval is not None:
        then = "To reject it, open it and say why."
    return f'{said}<p class="sub">{press}{text(then)}</p>'


# of these, the sentence says how things stand, not what to do
_FACTS = (ItemKind.PUSH_REFUSED, ItemKind.SANDBOX_UNAVAILABLE, ItemKind.QUESTION)
NEXT = {
    ItemKind.PAUSED: "It clears the failures, and the loop starts runs again.",
    ItemKind.ACCOUNT_LIMIT: "The next run tries the account at once; otherwise they go on then.",
    ItemKind.REPOSITORY_UNREACHABLE: "Say where the repository is now.",
    ItemKind.REPOSITORY_BROKEN: "Say where the repository is now.",
    ItemKind.PUSH_REFUSED: "The commits are kept until they are pushed or discarded.",
    ItemKind.SECRET_FOUND: "Nothing was pushed. Look at the commits and decide on the run's page.",
    ItemKind.SANDBOX_UNAVAILABLE: "Runs of this project start once its sandbox can.",
    ItemKind.CHECKS_FAILED: "The commits are kept. Retry starts a run from them.",
    ItemKind.CHECKS_ERROR: "The loop starts runs again, and the check is tried with the next.",
    ItemKind.QUESTION: "The agent waits for the answer.",
    ItemKind.APPROVAL: "See what changed there: auto runs start again once you trust it.",
    ItemKind.QUARANTINED: "Runyard takes the step once more.",
    ItemKind.NOTIFICATIONS_FAILING: "See which receiver does not answer, and send a test.",
    ItemKind.DISK_LOW: "See what takes the space. Runs wait while there is too little.",
    ItemKind.CHANGE: "",
    ItemKind.PARKED: "Deliver, continue or discard the kept work on the run's page.",
}


def _checks_html(checks: list[RunCheck]) -> str:
    red = [one for one in checks if one.status is not CheckStatus.PASSED]
    said = f"{len(red)} of {len(checks)} did not pass" if red else f"all {len(checks)} passed"
    rows = "".join(
        f'<div class="ln">{mark(CHECK_MARKS.get(one.status, "fail"))}'
        f'<b>{plain_html(one.name)}</b>{command_html(one)}<span class="sp"></span>'
        f'<span class="mut clip">{plain_html(_because(one))}</span>'
        f'<span class="mut num">{step_words(one.seconds) if one.seconds is not None else ""}</span>'
        "</div>"
        for one in checks
    )
    tone = "cs" if red else "cg"
    return f'<h3>Checks <span class="{tone}">{said}</span></h3><div class="blk">{rows}</div>'


def _because(check: RunCheck) -> str:
    if check.status is CheckStatus.PASSED:
        return "" if check.required else "not required"
    return check.because or str(check.status).replace("_", " ")


def _files_html(files: list[ChangeFile], item: InboxItem) -> str:
    facts = item.facts
    sums = size_html(facts.additions, facts.deletions) if facts else ""
    rows = "".join(map(_file_html, files[:FILES]))
    if len(files) > FILES:
        rows += f'<div class="ln mut">and {len(files) - FILES} more</div>'
    head = f'<h3>Files <span class="mut">{len(files)} changed</span> {sums}</h3>'
    return f'{head}<div class="blk">{rows}</div>' if files else f"{head}"


def _file_html(one: ChangeFile) -> str:
    name = f'<span class="m clip" title="{plain_html(one.path)}">{plain_html(one.path)}</span>'
    if one.additions is None or one.deletions is None:
        size = '<span class="mut">binary</span>'
    else:
        sums = one.additions, one.deletions
        size = size_html(*sums) + _squares_html(*sums)
    sign = icon("file-code", kind="s")
    return f'<div class="ln">{sign}{name}<span class="sp"></span>{size}</div>'


def _squares_html(additions: int, deletions: int) -> str:
    both = additions + deletions
    red = round(SQUARES * deletions / both) if both else 0
    red = max(red, 1) if deletions else 0
    red = min(red, SQUARES - 1) if additions else red
    squares = ['<i class="a"></i>'] * (SQUARES - red if both else 0) + ['<i class="d"></i>'] * red
    return f'<span class="sq" aria-hidden="true">{"".join(squares)}</span>'
