"""Pushes to a local folder without running its programs unasked.

Its hooks, filters and commands belong to its owner, but an agent can write them too, and they
would run as our children. They run only if a person enabled them, and only while unchanged.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from app.adapters.git.command import Git, GitFailed
from app.adapters.git.environment import personal_config, settings_by_environment
from app.adapters.git.remotes import check_origin, explain
from app.services.ports import OriginProblem

_LIST = ("config", "--list", "-z", "--show-scope", "--includes")
_OWN_SCOPES = ("local", "worktree")
# settings that decide which programs a push starts, and with what
_TELLING = re.compile(r"(?:core|filter|receive|extensions|gc|hook|include|includeif)\.")
_FILTER = re.compile(r"filter\.(.+)\.(?:clean|smudge|process|required)", re.DOTALL)
_HOOK = re.compile(r"hook\.(.+)\.[a-z]+", re.DOTALL)
_HOOK_CAP, _MOST_HOOKS, _DEEPEST = 4 * 1024**2, 500, 4
_OFF = (
    ("core.alternateRefsCommand", "true"),
    ("core.fsmonitor", "false"),
    ("receive.autogc", "false"),
)
# missing objects must not be fetched: an address may name a program
_ENV = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}


@dataclass(frozen=True)
class Receiving:
    """A local folder about to receive a push; `trusted` is the digest when hooks were enabled.

    `settings` come from its own config in file order, so the last of a name wins.
    """

    folder: Path
    settings: tuple[tuple[str, str], ...]
    trusted: str | None

    @classmethod
    def at(cls, git: Git, origin: str, trusted: str | None) -> Receiving:
        """Read a folder's own settings without running anything they name. Raises GitFailed."""
        folder = Path(origin)
        # a plain Git without `keep`: this folder is not ours to restore
        answer = Git(git.identity).run(_LIST, git_dir=_git_dir(folder))
        words = answer.out.decode("utf-8", "surrogateescape").split("\0")
        pairs = zip(words[::2], words[1::2], strict=False)
        found = [entry.partition("\n") for scope, entry in pairs if scope in _OWN_SCOPES]
        return cls(folder, tuple((key, value) for key, _, value in found), trusted)

    def digest(self) -> str:
        """Return a digest of its hooks and of the settings that name programs. Raises OSError."""
        told = hashlib.sha256()
        for key, value in self.settings:
            if _TELLING.match(key):
                _feed(told, key, value)
        for name, is_program, content in _programs(self._hooks):
            _feed(told, name, str(is_program), hashlib.sha256(content).hexdigest())
        return told.hexdigest()

    @cached_property
    def is_trusted(self) -> bool:
        """True if hooks and settings are unchanged since a person enabled the hooks."""
        try:
            return self.trusted is not None and self.trusted == self.digest()
        except OSError:
            return False

    @property
    def has_changed(self) -> bool:
        """True if its hooks were enabled and have changed since."""
        return self.trusted is not None and not self.is_trusted

    def command(self, *, updates_checkout: bool) -> str:
        """Return the command line for `--receive-pack`."""
        update = "updateInstead" if updates_checkout else "refuse"
        settings = [*_OFF, ("receive.denyCurrentBranch", update)]
        if self.is_trusted:
            settings.append(("core.hooksPath", str(self._hooks)))
        else:
            settings += [("core.hooksPath", os.devnull), *self._switched_off()]
        env = _ENV | settings_by_environment(settings)
        # a checkout is updated with its owner's git config, so that their filters write the
        # files, and only where no local changes are in the way
        theirs = ["-u", "GIT_ATTR_NOSYSTEM", *personal_config()] if updates_checkout else []
        words = ["env", *theirs, *(f"{name}={value}" for name, value in env.items())]
        return shlex.join([*words, "git", "receive-pack"])

    def unwritable(self, base: str, uses: Callable[[str], bool]) -> str | None:
        """Return the reason why a checkout of `base` cannot be updated; None if it can.

        `uses(name)` is True if an attribute of the new files names that filter.
        """
        names = self._filters()
        if not names or self.is_trusted or not self._has_checked_out(base):
            return None
        # attributes outside the commit are not parsed: they may apply any of the filters
        has_rules = (self._git_dir / "info" / "attributes").exists()
        has_rules = has_rules or "core.attributesfile" in dict(self.settings)
        used = names if has_rules else [name for name in names if uses(name)]
        if not used:
            return None
        return (
            f"{base} is checked out at origin, where the filter {used[0]} of its own config writes"
            " the files, and Runyard does not run that. Check out another branch there, or switch"
            " on the repository's own hooks in the project's settings, then merge again."
        )

    @property
    def _git_dir(self) -> Path:
        return _git_dir(self.folder)

    @property
    def _hooks(self) -> Path:
        own = dict(self.settings).get("core.hookspath")
        common = _text(self._git_dir / "commondir").strip()
        if own is None:
            return self._git_dir / common / "hooks"
        # relative to where the hooks of a push run: the git folder
        return self._git_dir / os.path.expanduser(own)

    def _filters(self) -> list[str]:
        found = (_FILTER.fullmatch(key) for key, _ in self.settings)
        return list(dict.fromkeys(match[1] for match in found if match))

    def _switched_off(self) -> Iterator[tuple[str, str]]:
        for name in self._filters():
            yield from ((f"filter.{name}.{what}", "") for what in ("clean", "smudge", "process"))
            # better no file than one that the filter did not write
            yield f"filter.{name}.required", "true"
        hooks = (_HOOK.fullmatch(key) for key, _ in self.settings)
        for name in dict.fromkeys(match[1] for match in hooks if match):
            yield f"hook.{name}.enabled", "false"

    def _has_checked_out(self, branch: str) -> bool:
        if dict(self.settings).get("core.bare") == "true":
            return False
        heads = [self._git_dir / "HEAD", *self._git_dir.glob("worktrees/*/HEAD")]
        return any(_text(head).strip() == f"ref: refs/heads/{branch}" for head in heads)


