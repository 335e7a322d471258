"""The file of a batch: one JSON object per line, each with its index in the batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.client.connection import Misused

PIECE_LINES = 25
PIECE_BYTES = 8 * 1024 * 1024
PROJECT = ("project", "project_id")  # of the whole batch: sent with no line


@dataclass(frozen=True)
class BatchFile:
    """The lines of a batch by index, and the digest of the file's content.

    `numbers` are the line numbers in the file, from 1, by index; `projects` maps the project names
    and ids in the lines to the number of the first line with each.
    """

    lines: dict[int, bytes]
    numbers: dict[int, int]
    digest: str
    projects: dict[str, int]

    def pieces(self, indexes: Sequence[int]) -> Iterator[bytes]:
        """Yield the lines in pieces, each small enough for one request."""
        piece: list[bytes] = []
        for index in indexes:
            if piece and (len(piece) == PIECE_LINES or sum(map(len, piece)) > PIECE_BYTES):
                yield b"\n".join(piece)
                piece = []
            piece.append(self.lines[index])
        if piece:
            yield b"\n".join(piece)


def read_batch(file: Path) -> BatchFile:
    """Read and check a file; lines without an index are numbered in their order.

    Raises Misused, naming the line, before anything is sent.
    """
    try:
        content = file.read_bytes()
    except OSError as problem:
        raise Misused(f"{file} cannot be read: {problem.strerror}") from problem
    numbered = [one for one in enumerate(content.split(b"\n"), 1) if one[1].strip()]
    told = [(number, _object(number, line), line) for number, line in numbered]
    if not told:
        raise Misused(f"{file} holds no lines.")
    have_index = ["index" in one for _, one, _ in told]
    if any(have_index) and not all(have_index):
        missing = told[have_index.index(False)][0]
        raise Misused(f"Line {missing} has no index, and others have one: give all or none.")
    lines: dict[int, bytes] = {}
    numbers: dict[int, int] = {}
    projects: dict[str, int] = {}
    for place, (number, one, line) in enumerate(told):
        index = one.get("index", place)
        if not isinstance(index, int) or not 0 <= index < len(told) or index in lines:
            raise Misused(
                f"Line {number}: the {len(told)} lines must have the indexes 0 to"
                f" {len(told) - 1}, each once; this one has {index!r}."
            )
        rest = {name: it for name, it in one.items() if name not in PROJECT}
        for project in _projects_of(number, one):
            projects.setdefault(project, number)
        is_whole = "index" in one and len(rest) == len(one)
        numbers[index] = number
        lines[index] = line if is_whole else json.dumps({"index": index, **rest}).encode()
    return BatchFile(lines, numbers, hashlib.sha256(content).hexdigest(), projects)


def _projects_of(number: int, one: dict[str, Any]) -> list[str]:
    named = [one[name] for name in PROJECT if one.get(name) is not None]
    if not all(isinstance(name, str) for name in named):
        raise Misused(f"Line {number}: its project must be a name or an id.")
    return named


def _object(number: int, line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line.decode())
    except (ValueError, RecursionError) as problem:
        raise Misused(f"Line {number} is not JSON.") from problem
    if not isinstance(told, dict):
        raise Misused(f"Line {number} is not a JSON object.")
    return told
