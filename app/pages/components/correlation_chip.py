"""CorrelationChip: the id that ties a click to its log lines; a click copies the whole of it."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.markup import clean, text


def short(id_: str) -> str:
    """First four and last two characters: `01HF…9Q`."""
    return id_ if len(id_) <= 8 else f"{id_[:4]}…{id_[-2:]}"


def copy_chip_html(words: str, whole: str, *, testid: str = "", about: str = "") -> str:
    """A chip that shows `words` and copies `whole`; `about` names it for a screen reader."""
    mark = f' data-testid="{text(testid)}"' if testid else ""
    label = f' aria-label="{text(f"Copy {about} {whole}")}"' if about else ""
    return (
        f'<button type="button" class="chip" data-copy="{text(whole)}" title="{text(whole)}"'
        f"{mark}{label}>{text(words)}</button>"
    )


def correlation_chip_html(correlation_id: str) -> str:
    """`corr 01HF…9Q` as markup."""
    return copy_chip_html(
        f"corr {short(correlation_id)}",
        correlation_id,
        testid="correlation-chip",
        about="correlation id",
    )


def correlation_chip(correlation_id: str) -> ui.html:
    """`corr 01HF…9Q` as an element."""
    return ui.html(correlation_chip_html(correlation_id), sanitize=clean, tag="span")
