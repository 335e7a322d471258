"""The sections of the page of projects: their headings, and the boxes that hold cards and rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, unquote

from nicegui import ui

from app.api.schemas import ProjectOut
from app.pages.components.markup import clean, plain, plain_html
from app.pages.components.testids import testid
from app.pages.projects.row import heads_html
from app.pages.shell.page_session import PageSession
from app.state.projects.sections import (
    FOLDERS_ABOVE,
    NAMES,
    Folder,
    Section,
    folders_of,
    sorted_out,
    tags_with_counts,
)

FOLDED = "runyard_folded"
# the folded tags are kept by the browser, for a year and for every page
KEEP = (
    "() => { const shut = [...document.querySelectorAll('details[data-tag]:not([open])')]"
    ".map((one) => encodeURIComponent(one.dataset.tag)).join(',');"
    f" document.cookie = '{FOLDED}=' + shut + ';path=/;max-age=31536000;samesite=strict'; }}"
)
Placed = tuple[ui.element, Sequence[ProjectOut]]


class Sections:
    """The boxes of a page, in its order; those without a project are hidden."""

    def __init__(self, session: PageSession, names: Mapping[Section, str] = NAMES) -> None:
        self._names = names
        kept = session.client.request.cookies.get(FOLDED, "")
        self._folded = {unquote(tag) for tag in kept.split(",")} if kept else set[str]()
        self._parts: dict[Section, tuple[ui.element, ui.html, ui.element]] = {}
        self._folders: dict[str, tuple[ui.element, ui.html, ui.element]] = {}
        for section in Section:
            self._parts[section] = self._draw(section)

    def _draw(self, section: Section) -> tuple[ui.element, ui.html, ui.element]:
        with testid(ui.element("section").classes("projects"), section) as part:
            heading = ui.html("", sanitize=clean, tag="h2").classes("group")
            if section is not Section.IDLE:
                return part, heading, ui.element("div").classes("cards")
            with ui.element("div").classes("project-rows"):
                ui.html(heads_html(), sanitize=clean)
                return part, heading, ui.element("div").classes("rows")

    def places(self, projects: Sequence[ProjectOut]) -> Iterator[Placed]:
        """Yield each box with the projects that belong into it."""
        is_folded = len(projects) > FOLDERS_ABOVE and bool(tags_with_counts(projects))
        for section, found in sorted_out(projects).items():
            part, heading, box = self._parts[section]
            part.set_visibility(bool(found))
            heading.set_content(f"{self._names[section]} <span>{len(found)}</span>")
            if section is Section.IDLE:
                folders = folders_of(found) if is_folded else []
                yield box, () if is_folded else found
                yield from self._in_folders(folders, box)
            else:
                yield box, found

    def _in_folders(self, folders: Sequence[Folder], box: ui.element) -> Iterator[Placed]:
        wanted = {folder.tag.casefold() for folder in folders}
        for tag, (part, _, inner) in self._folders.items():
            part.set_visibility(tag in wanted)
            if tag not in wanted:
                yield inner, ()
        for folder in folders:
            part, heading, inner = self._folder(folder.tag, box)
            words = f"{plain_html(folder.name)} <span>{len(folder.projects)}</span>"
            heading.set_content(words)
            yield inner, folder.projects

    def _folder(self, tag: str, box: ui.element) -> tuple[ui.element, ui.html, ui.element]:
        key = tag.casefold()
        if key not in self._folders and box.parent_slot is not None:
            with box.parent_slot, ui.element("details").classes("folder") as part:
                testid(part, "project-folder", tag=plain(tag)).on("toggle", js_handler=KEEP)
                if tag not in self._folded:
                    part.props("open")
                heading = ui.html("", sanitize=clean, tag="summary").classes("group")
                inner = ui.element("div").classes("rows")
            self._folders[key] = part, heading, inner
        return self._folders[key]


def tag_filter_html(projects: Sequence[ProjectOut], chosen: str) -> str:
    """Return the chips of all tags, which lead to their projects; empty without a tag."""
    found = tags_with_counts(projects)
    if not found and not chosen:
        return ""
    counts = {tag: str(count) for tag, count in found.items()}
    if chosen and chosen.casefold() not in {tag.casefold() for tag in counts}:
        counts[chosen] = "0"
    chips = [_chip("/projects", "All", "", is_chosen=not chosen)]
    chips += [
        _chip(f"/projects?tag={quote(tag)}", tag, count, tag.casefold() == chosen.casefold())
        for tag, count in counts.items()
    ]
    marks = 'class="tag-filter" role="navigation" aria-label="Tags" data-testid="tag-filter"'
    return f"<div {marks}>{''.join(chips)}</div>"


def _chip(path: str, words: str, count: str, is_chosen: bool) -> str:
    marks = ' class="chip on" aria-current="true"' if is_chosen else ' class="chip"'
    return f'<a href="{path}"{marks}>{plain_html(words)} <span>{count}</span></a>'
