"""What is kept, over HTTP."""

from __future__ import annotations

from pathlib import Path

from tests.api.workshop import open_workshop


def test_what_is_kept_and_what_goes_next_is_told(tmp_path: Path) -> None:
    with open_workshop(tmp_path) as shop:
        path = "/retention"
        told = shop.wait(path, lambda told: told["copies"]["looked_at"] is not None)
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
