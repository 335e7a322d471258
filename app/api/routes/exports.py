"""Export of a run as one zip file, without internals of this server."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.api.schemas import RunChecks, Timeline
from app.api.views import QUARANTINE, check_out, event_out, named_run_out, report_out
from app.domain.secret_masks import MaskStream, SecretMask
from app.services.container import Services
from app.services.ports import CannotRead, LogView
from app.services.rows import Run

Part = tuple[str, Iterable[bytes]]


PIECE = 256 * 1024
MOST_RUNS = 100


class _Sent(io.RawIOBase):
    """Write-only file whose content is drained as it is written; not seekable."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._waiting += piece
        return len(piece)

    def take(self) -> bytes:
        """Return and clear the bytes written since the last call."""
        piece = bytes(self._waiting)
        self._waiting.clear()
        return piece


def zip_pieces(parts: Iterable[Part], at: datetime) -> Iterator[bytes]:
    """Yield the bytes of a zip file with these parts in order, all timestamped `at` (UTC)."""
    sent = _Sent()
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, pieces in parts:
            entry = zipfile.ZipInfo(name, max(at.timetuple()[:6], (1980, 1, 1, 0, 0, 0)))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as opened:
                for piece in pieces:
                    opened.write(piece)
                    if ready := sent.take():
                        yield ready
    yield sent.take()


def routes(services: Services) -> APIRouter:
    """Build `/runs/{id}/export`."""
    router = APIRouter(tags=["runs"])

    @router.get(
        "/runs/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}},
    )
    def export_some(
        run_id: Annotated[list[str], Query(min_length=1, max_length=MOST_RUNS)],
    ) -> StreamingResponse:
        """A zip file with a folder for each of these runs, at most 100; 404 if one is unknown."""
        runs = [services.listing.find(one) for one in dict.fromkeys(run_id)]
        return _zipped(services, runs, "runs.zip", services.clock())

    @router.get(
        "/runs/{run_id}/export",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}},
    )
    def export(run_id: str) -> StreamingResponse:
        """A zip file of the run: row, provenance, timeline, checks, report, prompts, diff, log."""
        run = services.listing.find(run_id)
        return _zipped(services, [run], f"{run.id}.zip", run.ended_at or run.created_at)

    return router


def _zipped(services: Services, runs: Sequence[Run], name: str, at: datetime) -> StreamingResponse:
    # the first is read before the answer begins, so that a store that is away is a refusal; then
    # one run after another: only the parts of one are held at a time
    first = list(_parts(services, runs[0]))
    others = (part for run in runs[1:] for part in _parts(services, run))
    parts = chain(first, others)
    return StreamingResponse(
        zip_pieces(_all_masked(parts, services.secrets.mask()), at),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'} | QUARANTINE,
    )


def _all_masked(parts: Iterable[Part], mask: SecretMask) -> Iterator[Part]:
    for name, pieces in parts:
        yield name, _masked(pieces, mask)


def _masked(pieces: Iterable[bytes], mask: SecretMask) -> Iterator[bytes]:
    stream = MaskStream(mask)
    yield from map(stream.take, pieces)
    yield stream.end()


def _parts(services: Services, run: Run) -> Iterator[Part]:
    """Yield the parts under fixed names: none comes from an agent or a repository."""
    row = named_run_out(services, run).model_dump(mode="json")
    timeline = Timeline(items=[event_out(one) for one in services.listing.timeline(run.id)])
    turns = services.prompts.of_run(run.id)
    checks = RunChecks(
        items=[check_out(one, run, SecretMask()) for one in services.listing.checks(run.id)]
    )
    diff, problem = _diff(services, run)
    log = services.listing.log(run.id)
    size = log.size
    about = {
        "exported_at": services.clock().isoformat(),
        "exported_by": services.identity.as_dict(),
        "log": {"bytes": size, "is_cut": log.is_cut},
        "diff": {"problem": problem},
    }
    yield f"{run.id}/about.json", [_json(about)]
    yield f"{run.id}/run.json", [_json(row)]
    yield f"{run.id}/provenance.json", [_json(run.provenance)]
    yield f"{run.id}/timeline.json", [_json(timeline.model_dump(mode="json"))]
    yield f"{run.id}/checks.json", [_json(checks.model_dump(mode="json"))]
    yield f"{run.id}/report.json", [_json(report_out(services, run).model_dump(mode="json"))]
    for turn in turns:
        number = "" if turn.n == 1 else f".{turn.n}"
        yield f"{run.id}/prompt{number}.md", [turn.text.encode("utf-8", "replace")]
    yield f"{run.id}/diff.patch", [diff.encode("utf-8", "replace")]
    yield f"{run.id}/log.txt", _log_pieces(log, size)


def _diff(services: Services, run: Run) -> tuple[str, str]:
    """Return the diff and the reason if it is missing or truncated, else ""."""
    try:
        found = services.listing.diff(run)
    except (CannotRead, OSError) as problem:
        return "", str(problem)
    return found.text, "it is too long to show in full: the rest is cut" if found.is_cut else ""


def _log_pieces(log: LogView, size: int) -> Iterator[bytes]:
    """Yield the log up to `size` bytes; a live agent's later output is left out."""
    place = 0
    while place < size:
        piece = log.read(place, min(PIECE, size - place))
        if piece.next_offset <= place:
            return
        yield piece.content
        place = piece.next_offset


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "replace")
