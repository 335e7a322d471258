"""Runyard's own checkout, read as text: which commit this program is."""

from __future__ import annotations

from pathlib import Path

UNKNOWN = "unknown"
SHORT = 7


def read_commit(git_dir: Path) -> str:
    """The short id of the commit checked out there, or `unknown`."""
    try:
        head = (git_dir / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head[:SHORT]
        if (git_dir / name).is_file():
            return (git_dir / name).read_text().strip()[:SHORT]
        packed = (git_dir / "packed-refs").read_text().splitlines()
    except OSError:
        return UNKNOWN
    return next((line[:SHORT] for line in packed if line.endswith(f" {name}")), UNKNOWN)
