"""Backups of mirrors that hold claims, one git bundle each."""

from __future__ import annotations

import os
from pathlib import Path

from app.adapters.git.command import Git
from app.adapters.git.config_guard import keep_mirror
from app.adapters.git.layout import checked_id, lay_out_mirror
from app.adapters.git.refs import read_claims
from app.adapters.git.remotes import HEADS, TRACKED
from app.adapters.git.temp_folders import aside

_SECONDS = 3600.0
_CAP = 2**40


class MirrorBundles:
    """Writes and restores bundles of the mirrors at `root/<project id>.git`."""

    def __init__(self, root: Path, *, git: Git) -> None:
        self._root = Path(os.path.abspath(root))
        self._git = git.keeping(keep_mirror)

    def holding_claims(self) -> list[str]:
        """Return the ids of projects whose mirror holds a claim. Raises CannotRead."""
        mirrors = sorted(path for path in self._root.glob("*.git") if not path.is_symlink())
        return [mirror.stem for mirror in mirrors if read_claims(mirror)]

    def write(self, project_id: str, file: Path) -> None:
        """Bundle all claims and tracked origin branches into a new `file`.

        Raises CannotRead, or FileExistsError if `file` exists.
        """
        mirror = self._mirror(project_id)
        with file.open("xb") as bundle:
            order = ["bundle", "create", "--quiet", "-", f"--glob={HEADS}*", f"--glob={TRACKED}*"]
            self._git.run(order, git_dir=mirror, output=bundle, timeout=_SECONDS, output_cap=_CAP)

    def put_back(self, project_id: str, file: Path) -> int:
        """Restore the claims missing from the mirror and return their number.

        Existing claims are left alone; a missing mirror is created. Raises CannotRead.
        """
        refs = self._read(file)
        mirror = self._mirror(project_id)
        if mirror.exists():
            there = read_claims(mirror)
            claims = [ref for ref in refs if ref.startswith(HEADS)]
            missing = [ref for ref in claims if ref.removeprefix(HEADS) not in there]
            if missing:
                self._fetch(mirror, file, missing)
            return len(missing)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with aside(self._root, checked_id(project_id)) as new:
            lay_out_mirror(new, sha=next(iter(refs.values())))
            self._fetch(new, file, list(refs))
            new.rename(mirror)
        return sum(ref.startswith(HEADS) for ref in refs)

    def _read(self, file: Path) -> dict[str, str]:
        """Map each claim and tracked branch in a bundle to its commit."""
        lines = self._git.run(["bundle", "list-heads", "--", str(file)]).text.splitlines()
        found = {ref: sha for sha, _, ref in (line.partition(" ") for line in lines)}
        return {ref: sha for ref, sha in found.items() if ref.startswith((HEADS, TRACKED))}

    def _fetch(self, mirror: Path, file: Path, refs: list[str]) -> None:
        order = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc"]
        orders = "".join(f"{ref}:{ref}\n" for ref in refs)
        self._git.run(
            [*order, "--stdin", "--", str(file)],
            git_dir=mirror,
            input=orders.encode(),
            origin=str(file),
            timeout=_SECONDS,
        )

    def _mirror(self, project_id: str) -> Path:
        return self._root / f"{checked_id(project_id)}.git"
