"""The text of a run's page: the reason for its end, and its timeline."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

from app.api.views import event_out, run_out
from app.domain.end_causes import ExitReason, ExitRecord
from app.domain.rules import RunFacts, classify
from app.domain.words import Status
from app.pages.runs.header import why_html
from app.records.tables import Run
from app.state.runs.run_timeline import steps_of
from tests.builders.run_samples import run_of
from tests.drivers.planes import RealPlane
from tests.drivers.sandboxes import Tried


def page_of(plane: RealPlane, run: Run) -> str:
    """Return the text of a run's page in its current state."""
    row = plane.run(run.id)
    # a run of a test records less provenance than one of a server
    row.provenance = plane.services.identity.as_dict() | row.provenance
    told = run_out(row, "project")
    events = [event_out(event) for event in plane.ledgers.runs.timeline(run.id)]
    return "\n".join([_words(why_html(told)), *(step.sentence for step in steps_of(events, told))])


def page_after(tried: Tried) -> str:
    """Return the page's text for a run that ended like this trial and delivered nothing."""
    now = datetime.now(UTC)
    end = ExitRecord(
        tried.code, tried.signal, ExitReason(tried.reason or ""), now, limit=tried.limit
    )
    facts = RunFacts(delivered=False, exit=end, alive=False, now=now, deadline=None)
    ended = run_of(1, Status.DIED, because=classify(facts).because, released_at=now)
    return _words(why_html(ended))


def _words(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))
