"""Scans new commits for secrets and large files, streaming so that memory stays bounded."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from app.adapters.git.command import Git, GitFailed, countdown
from app.domain.secret_masks import SecretMask
from app.services.ports import LargeFile, Leak

_Any = TypeVar("_Any")


# the time for one scan, all of its calls together
SECONDS = 600.0
LIST_CAP = 1024 * 1024 * 1024
AT_ONCE = 2000
_CHUNK = 256 * 1024
_LIST = (
    *("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--root"),
    # of a merge only files that differ from every parent
    *("-c", "--ignore-submodules=none"),
)
_SUBMODULE = b"160000"
# a secret's name to the first line that holds it
Lines = dict[str, int]
_Left = Callable[[], float]
# the time for one search for large files, all of its calls together
SIZE_SECONDS = 300.0
# the most files listed: a person needs no more
_MOST = 1000


@dataclass(frozen=True)
class _Added:
    """A file that a commit adds or changes; `before` are its blobs in the parents."""

    commit: str
    path: bytes
    blob: str | None
    before: tuple[str, ...]
    is_new: bool


def find_leak(git: Git, mirror: Path, base: str, tip: str, mask: SecretMask) -> Leak | None:
    """Return the first secret that the commits `base..tip` add; None without one.

    Messages, file names and contents are scanned. Raises GitFailed if any could not be read: the
    result is then unknown.
    """
    left = countdown(SECONDS)
    walk = ["rev-list", "--reverse", "--topo-order", f"{base}..{tip}"]
    commits = git.run(walk, git_dir=mirror, timeout=left()).text.split()
    reader = _Reader(git, mirror, mask, left)
    for some in _some_of(commits):
        for commit, lines in reader.read(some).items():
            if lines:
                return Leak(min(lines), commit)
    with tempfile.TemporaryFile() as listed:
        feed = "".join(f"{commit}\n" for commit in commits).encode()
        git.run(
            _LIST,
            git_dir=mirror,
            input=feed,
            output=listed,
            timeout=left(),
            output_cap=LIST_CAP,
        )
        listed.seek(0)
        return _leak_in_files(reader, _unread(_added(listed, left)), mask)


def _leak_in_files(reader: _Reader, added: Iterable[_Added], mask: SecretMask) -> Leak | None:
    for some in _some_of(added):
        found = reader.read([one.blob for one in some if one.blob is not None])
        for one in some:
            path = one.path.decode("utf-8", "replace")
            if one.is_new and (named := mask.find(one.path)):
                return Leak(min(named), one.commit, mask.mask_text(path))
            lines = found.get(one.blob or "")
            if not lines:
                continue
            # a secret that the file already held is at origin
            known = {name for held in reader.read(one.before).values() for name in held}
            new = {name: line for name, line in lines.items() if name not in known}
            if new:
                name = min(new, key=lambda one: new[one])
                return Leak(name, one.commit, mask.mask_text(path), new[name])
    return None


def _unread(added: Iterable[_Added]) -> Iterator[_Added]:
    """Drop repeated contents; a new file with a known content keeps only its name."""
    seen: set[bytes] = set()
    for one in added:
        digest = bytes.fromhex(one.blob) if one.blob else b""
        if digest not in seen:
            seen.add(digest)
            yield one
        elif one.is_new:
            yield _Added(one.commit, one.path, None, (), is_new=True)


def _added(listed: IO[bytes], left: _Left) -> Iterator[_Added]:
    commit, entry = "", b""
    for field in _fields(listed, left):
        if entry:
            if (one := _read_entry(commit, entry, field)) is not None:
                yield one
            entry = b""
        elif field[:1] == b":":
            entry = field
        else:
            commit = field.decode("ascii")


def _read_entry(commit: str, entry: bytes, path: bytes) -> _Added | None:
    """Parse `:mode mode sha sha A`, or `::mode mode mode sha sha sha AM` of a merge."""
    parents = len(entry) - len(entry.lstrip(b":"))
    fields = entry[parents:].split(b" ")
    mode, status = fields[parents], fields[-1]
    *before, blob = (sha.decode("ascii") for sha in fields[parents + 1 : -1])
    if not blob.strip("0"):
        return None  # deleted
    held = () if mode == _SUBMODULE else tuple(sha for sha in before if sha.strip("0"))
    is_new = status.strip(b"A") == b""
    return _Added(commit, path, None if mode == _SUBMODULE else blob, held, is_new)


def _fields(listed: IO[bytes], left: _Left) -> Iterator[bytes]:
    rest = b""
    while left() and (chunk := listed.read(_CHUNK)):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def _some_of(many: Iterable[_Any]) -> Iterator[list[_Any]]:
    left = iter(many)
    while some := list(islice(left, AT_ONCE)):
        yield some


class _Reader:
    """Finds secrets in objects of a mirror, whatever their size."""

    def __init__(self, git: Git, mirror: Path, mask: SecretMask, left: _Left) -> None:
        self._git = git
        self._mirror = mirror
        self._mask = mask
        self._left = left

    def read(self, shas: Iterable[str]) -> dict[str, Lines]:
        """Map each object to its secrets. Raises GitFailed if one could not be read."""
        wanted = list(dict.fromkeys(shas))
        if not wanted:
            return {}
        search = _Search(self._mask)
        feed = "".join(f"{sha}\n" for sha in wanted).encode()
        self._git.run(
            ["cat-file", "--batch"],
            git_dir=self._mirror,
            input=feed,
            take=search.take,
            timeout=self._left(),
        )
        if list(search.found) != wanted or not search.is_whole:
            raise GitFailed("git cat-file told less than it was asked for.")
        return search.found


class _Search:
    """Searches the output of `cat-file --batch`, fed in chunks of any size."""

    def __init__(self, mask: SecretMask) -> None:
        self.found: dict[str, Lines] = {}
        self._mask = mask
        self._head = b""
        # the current object: bytes left, secrets found, the overlap kept and its line
        self._left = 0
        self._lines: Lines = {}
        self._kept, self._line = b"", 1

    @property
    def is_whole(self) -> bool:
        """True if the input so far ends between two objects."""
        return not self._left and not self._head

    def take(self, content: bytes) -> None:
        """Search the next bytes. Raises GitFailed for a missing object."""
        while content:
            if not self._left:
                content = self._take_head(content)
                continue
            part, content = content[: self._left], content[self._left :]
            self._left -= len(part)
            self._search(part)

    def _take_head(self, content: bytes) -> bytes:
        head, end, rest = content.partition(b"\n")
        self._head += head
        if not end:
            return b""
        words, self._head = self._head.split(), b""
        if len(words) != 3:
            which = b"".join(words[:1])[:12].decode("ascii", "replace")
            raise GitFailed(f"object {which} is missing")
        # includes the newline after each object
        self._left = int(words[2]) + 1
        self._lines = self.found[words[0].decode("ascii")] = {}
        self._kept, self._line = b"", 1
        return rest

    def _search(self, part: bytes) -> None:
        text = self._kept + part
        for name, at in self._mask.find(text).items():
            self._lines.setdefault(name, self._line + text.count(b"\n", 0, at))
        kept = text[max(0, len(text) - self._mask.longest + 1) :]
        self._line += text.count(b"\n", 0, len(text) - len(kept))
        self._kept = kept


def large_files(git: Git, git_dir: Path, base: str, tip: str, above: int) -> list[LargeFile]:
    """List files of more than `above` bytes in commits new to origin, largest first.

    Covers every commit of `base..tip`, not just the last; at most 1000 files. Raises GitFailed.
    """
    left = countdown(SIZE_SECONDS)
    new = [tip, "--not", base, "--remotes"]
    # git prints the objects it filters out by size: those are the large ones
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
    """Map each object to its first path; objects past git's output cap are missing."""
    answer = git.run(["rev-list", "--objects", *new], git_dir=git_dir, timeout=seconds, check=False)
    lines = answer.out.decode("utf-8", "replace").splitlines()
    pairs = (line.partition(" ") for line in lines)
    return {sha: name for sha, _, name in pairs if name and sha in large}
