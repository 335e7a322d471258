"""The facts that a run's row keeps of its processes, which the engine asks for and believes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.adapters.engine.records import is_number, mark_of
from app.services.ports import Kept, ProcessMark


@dataclass(frozen=True)
class Known:
    """A run's supervisor, and until when its agent may live, in seconds of the boot clock.

    `init` is process 1 of its sandbox, if any: nothing inside outlives it. `seal` tells its last
    records from made-up ones; None: they are believed as they are. `is_landlocked`: all of the run
    is in a control group that nothing leaves, and that stays where its supervisor is lost.
    """

    supervisor: ProcessMark
    grace_seconds: float
    init: ProcessMark | None = None
    until: float | None = None
    seal: str | None = None
    is_landlocked: bool = False

    def as_kept(self) -> dict[str, Any]:
        """The JSON for the row."""
        return {
            **asdict(self.supervisor),
            "grace": self.grace_seconds,
            "init": asdict(self.init) if self.init else None,
            "until": self.until,
            "seal": self.seal,
            "landlocked": self.is_landlocked,
        }


def read_known(kept: Kept | None) -> Known | None:
    """Read what a row has kept; None where it has nothing that could be understood."""
    fields: Mapping[str, Any] = kept or {}
    supervisor = mark_of(fields, fields.get("boot_id"))
    grace, until, seal = (fields.get(name) for name in ("grace", "until", "seal"))
    if supervisor is None or not is_number(grace):
        return None
    return Known(
        supervisor,
        float(grace),
        mark_of(fields.get("init"), fields.get("boot_id")),
        float(until) if is_number(until) else None,
        seal if isinstance(seal, str) else None,
        fields.get("landlocked") is True,
    )
