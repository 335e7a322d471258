"""Run states: each legal transition of engine.md §1, no other, and their labels."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from app.domain.lifecycle import DONE, LIVE, MOVES, WAITING, Signal, diagram, next_status, phase_of
from app.domain.words import LABELS, Cause, Phase, Status, label_of

DIAGRAM = Path(__file__).parents[3] / "docs" / "lifecycle.md"

# copied verbatim from engine.md §1
TABLE = """
delayed     due                              queued
delayed     stop                             stopped
queued      taken                            starting
queued      stop                             stopped
queued      approval refused                 stopped
queued      approval expired                 stopped
queued      ttl over                         expired
queued      refused by a pre-check           not_started
starting    agent alive                      running
starting    launch failed or too slow, undone  not_started
starting    no agent began, proved after a restart, first time  queued
starting    stop                             stopped
running     agent done, checks to run        checking
running     agent done, work to deliver      delivering
running     delivered                        succeeded
running     gone, nothing delivered          died
running     deadline                         timed_out
running     agent's usage limit              limited
running     stop                             stopped
checking    all required pass                delivering
checking    a follow-up begins               running
checking    red to the end                   died
checking    red to the end, as a draft       delivering
checking    a check cannot start             died
checking    deadline                         timed_out
checking    stop                             stopped
delivering  delivered                        succeeded
delivering  refused for good                 died
delivering  stop                             stopped
"""
LEGAL = {
    (words[0], " ".join(words[1:-1])): words[-1]
    for words in (line.split() for line in TABLE.strip().splitlines())
}


@pytest.mark.parametrize(("status", "signal"), list(product(Status, Signal)))
def test_a_move_is_legal_exactly_where_the_table_has_it(status: Status, signal: Signal) -> None:
    expected = LEGAL.get((str(status), str(signal)))
    assert next_status(status, signal) == (Status(expected) if expected else None)


def test_the_table_is_whole() -> None:
    assert len(LEGAL) == len(MOVES) == 29


def test_no_move_leads_out_of_an_end() -> None:
    assert {status for status, _ in MOVES} == WAITING | LIVE
    assert not {status for status, _ in MOVES} & DONE


def test_every_status_can_be_reached() -> None:
    # a run is accepted as delayed or queued
    assert set(MOVES.values()) | {Status.DELAYED, Status.QUEUED} == set(Status)


PHASES = {
    Phase.WAITING: {"delayed", "queued"},
    Phase.LIVE: {"starting", "running", "checking", "delivering"},
    Phase.DONE: {
        *("succeeded", "died", "timed_out", "limited"),
        *("stopped", "not_started", "expired"),
    },
}


@pytest.mark.parametrize("status", Status)
def test_every_status_has_one_phase(status: Status) -> None:
    assert [phase for phase, members in PHASES.items() if status in members] == [phase_of(status)]


@pytest.mark.parametrize(
    ("status", "label"),
    [
        ("delayed", "Delayed"),
        ("queued", "Queued"),
        ("starting", "Starting"),
        ("running", "Running"),
        ("checking", "Checking"),
        ("delivering", "Delivering"),
        ("succeeded", "Succeeded"),
        ("died", "Died"),
        ("timed_out", "Timed out"),
        ("stopped", "Stopped"),
        ("not_started", "Not started"),
        ("expired", "Expired"),
        ("limited", "Usage limit"),
    ],
)
def test_every_status_has_its_label(status: str, label: str) -> None:
    assert label_of(Status(status)) == LABELS[Status(status)] == label
    assert len(LABELS) == 13


@pytest.mark.parametrize("cause", Cause)
def test_only_a_death_for_want_of_a_delivery_has_a_label_of_its_own(cause: Cause) -> None:
    expected = "No delivery" if cause is Cause.NO_DELIVERY else "Died"
    assert label_of(Status.DIED, cause) == expected
    assert label_of(Status.STOPPED, cause) == "Stopped"


def test_the_diagram_in_the_docs_is_the_table() -> None:
    """If MOVES changes, copy the new `diagram()` into the docs' mermaid block."""
    text = DIAGRAM.read_text()
    block = text.partition("```mermaid\n")[2].partition("\n```")[0]
    assert block == diagram()
    assert text.count("```mermaid") == 1
