"""The sections of the page of projects: who needs a person, what is running, the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.api.schemas import ProjectOut
from app.domain.projects.tags import has_tag
from app.state.projects.card_words import wants_person

# with more projects, the rest is folded by tag
FOLDERS_ABOVE = 20
UNTAGGED = ""


class Section(StrEnum):
    """The sections in the order of the page, by test id."""

    ATTENTION = "projects-needs-you"
    RUNNING = "projects-running"
    IDLE = "projects-idle"


NAMES = {
    Section.ATTENTION: "Needs attention",
    Section.RUNNING: "Running",
    Section.IDLE: "Idle",
}
# below the groups of the inbox, which have a heading `Needs attention` of their own
NAMES_BELOW = {
    Section.ATTENTION: "Projects that need attention",
    Section.RUNNING: "Running projects",
    Section.IDLE: "Idle projects",
}


def section_of(project: ProjectOut) -> Section:
    """Return the section of a project; one that needs a person is there even while it runs."""
    # a row has no room for the notice and its buttons
    if wants_person(project) or project.sandbox_notice:
        return Section.ATTENTION
    return Section.RUNNING if project.live_runs else Section.IDLE


def sorted_out(projects: Iterable[ProjectOut]) -> dict[Section, list[ProjectOut]]:
    """Return the projects of each section, in the order given."""
    found: dict[Section, list[ProjectOut]] = {section: [] for section in Section}
    for project in projects:
        found[section_of(project)].append(project)
    return found


def in_order(projects: Iterable[ProjectOut]) -> list[ProjectOut]:
    """Return projects section by section."""
    return [project for found in sorted_out(projects).values() for project in found]


@dataclass(frozen=True)
class Folder:
    """Projects that share their first tag; `tag` is empty for those without one."""

    tag: str
    projects: tuple[ProjectOut, ...]

    @property
    def name(self) -> str:
        """The words on the folder."""
        return self.tag or "Without a tag"


def folders_of(projects: Sequence[ProjectOut]) -> list[Folder]:
    """Return folders by first tag in alphabetical order, those without a tag last."""
    spelled: dict[str, str] = {}
    found: dict[str, list[ProjectOut]] = {}
    for project in projects:
        tag = project.tags[0] if project.tags else UNTAGGED
        spelled.setdefault(tag.casefold(), tag)
        found.setdefault(tag.casefold(), []).append(project)
    keys = sorted(found, key=lambda key: (key == UNTAGGED, key))
    return [Folder(spelled[key], tuple(found[key])) for key in keys]


def tags_with_counts(projects: Iterable[ProjectOut]) -> Mapping[str, int]:
    """Return each tag and how many projects have it, in alphabetical order."""
    spelled: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for project in projects:
        for tag in project.tags:
            spelled.setdefault(tag.casefold(), tag)
            counts[tag.casefold()] += 1
    return {spelled[key]: counts[key] for key in sorted(counts)}


def with_tag(projects: Iterable[ProjectOut], tag: str) -> list[ProjectOut]:
    """Return the projects that have a tag; all of them for an empty one."""
    return [project for project in projects if not tag or has_tag(project.tags, tag)]


def held_accounts(projects: Iterable[ProjectOut]) -> Mapping[tuple[str, str], int]:
    """Return how many projects wait for each held account, by agent and family."""
    limits = [p.usage_limit for p in projects if p.usage_limit and p.archived_at is None]
    return Counter((limit.agent, limit.family) for limit in limits)
