"""The run filters beyond the standard chips: those set, and a form to set more."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlencode

from nicegui import ui

from app.domain.words import Depth
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid

# query parameter, label, and type of the field
FIELDS = (
    ("agent", "Agent", "text"),
    ("tag", "Tag", "text"),
    ("branch", "Branch", "text"),
    ("issue", "Issue", "number"),
    ("target_framework", "Framework", "text"),
    ("batch_id", "Batch", "text"),
    ("created_after", "Created after", "date"),
    ("created_before", "Created before", "date"),
)
DEPTH = "depth_level"


def draw_more_filters(query: Mapping[str, str], shown: Collection[str]) -> None:
    """Draw a removable chip for each filter that is set, and a menu with the fields.

    `shown` are filters that have a button of their own.
    """
    words = {name: word for name, word, _ in FIELDS} | {DEPTH: "Depth"}
    for name, word in words.items():
        if name in query and name not in shown:
            others = {other: value for other, value in query.items() if other != name}
            value = query[name].partition("T")[0] if name.startswith("created_") else query[name]
            words_html = plain_html(f"{word.lower()}: {value}")
            ui.html(
                f'<a class="pick picked" href="{text(address(others))}" data-filter="{name}" '
                f'title="Remove this filter"><span>{words_html}</span>{icon("x", kind="s")}</a>',
                sanitize=clean,
                tag="span",
            )
    with ui.element("button").classes("pick").props("type=button aria-haspopup=menu") as chip:
        testid(chip, "more-filters")
        ui.html("More filters", sanitize=clean, tag="span")
        with ui.menu().classes("menu").props("no-focus"):
            _draw_form(query)


def _draw_form(query: Mapping[str, str]) -> None:
    known = {name for name, _, _ in FIELDS} | {DEPTH}
    # a GET form puts the fields into the address and needs no script
    with ui.element("form").classes("morefilters").props("method=get action=/runs"):
        for name, value in query.items():
            if name not in known:
                made = ui.element("input").props(f"type=hidden name={name}")
                made.props["value"] = value
        for name, word, kind in FIELDS:
            with _label(word):
                field = ui.element("input").props(f"type={kind} name={name} maxlength=200")
                field.props["value"] = query.get(name, "")[: 10 if kind == "date" else None]
        with _label("Depth"), ui.element("select").props(f"name={DEPTH}"):
            for value in ("", *Depth):
                with ui.element("option") as option:
                    option.props["value"] = str(value)
                    if value == query.get(DEPTH, ""):
                        option.props("selected")
                    ui.html(text(value or "any"), sanitize=clean, tag="span")
        with ui.element("button").classes("btn pri").props("type=submit"):
            ui.html("Show", sanitize=clean, tag="span")


def _label(word: str) -> ui.element:
    label = ui.element("label")
    with label:
        ui.html(text(word), sanitize=clean, tag="span")
    return label


def address(query: Mapping[str, str]) -> str:
    """Return the path of the list with these filters."""
    return "/runs" + (f"?{urlencode(query)}" if query else "")
