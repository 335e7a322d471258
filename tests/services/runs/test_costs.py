"""Costs are decimals: floating-point noise never reaches a person."""

from __future__ import annotations

import pytest

from app.api.schemas import UsageOut
from app.domain.words import Depth
from app.services.batches.filling import Item
from app.services.runs.requests import RunRequest
from tests.fakes.planes import TwinPlane


@pytest.mark.parametrize(
    ("cost", "told"), [(0.1 + 0.2, "0.3"), (1.0000004, "1.0"), (2.1234565, "2.123457")]
)
def test_a_cost_has_six_decimals_at_most(cost: float, told: str) -> None:
    assert f'"cost_usd":{told}' in UsageOut(cost_usd=cost).model_dump_json()


def test_a_batch_is_summed_up_exactly(twin: TwinPlane) -> None:
    project, now = twin.add_project(), twin.clock()
    desk = twin.services.batches
    batch = desk.open(project.id, 3, None, twin.requester(), now).batch
    filling = desk.fill(batch.id, twin.requester())
    for index, cost in enumerate((0.1, 0.2, 0.0)):
        taken = filling.take(Item(index, RunRequest(project.id, Depth.QUICK, "auto")), now)
        assert taken is not None
        twin.ledgers.runs.update_usage(taken.run_id, cost_usd=cost)
    assert desk.sums(batch.id).cost_usd == 0.3
    assert 0.1 + 0.2 != 0.3
