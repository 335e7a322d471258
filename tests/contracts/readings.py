"""Events and reports that the stream readers produce from an agent's output bytes."""

from __future__ import annotations

from pathlib import Path

from app.adapters.agents.catalogue.preset import built_in
from app.adapters.agents.formats.report import StreamReader
from app.domain.agents.reports import Report, ReportEvent, Tally

RECORDED = Path(__file__).parent.parent / "fakes" / "agents" / "streams"
AGENTS = {preset.name: preset for preset in built_in()}


def reader_of(agent: str) -> StreamReader:
    return StreamReader(AGENTS[agent].stream, AGENTS[agent].limit_messages)


def events_of(agent: str, *pieces: bytes) -> list[ReportEvent]:
    reader = reader_of(agent)
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def report_of(agent: str, *pieces: bytes) -> Report:
    tally = Tally()
    for event in events_of(agent, *pieces):
        tally.add(event)
    return tally.report
