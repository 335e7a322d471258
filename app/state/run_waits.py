"""How long a run waits for its agent's usage limit."""

from __future__ import annotations

from datetime import datetime

from app.api.schemas import ProjectOut, RunOut
from app.domain.holds import Stand, covers, sentence_of
from app.domain.words import Phase, Status


def waits_until(run: RunOut, project: ProjectOut | None) -> datetime | None:
    """When the usage limit ends that a run waits for; None where it waits for something else.

    A run that has ended at its limit waits, too, where it is gone on with by itself.
    """
    limit = project.usage_limit if project else None
    if project is None or limit is None or limit.until is None:
        return None
    if run.phase is Phase.WAITING:
        held = sentence_of(limit.agent, limit.family, Stand.HELD, limit.until)
        return limit.until if (run.hold or "").startswith(held) else None
    goes_on = run.may_resume and not run.retried_by and project.resume_after_limit
    is_held = limit.agent == run.agent and covers(limit.family, run.model)
    return limit.until if run.status is Status.LIMITED and goes_on and is_held else None
