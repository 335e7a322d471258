"""Retention over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.servers.workshop import open_workshop
from tests.fakes.agents.runs import until


def test_what_is_kept_and_what_goes_next_is_told(tmp_path: Path) -> None:
    with open_workshop(tmp_path) as shop:

        def seen() -> Any:
            told = shop.api.get("/retention").json()
            return told if told["copies"]["looked_at"] is not None else None

        # the first round runs at server start, and the feed does not announce rounds
        told = until(seen, "the first round", WAIT_SECONDS)
    copies = told.pop("copies")
    assert copies.pop("looked_at").endswith("Z")
    assert (copies.pop("next_at"), copies.pop("leaving")) == (None, [])
    assert set(copies.values()) == {0}
    assert told == {
        "keep_days": 30,
        "keep_gb": 10,
        "kept_runs": 0,
        "kept_bytes": 0,
        "leaving_runs": 0,
        "leaving_bytes": 0,
        "next_at": None,
        "leaving": [],
    }
