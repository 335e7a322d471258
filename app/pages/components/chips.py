"""Pills and chips: copyable ids, the live badge, a run's status, the environment."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from app.api.schemas import Provenance
from app.domain.words import Cause, Status
from app.pages.components.countdown import at_html
from app.pages.components.markup import clean, text
from app.pages.shell.theme import look_of

RECONNECT = '<button type="button" class="btn small" data-reconnect hidden>Reconnect</button>'


def short(id_: str) -> str:
    """Return the first four and last two characters of an id: `01HF…9Q`."""
    return id_ if len(id_) <= 8 else f"{id_[:4]}…{id_[-2:]}"


def copy_chip_html(words: str, whole: str, *, testid: str = "", about: str = "") -> str:
    """Return a chip that shows `words` and copies `whole`; `about` is its accessible name."""
    mark = f' data-testid="{text(testid)}"' if testid else ""
    label = f' aria-label="{text(f"Copy {about} {whole}")}"' if about else ""
    return (
        f'<button type="button" class="chip" data-copy="{text(whole)}" title="{text(whole)}"'
        f"{mark}{label}>{text(words)}</button>"
    )


def correlation_chip_html(correlation_id: str) -> str:
    """Return `corr 01HF…9Q` as HTML."""
    return copy_chip_html(
        f"corr {short(correlation_id)}",
        correlation_id,
        testid="correlation-chip",
        about="correlation id",
    )


def correlation_chip(correlation_id: str) -> ui.html:
    """Create `corr 01HF…9Q` as an element."""
    return ui.html(correlation_chip_html(correlation_id), sanitize=clean, tag="span")


def _badge(inner: str, tone: str, live: str) -> str:
    return f'<span class="pill {tone}" data-testid="live-badge" {live}>{inner}</span> {RECONNECT}'


def connection_html() -> str:
    """Return the words of the connection without a test id, for a second place on the page."""
    return f'<span class="pill go" data-live>Live</span> {RECONNECT}'


class LiveBadge:
    """The connection badge of one page.

    Only the browser knows that its connection is lost: assets/clock.js shows and undoes
    `Reconnecting…` and `Manual Reconnect Only`.
    """

    def __init__(self) -> None:
        self.element = ui.html(_badge("Live", "go", "data-live"), sanitize=clean, tag="span")
        self.element.classes("badge")

    def show_synced(self, at: datetime) -> None:
        """Show `Synced at …`: the page's subject has ended and will not change again."""
        self.element.set_content(
            _badge(f"<span>Synced at {at_html(at, with_seconds=True)}</span>", "idle", "")
        )


def pill_html(words: str, tone: str = "", *, testid: str = "", title: str = "") -> str:
    """Return a pill with plain text; `tone` is go, wait, stop, acc or idle."""
    return pill_of(text(words), tone, testid=testid, title=title)


def pill_of(inner_html: str, tone: str = "", *, testid: str = "", title: str = "") -> str:
    """Return a pill around HTML that is already escaped, such as a ticking time."""
    marks = f' data-testid="{text(testid)}"' if testid else ""
    marks += f' title="{text(title)}"' if title else ""
    return f'<span class="pill {text(tone)}"{marks}><span>{inner_html}</span></span>'


def status_pill_html(status: Status, cause: Cause | None = None, *, testid: str = "") -> str:
    """Return a run's status as a pill."""
    look = look_of(status, cause)
    return pill_html(look.word, look.tone, testid=testid)


def env_provenance_html(made: Provenance) -> str:
    """Return two lines: `local · v0.1.0 · 3f9c2e1` and `SQLite · studio-2`."""
    first, second = _env_lines(made)
    return f'<div class="env" data-testid="env-provenance">{text(first)}<br>{text(second)}</div>'


def env_line_html(made: Provenance) -> str:
    """Return the first line only; the second is read aloud and, with it, its title."""
    first, second = _env_lines(made)
    return (
        '<div class="env-line clip" data-testid="env-provenance"'
        f' title="{text(first)} · {text(second)}">'
        f'{text(first)}<span class="sr"> · {text(second)}</span></div>'
    )


def _env_lines(made: Provenance) -> tuple[str, str]:
    first = " · ".join(x for x in (made.environment, f"v{made.version}", made.commit[:7]) if x)
    return first, " · ".join(x for x in (made.database, made.host) if x)
