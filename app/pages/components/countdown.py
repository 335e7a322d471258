"""Times that tick in the browser on the server's clock (assets/clock.js), without server timers.

When a countdown ends, its `<time>` fires the bubbling event `over`: `ui.html(until_html(...),
sanitize=clean).on("over", handler)`.
"""

from __future__ import annotations

from datetime import datetime

from app.domain.formatting import iso
from app.domain.text.durations import ago_words, clock_words
from app.pages.components.markup import text


def _time(kind: str, moment: datetime, words: str, more: str = "") -> str:
    stamp = iso(moment)
    marks = f'data-{kind}="{stamp}" datetime="{stamp}" title="{stamp}"'
    return f"<time {marks}{more}>{text(words)}</time>"


def since_html(moment: datetime, now: datetime, *, of_seconds: float | None = None) -> str:
    """Return the time elapsed since a moment: `06:41`, or `06:41 of 2:00:00`."""
    words, more = clock_words((now - moment).total_seconds()), ""
    if of_seconds is not None:
        words, more = f"{words} of {clock_words(of_seconds)}", f' data-of="{int(of_seconds)}"'
    return _time("since", moment, words, more)


def until_html(moment: datetime, now: datetime) -> str:
    """Return the time left until a moment: `41:08`; screen readers do not read its ticks aloud."""
    return _time("until", moment, clock_words((moment - now).total_seconds()), ' role="timer"')


def ago_html(moment: datetime, now: datetime) -> str:
    """Return the age of a moment: `6 min ago`, with the exact local time as its title."""
    return _time("ago", moment, ago_words((now - moment).total_seconds()))


def day_html(moment: datetime) -> str:
    """Return a time in the reader's zone, with the date unless it is today: `23 Nov 02:00`."""
    return _time("day", moment, f"{moment.day} {moment:%b %H:%M}")


def at_html(moment: datetime, *, with_seconds: bool = False) -> str:
    """Return a time of day in the reader's zone: `14:20`, or `14:02:11`."""
    form = "%H:%M:%S" if with_seconds else "%H:%M"
    return _time("at", moment, moment.strftime(form), " data-full" if with_seconds else "")