def _git_dir(folder: Path) -> Path:
    inside = folder / ".git"
    if inside.is_file():
        said = _text(inside).strip()
        if said.startswith("gitdir: "):
            return folder / said.removeprefix("gitdir: ")
    return inside if inside.is_dir() else folder


def _text(file: Path) -> str:
    try:
        with os.fdopen(_open(file), "rb") as opened:
            return opened.read(_HOOK_CAP).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def _open(file: Path) -> int:
    fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{file.name} is not a regular file")
    return fd


def _programs(folder: Path) -> Iterator[tuple[str, bool, bytes]]:
    """Yield name, executable bit and content of each file in a hooks folder. Raises OSError."""
    count = 0
    for above, folders, names in os.walk(folder):
        folders.sort()
        if above[len(str(folder)) :].count(os.sep) >= _DEEPEST:
            folders.clear()
        for name in sorted(names):
            path = Path(above, name)
            if name.endswith(".sample") or not path.exists():
                continue
            count += 1
            with os.fdopen(_open(path), "rb") as file:
                content = file.read(_HOOK_CAP + 1)
                is_program = bool(os.fstat(file.fileno()).st_mode & 0o111)
            if count > _MOST_HOOKS or len(content) > _HOOK_CAP:
                raise OSError("its hooks are more or larger than Runyard compares")
            yield str(path.relative_to(folder)), is_program, content


def _feed(told: hashlib._Hash, *words: str) -> None:
    for word in words:
        told.update(word.encode("utf-8", "surrogateescape") + b"\0")


def hooks_digest(git: Git, origin: str) -> str:
    """Return the digest of a folder's hooks and the settings around them. Raises OriginProblem."""
    check_origin(git, origin)
    try:
        return Receiving.at(git, origin, None).digest()
    except GitFailed as failure:
        raise explain(failure) from failure
    except OSError as problem:
        raise OriginProblem(f"Its hooks could not be read: {problem}", for_good=True) from problem
