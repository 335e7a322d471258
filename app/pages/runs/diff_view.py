"""A unified diff as escaped HTML: one foldable part per file, numbered and colored lines."""
# stands alone: drawing lines apart from fetching them keeps both testable

from __future__ import annotations

from app.domain.review.diffs import DiffLine, FileDiff, read_diff
from app.pages.components.markup import plain_html, text

MAX_LINES = 3_000
MAX_LINE_CHARS = 2_000


def diff_html(diff: str, whole_at: str = "") -> str:
    """Return the diff as HTML, at most `MAX_LINES` lines; `whole_at` is the download's address."""
    left, hidden = MAX_LINES, 0
    parts: list[str] = []
    for part in read_diff(diff):
        shown = part.lines[:left]
        left -= len(shown)
        hidden += len(part.lines) - len(shown)
        if shown or left:
            parts.append(_file_html(part, shown))
    if hidden:
        link = f' <a href="{text(whole_at)}" download>The whole diff</a>' if whole_at else ""
        parts.append(f'<p class="sub">… {hidden:,} more lines.{link}</p>')
    return "".join(parts)


def _file_html(part: FileDiff, shown: list[DiffLine]) -> str:
    size = ""
    if part.additions or part.deletions:
        size = f'<b class="add">+{part.additions}</b> <b class="del">−{part.deletions}</b>'
    head = f'<summary><span class="m">{plain_html(part.path or "diff")}</span> {size}</summary>'
    body = "".join(_line_html(line) for line in shown)
    return f'<details class="file" open>{head}<div class="hunks">{body}</div></details>'


def _line_html(line: DiffLine) -> str:
    words = line.words[:MAX_LINE_CHARS]
    cut = (
        f'<i class="cut"> … {len(line.words) - len(words):,} more</i>'
        if words != line.words
        else ""
    )
    marks = f' data-a="{line.before or ""}" data-b="{line.after or ""}"'
    return f'<div class="{line.kind}"{marks}>{plain_html(words)}{cut}\n</div>'
