"""Autoland of a project: which of its changes are merged without a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from app.domain.projects.setting import Kind, Part, ProjectSetting

MAX_FILES, MAX_LINES = 1000, 100_000
MAX_PATTERNS, MAX_PATTERN = 100, 400
# what steers agents and checks: a person should see a change of it
USUALLY_PROTECTED = (".github/", "RUNYARD.md")


@dataclass(frozen=True)
class Autoland:
    """The rules of a project; `protected_paths` are patterns as in a .gitignore."""

    enabled: bool = False
    max_files: int = 10
    max_lines: int = 300
    protected_paths: tuple[str, ...] = USUALLY_PROTECTED

    def as_data(self) -> dict[str, Any]:
        """Return the rules as they are stored and sent."""
        return asdict(self) | {"protected_paths": list(self.protected_paths)}


# the settings of the table, and the field of the rules that each of them is
AUTOLAND_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "autoland": "enabled",
        "max_files": "max_files",
        "max_lines": "max_lines",
        "protected_paths": "protected_paths",
    }
)
_USUAL = Autoland()

AUTOLAND_SETTINGS = (
    ProjectSetting(
        name="autoland",
        kind=Kind.SWITCH,
        means="Whether changes that pass all rules are merged without a person",
        more="All required checks must pass, and there must be at least one.",
        default=_USUAL.enabled,
        label="Merge by itself",
        hint="Only a change of an agent that passes every required check and the rules below.",
        part=Part.AUTOLAND,
        labels={"no": "Never", "yes": "When all rules allow it"},
    ),
    ProjectSetting(
        name="max_files",
        kind=Kind.NUMBER,
        means="How many files a change may touch to be merged without a person",
        default=_USUAL.max_files,
        label="Files at most",
        hint=f"1 to {MAX_FILES:,}. A larger change waits for a person.",
        part=Part.AUTOLAND,
        option="--autoland-max-files",
        least=1,
        most=MAX_FILES,
    ),
    ProjectSetting(
        name="max_lines",
        kind=Kind.NUMBER,
        means="How many added and deleted lines a change may have to be merged without a person",
        default=_USUAL.max_lines,
        label="Lines at most",
        hint=f"Added and deleted ones together, 1 to {MAX_LINES:,}.",
        part=Part.AUTOLAND,
        beside=True,
        option="--autoland-max-lines",
        least=1,
        most=MAX_LINES,
    ),
    ProjectSetting(
        name="protected_paths",
        kind=Kind.LINES,
        means="Paths whose changes always wait for a person, as patterns of a .gitignore",
        default=_USUAL.protected_paths,
        label="Protected paths",
        hint="A change that touches one of them waits for a person. Patterns as in a .gitignore, "
        "one per line.",
        part=Part.AUTOLAND,
        option="--protected-path",
        metavar="PATTERN",
        most=MAX_PATTERNS,
    ),
)


def read_autoland(stored: Mapping[str, Any]) -> Autoland:
    """Return the rules as they are stored; what is missing has its default."""
    known = {name: stored[name] for name in AUTOLAND_FIELDS.values() if name in stored}
    if "protected_paths" in known:
        known["protected_paths"] = tuple(known["protected_paths"])
    return Autoland(**known)
