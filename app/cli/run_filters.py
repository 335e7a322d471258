"""The filters of `runyard runs list`, each of them a query word of the API's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from app.domain.words import Depth, Phase, Status, Trigger

# a moment without a zone is that of this machine
_MOMENTS = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
]


def _moment(words: str) -> typer.models.OptionInfo:
    return typer.Option(
        formats=_MOMENTS, metavar="WHEN", help=f"{words}: 2026-11-22, 2026-11-22T18:30 or with Z."
    )


@dataclass(frozen=True)
class RunFilters:
    """Which runs to list."""

    status: Annotated[
        list[Status] | None,
        typer.Option(metavar="STATUS", help=f"Only these, may be repeated: {', '.join(Status)}."),
    ] = None
    phase: Annotated[Phase | None, typer.Option(help="Only this part of a run's life.")] = None
    trigger: Annotated[Trigger | None, typer.Option(help="Only what was started so.")] = None
    branch: Annotated[str | None, typer.Option(help="Only runs of this branch.")] = None
    issue: Annotated[int | None, typer.Option(min=1, help="Only runs of this issue.")] = None
    depth_level: Annotated[Depth | None, typer.Option(help="Only this depth.")] = None
    target_framework: Annotated[str | None, typer.Option(help="Only this framework.")] = None
    agent: Annotated[str | None, typer.Option(help="Only runs of this agent.")] = None
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None
    batch_id: Annotated[
        str | None, typer.Option("--batch", metavar="BATCH_ID", help="Only runs of this batch.")
    ] = None
    created_after: Annotated[datetime | None, _moment("Only runs created after")] = None
    created_before: Annotated[datetime | None, _moment("Only runs created before")] = None
    q: Annotated[
        str | None,
        typer.Option("--search", "-q", help="An issue, a branch, a part of an id, title or tag."),
    ] = None

    def asked(self) -> dict[str, Any]:
        """The query of `GET /runs`, without what is not asked for."""
        words = {name: value for name, value in asdict(self).items() if value not in (None, [])}
        for name in ("created_after", "created_before"):
            if name in words:
                words[name] = words[name].astimezone().isoformat()
        return words
