"""What the readers of agents' output make of bytes."""

from __future__ import annotations

from pathlib import Path

from app.adapters.agents.catalogue import PRESETS
from app.adapters.agents.streams import StreamReader
from app.domain.reports import Report, ReportEvent, Tally

RECORDED = Path(__file__).parent.parent / "agents_for_tests" / "streams"
MESSAGES = {preset.name: preset.limit_messages for preset in PRESETS}


def reader_of(stream: str) -> StreamReader:
    return StreamReader(stream, MESSAGES[stream])


def events_of(stream: str, *pieces: bytes) -> list[ReportEvent]:
    reader = reader_of(stream)
    return [event for piece in pieces for event in reader.feed(piece)] + reader.finish()


def report_of(stream: str, *pieces: bytes) -> Report:
    tally = Tally()
    for event in events_of(stream, *pieces):
        tally.add(event)
    return tally.report
