"""The ratchet of strict types: how many errors each folder may have until it is strict, too."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.drivers.source_tree import ROOT

HERE = Path(__file__).parent
ALLOWED = HERE / "strict_ratchet.json"
CONFIG = HERE / "strict.json"
# modules beside the folders
TOP = "app/*.py"
# its errors depend on the desktop libraries, which are not installed everywhere
NATIVE, NEEDED_BY_NATIVE = "app/native", "PySide6"


def strict_folders() -> set[str]:
    """Return the folders of app/ that pyproject.toml checks strictly."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(settings["tool"]["pyright"]["strict"])


def other_folders() -> set[str]:
    """Return what else app/ consists of: its other folders, and TOP."""
    folders = {f"app/{path.parent.name}" for path in (ROOT / "app").glob("*/*.py")}
    return (folders | {TOP}) - strict_folders()


def allowed() -> dict[str, int]:
    """Return the allowed number of strict errors by folder, as committed."""
    return json.loads(ALLOWED.read_text(encoding="utf-8"))


def count_errors() -> dict[str, int]:
    """Count the strict errors of each folder of `other_folders`, with pyright."""
    argv = [sys.executable, "-m", "pyright", "--project", str(CONFIG), "--outputjson"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    errors = [one for one in found["generalDiagnostics"] if one["severity"] == "error"]
    counts = Counter(_folder_of(Path(one["file"])) for one in errors)
    return {folder: counts[folder] for folder in sorted(other_folders())}


def problems(counts: Mapping[str, int], limits: Mapping[str, int]) -> list[str]:
    """Return what is wrong with these counts, as sentences; a folder without a limit may have 0."""
    found: list[str] = []
    for folder, count in counts.items():
        limit = limits.get(folder, 0)
        if folder == NATIVE and find_spec(NEEDED_BY_NATIVE) is None:
            continue
        if count > limit:
            found.append(
                f"{folder}: {count} strict type errors, {limit} are allowed. See them with "
                f"pyright --project {CONFIG.relative_to(ROOT)}"
            )
        elif count < limit:
            found.append(
                f"{folder}: {count} strict type errors, {limit} are allowed. Lower the number in "
                f"{ALLOWED.relative_to(ROOT)}"
            )
    return found


def _folder_of(file: Path) -> str:
    parts = file.relative_to(ROOT).parts
    return "/".join(parts[:2]) if len(parts) > 2 else TOP
