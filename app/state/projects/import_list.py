"""The repositories of a forge that a person chooses from, and adds as projects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import HostedOut, NewProject, ProjectOut
from app.domain.names import MAX_NAME
from app.state.page.refused_input import blamed_by

PART = 100
ADDING = "Adding…"


@dataclass
class ImportRow:
    """A repository; `said` is what became of it, `project_id` the project that it is."""

    found: HostedOut
    project_id: str | None
    said: str = ""
    is_refused: bool = False

    @property
    def may_add(self) -> bool:
        """True if it can be chosen."""
        return self.project_id is None and self.found.because is None


class ImportList:
    """The list with its filter and what is chosen; refused ones stay chosen."""

    def __init__(self) -> None:
        self.text = ""
        self.limit = PART
        self.is_adding = False
        self.added = self.asked = 0
        self._rows: dict[str, ImportRow] = {}
        self._chosen: set[str] = set()

    def load(self, found: Sequence[HostedOut]) -> None:
        """Take the repositories as the forge shows them now."""
        self._rows = {one.full_name: ImportRow(one, one.project_id) for one in found}
        self._chosen &= {name for name, row in self._rows.items() if row.may_add}

    @property
    def matching(self) -> list[ImportRow]:
        """The rows that the filter lets through, those that can be added first."""
        asked = self.text.strip().casefold()
        rows = [row for name, row in self._rows.items() if asked in name.casefold()]
        return sorted(rows, key=lambda row: not row.may_add and not row.said)

    @property
    def shown(self) -> list[ImportRow]:
        """The rows of the list as far as it is shown."""
        return self.matching[: self.limit]

    @property
    def chosen(self) -> list[ImportRow]:
        """The chosen rows, by name."""
        return [row for name, row in self._rows.items() if name in self._chosen]

    @property
    def count(self) -> int:
        """How many repositories there are."""
        return len(self._rows)

    def is_chosen(self, name: str) -> bool:
        """Return True if this repository is chosen."""
        return name in self._chosen

    def choose(self, name: str, *, is_chosen: bool) -> None:
        """Choose a repository that can be added, or not any more."""
        row = self._rows.get(name)
        if row is None or not row.may_add or self.is_adding:
            return
        (self._chosen.add if is_chosen else self._chosen.discard)(name)

    def choose_matching(self) -> None:
        """Choose all that the filter lets through; again: none of them."""
        names = {row.found.full_name for row in self.matching if row.may_add}
        self._chosen = self._chosen - names if names <= self._chosen else self._chosen | names

    async def add(
        self,
        forge: str,
        agent: str,
        taken: Collection[str],
        send: Callable[[NewProject], Awaitable[ProjectOut]],
        show: Callable[[], object],
    ) -> None:
        """Add the chosen ones, one after the other; a refusal stands in its row."""
        rows = self.chosen
        self.is_adding, self.added, self.asked = True, 0, len(rows)
        names = {one.casefold() for one in taken}
        try:
            for row in rows:
                row.said, row.is_refused = ADDING, False
                show()
                name = name_of(row.found.full_name, names)
                given = {"name": name, "origin": row.found.clone_url, "tracker": forge}
                order = NewProject.model_validate(given | ({"agent": agent} if agent else {}))
                try:
                    project = await send(order)
                except (ApiProblem, NoAnswer) as problem:
                    row.said, row.is_refused = _words(problem), True
                else:
                    row.project_id, row.said = project.id, f"Added as {project.name}"
                    names.add(project.name.casefold())
                    self.added += 1
                    self._chosen.discard(row.found.full_name)
        finally:
            self.is_adding = False
            show()


def name_of(full_name: str, taken: Collection[str]) -> str:
    """Return the name of a repository's project: with its owner if the short one is taken."""
    owner, _, name = full_name.partition("/")
    short = name[:MAX_NAME]
    return f"{owner}-{name}"[:MAX_NAME] if short.casefold() in taken else short


def _words(problem: ApiProblem | NoAnswer) -> str:
    if isinstance(problem, NoAnswer):
        return str(problem)
    return " ".join(blamed_by(problem).values()) or problem.detail
