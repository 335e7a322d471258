"""Which files of new commits are large: found by their headers, nothing of them is unpacked."""

from __future__ import annotations

from pathlib import Path

from app.adapters.git import Git, countdown
from app.services.ports import LargeFile

# how long a look may take, all of its calls together
SECONDS = 300.0
# so many are named and measured; who has more has enough to read
_MOST = 1000


def large_files(git: Git, git_dir: Path, base: str, tip: str, above: int) -> list[LargeFile]:
    """The files above that many bytes in any commit that origin does not have, largest first.

    In every commit of `base..tip`, not only in the last. Raises GitFailed.
    """
    left = countdown(SECONDS)
    new = [tip, "--not", base, "--remotes"]
    # git leaves out what is larger, and says so: all else costs one line for each new object
    walk = ["rev-list", "--objects", "--no-object-names", f"--filter=blob:limit={above + 1}"]
    listed = git.run([*walk, "--filter-print-omitted", *new], git_dir=git_dir, timeout=left())
    large = [line[1:] for line in listed.text.splitlines() if line.startswith("~")][:_MOST]
    if not large:
        return []
    form = "--batch-check=%(objectname) %(objectsize)"
    asked = "".join(f"{sha}\n" for sha in large).encode("ascii")
    told = git.run(["cat-file", form], git_dir=git_dir, input=asked, timeout=left())
    sizes, names = told.text.splitlines(), _names_of(set(large), git, git_dir, new, left())
    found = [
        LargeFile(names.get(sha, sha[:12]), int(size))
        for sha, _, size in (line.partition(" ") for line in sizes)
    ]
    return sorted(found, key=lambda one: (-one.size, one.name))


def _names_of(
    large: set[str], git: Git, git_dir: Path, new: list[str], seconds: float
) -> dict[str, str]:
    """The first path that each object has; none for one behind more names than are read."""
    answer = git.run(["rev-list", "--objects", *new], git_dir=git_dir, timeout=seconds, check=False)
    lines = answer.out.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(" ") for line in lines)
    return {sha: name for sha, _, name in pairs if name and sha in large}
