"""Comments of this person that were not sent yet, on changes that they are about to merge."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.api.client.client import ApiClient
from app.api.schemas.inbox import InboxItem


async def count_unsent(api: ApiClient, items: Sequence[InboxItem]) -> dict[str, int]:
    """Return how many unsent comments each change has, by the item's id; those with none left out.

    Raises ApiProblem, NoAnswer.
    """
    counts = await asyncio.gather(*(_count(api, one) for one in items))
    return {one.id: count for one, count in zip(items, counts, strict=True) if count}


async def _count(api: ApiClient, item: InboxItem) -> int:
    if item.project_id is None or item.change is None:
        return 0
    comments = await api.change_comments(item.project_id, item.change)
    return sum(one.draft for one in comments)
