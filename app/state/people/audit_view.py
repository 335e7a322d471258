"""The filters of the audit page, as its address and the API have them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from app.domain.formatting import iso
from app.domain.people.deeds import DEEDS

ANY = "Any action"
# reading leaves no rows
_SILENT = frozenset(
    {"read_pages", "read", "viewed", "read_audit", "read_doctor", "read_people", "read_machine"}
)


@dataclass(frozen=True)
class AuditAsked:
    """The filters that an address names, each empty for all rows."""

    person: str = ""
    deed: str = ""
    object: str = ""
    since: str = ""

    def filters(self) -> dict[str, str]:
        """Return the filters of the API that are set; a date means its first moment in UTC."""
        found = {name: value for name, value in asdict(self).items() if value}
        if self.since:
            found["since"] = _moment(self.since)
        return {name: value for name, value in found.items() if value}


def _moment(since: str) -> str:
    try:
        at = datetime.fromisoformat(since)
    except ValueError:
        return ""
    return iso(at if at.tzinfo else at.replace(tzinfo=UTC))


def page_of(asked: AuditAsked) -> str:
    """Return the address of the page with these filters."""
    query = urlencode({name: value for name, value in asdict(asked).items() if value})
    return f"/audit?{query}" if query else "/audit"


def deed_choices(chosen: str) -> dict[str, str]:
    """Return the deeds to choose from with their words; also one that an address named."""
    names = sorted({*DEEDS, *([chosen] if chosen else [])} - _SILENT)
    return {"": ANY} | {name: name.replace("_", " ") for name in names}
