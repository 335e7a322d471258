"""Secrets in commits: whatever they add, its names, their messages; all read in little memory."""

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


# how long a look may take, all of its calls together
SECONDS = 600.0
LIST_CAP = 1024 * 1024 * 1024
AT_ONCE = 2000
_CHUNK = 256 * 1024
_LIST = (
    *("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--root"),
    # of a merge only what none of its parents has
    *("-c", "--ignore-submodules=none"),
)
_SUBMODULE = b"160000"
# a secret's name, and the line where it is first met
Lines = dict[str, int]
_Left = Callable[[], float]


@dataclass(frozen=True)
class _Added:
    """A file as a commit adds or changes it; `before` are its contents in the parents."""

    commit: str
    path: bytes
    blob: str | None
    before: tuple[str, ...]
    is_new: bool


def find_leak(git: Git, mirror: Path, base: str, tip: str, mask: SecretMask) -> Leak | None:
    """The first secret that the commits `base..tip` add, None where they add none.

    Raises GitFailed where not all of them could be read: nothing is known then.
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
            # what stood in the file already is at origin
            known = {name for held in reader.read(one.before).values() for name in held}
            new = {name: line for name, line in lines.items() if name not in known}
            if new:
                name = min(new, key=lambda one: new[one])
                return Leak(name, one.commit, mask.mask_text(path), new[name])
    return None


def _unread(added: Iterable[_Added]) -> Iterator[_Added]:
    """The same, each content only where it is met first."""
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
    """`:mode mode sha sha A`, or `::mode mode mode sha sha sha AM` of a merge."""
    parents = len(entry) - len(entry.lstrip(b":"))
    fields = entry[parents:].split(b" ")
    mode, status = fields[parents], fields[-1]
    *before, blob = (sha.decode("ascii") for sha in fields[parents + 1 : -1])
    if not blob.strip("0"):
        return None  # it is deleted
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
    """Reads objects of a mirror, however large, and tells what secrets they hold."""

    def __init__(self, git: Git, mirror: Path, mask: SecretMask, left: _Left) -> None:
        self._git = git
        self._mirror = mirror
        self._mask = mask
        self._left = left

    def read(self, shas: Iterable[str]) -> dict[str, Lines]:
        """The secrets in each of these. Raises GitFailed where one could not be read."""
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
    """Goes through what `cat-file --batch` writes, in whatever pieces it comes."""

    def __init__(self, mask: SecretMask) -> None:
        self.found: dict[str, Lines] = {}
        self._mask = mask
        self._head = b""
        # of the object that is being read: what is left of it, and where the search is
        self._left = 0
        self._lines: Lines = {}
        self._kept, self._line = b"", 1

    @property
    def is_whole(self) -> bool:
        """True between two objects."""
        return not self._left and not self._head

    def take(self, content: bytes) -> None:
        """Take in the bytes that follow. Raises GitFailed for an object that is not there."""
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
        # the line's end behind each object is read with it
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


# the limit of a look at sizes, all of its calls together
SIZE_SECONDS = 300.0
# so many are named and measured; who has more has enough to read
_MOST = 1000


def large_files(git: Git, git_dir: Path, base: str, tip: str, above: int) -> list[LargeFile]:
    """The files above that many bytes in any commit that origin does not have, largest first.

    In every commit of `base..tip`, not only in the last. Raises GitFailed.
    """
    left = countdown(SIZE_SECONDS)
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
