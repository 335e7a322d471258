"""Versions of templates: kept after a removal, with the moment at which each was removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.template_ledger import TemplateLedger
from app.records.stores.routing import Stores
from app.records.tables import TemplateRow
from tests.builders.rows import draft_project

NOW = datetime(2026, 11, 23, 15, 4, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def add(ledger: TemplateLedger) -> int:
    row = TemplateRow(
        project_id="proj_1", name="nightly", version=1, text="x", created_by="ann", created_at=NOW
    )
    return ledger.add(row, is_default=False).version


@pytest.mark.both_databases
def test_a_version_keeps_the_moment_at_which_it_was_removed(stores: Stores) -> None:
    ProjectLedger(stores).insert(draft_project())
    ledger = TemplateLedger(stores)
    for moment in (NOW, LATER):
        add(ledger)
        assert ledger.remove("proj_1", "nightly", moment) is not None
    kept = [ledger.find("proj_1", "nightly", version) for version in (1, 2)]
    assert [row and row.removed_at for row in kept] == [NOW, LATER]
    assert ledger.find("proj_1", "nightly") is None
