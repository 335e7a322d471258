"""Private homes of sandboxed agents: one folder per project and agent, with only that sign-in.

An agent renews its sign-in by replacing the file, so its home holds a copy, and new tokens are
copied back to the user's own file: see `renewals`. Every file in a home may be hostile.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from time import monotonic

import structlog

from app.adapters.agents import renewals
from app.adapters.agents.catalogue.preset import Lent, Preset, built_in
from app.adapters.agents.installs import find_install, is_below
from app.adapters.agents.toolchains import toolchain_environment, toolchain_folders
from app.adapters.git.layout import checked_id, measure, remove_tree
from app.adapters.machine.file_locks import FileLocks
from app.adapters.sandbox import home_files
from app.adapters.sandbox.layout import home_inside, home_of
from app.domain.secret_masks import Secret
from app.services.ports.homes import PrivateHome, PrivateHomeUnavailable

log = structlog.get_logger()
TEMPORARY = "/tmp"  # noqa: S108 (of the sandbox, private to one run)
_XDG = {"CONFIG": ".config", "DATA": ".local/share", "CACHE": ".cache", "STATE": ".local/state"}
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
_LENT_BY_NAME = ".config/runyard"
_GONE = ".gone-"
_WRITING_SECONDS = 5.0
# how long the tokens are cached: everything that masks secrets asks for them
_TOKENS_SECONDS = 1.0
_SYSTEM = tuple(Path(folder) for folder in ("/usr", "/etc", "/opt", "/lib", "/lib64", "/bin"))
# some files hold years of history
_OWN_MAX_BYTES = 64 * 1024 * 1024


class UserFileUnreadable(OSError):
    """A file of the user's cannot be read, so that it may or may not hold a sign-in."""


class UserFileUnwritable(OSError):
    """A file of the user's cannot be replaced."""


class PrivateHomes:
    """The homes `<root>/<project>/<agent>`, closed to other users.

    `environment` is the user's own and locates the agents' own files.
    """

    def __init__(
        self,
        root: Path,
        environment: Mapping[str, str],
        clock: Callable[[], datetime],
        presets: Sequence[Preset] | None = None,
    ) -> None:
        self._root = root.absolute()
        self._environment = environment
        self._home = home_of(environment)
        self._inside = home_inside(environment)
        self._clock = clock
        self._given = presets
        self._locks = FileLocks(self._root / ".locks")
        # change times of both files of a sign-in, in the home and the user's, at the last check
        self._seen: dict[tuple[Path, Lent], tuple[int, int]] = {}
        # change time of the user's own file at the last check, and its tokens
        self._tokens: dict[Lent, tuple[int, tuple[Secret, ...]]] = {}
        self._tokens_seen_at = -_TOKENS_SECONDS

    @cached_property
    def _presets(self) -> dict[str, Preset]:
        # read at first use: a server starts faster without them
        known = built_in() if self._given is None else self._given
        return {preset.name: preset for preset in known}

    def prepare(
        self, project_id: str, agent: str, programs: Sequence[str], toolchains: Sequence[str]
    ) -> PrivateHome:
        """Prepare a run's home with its sign-in. Raises PrivateHomeUnavailable."""
        try:
            return self._lodge(project_id, agent, programs, toolchains)
        except OSError as problem:
            why = problem.strerror or str(problem)
            raise PrivateHomeUnavailable(
                f"Could not prepare the agent's private home: {why}."
            ) from problem

    def keep_in_step(self, project_id: str, agent: str) -> list[str]:
        """Copy renewed sign-ins either way; return a sentence for each one not copied back."""
        renewed = [lent for lent in self._lent(agent) if lent.renewal is not None]
        refused: list[str] = []
        if not renewed:
            return refused
        home = self._place(project_id, agent)
        if not home.is_dir() or home.is_symlink():
            return refused
        with self._locks.holding(agent, wait=True):
            for lent in renewed:
                try:
                    self._exchange(home, lent)
                except renewals.NotRenewed as why:
                    refused.append(_refusal(agent, lent, why))
                except OSError as problem:
                    log.warning(
                        "sign_in_file_not_kept_in_step",
                        file=lent.file,
                        agent=agent,
                        because=problem,
                    )
        return refused

    def secrets(self) -> list[Secret]:
        """Return the tokens of every sign-in in the user's own files, at most a second old."""
        now = monotonic()
        if now - self._tokens_seen_at >= _TOKENS_SECONDS:
            self._tokens_seen_at = now
            for agent in self._presets:
                for lent in self._lent(agent):
                    self._look_for_tokens(agent, lent)
        return [secret for _, found in self._tokens.values() for secret in found]

    def _look_for_tokens(self, agent: str, lent: Lent) -> None:
        changed = self._own_changed(lent)
        if lent.renewal is None or self._tokens.get(lent, (0, ()))[0] == changed:
            return
        try:
            own = self._read_own(lent)
        except UserFileUnreadable:
            return  # the tokens read earlier stay secrets
        tokens = renewals.tokens_in(own or b"", lent.renewal)
        found = tuple(Secret(f"the sign-in of {agent}", token) for token in tokens)
        self._tokens = {**self._tokens, lent: (changed, found)}

    def remove(self, project_id: str) -> None:
        """Delete the homes of a project without following links. Raises OSError."""
        # renamed first, so that the next run can create a new home at once
        aside = f"{_GONE}{secrets.token_hex(6)}"
        with suppress(FileNotFoundError):
            os.rename(self._root / checked_id(project_id), self._root / aside)
            remove_tree(self._root, aside)

    def clear_leftovers(self) -> int:
        """Delete what interrupted removals left behind; return how many there were."""
        if not self._root.is_dir():
            return 0
        left = [name for name in os.listdir(self._root) if name.startswith(_GONE)]
        for name in left:
            remove_tree(self._root, name)
        return len(left)

    def measure(self) -> dict[str, int]:
        """Return the size of each project's homes in bytes, by project id."""
        if not self._root.is_dir():
            return {}
        with os.scandir(self._root) as entries:
            found = [one for one in entries if one.is_dir(follow_symlinks=False)]
        return {one.name: measure(Path(one.path)) for one in found if one.name[0] != "."}

    def _lodge(
        self, project_id: str, agent: str, programs: Sequence[str], toolchains: Sequence[str]
    ) -> PrivateHome:
        home = self._make(self._place(project_id, agent))
        folders = [one for one in toolchain_folders(toolchains, self._home) if one.is_dir()]
        install = find_install(programs, self._environment)
        bundles = [Path(self._environment.get(name, "")) for name in _CERTIFICATES]
        certificates = [one for one in bundles if one.is_absolute() and one.exists()]
        wanted = [*folders, *install.places, *certificates]
        readable = [one for one in wanted if not any(is_below(one, place) for place in _SYSTEM)]
        for place, target in install.links.items():
            if is_below(place, self._inside):
                *above, name = place.relative_to(self._inside).parts
                with home_files.open_folder(home, above) as folder:
                    home_files.link(folder, name, target)
            else:
                readable.append(place)
        told = toolchain_environment(folders, self._environment, self._inside)
        told |= {f"XDG_{name}_HOME": str(self._inside / place) for name, place in _XDG.items()}
        told |= {"HOME": str(self._inside), "TMPDIR": TEMPORARY}
        with self._locks.holding(agent, wait=True):
            told |= self._sign_in(home, agent)
        withheld = {lent.variable for lent in self._lent(agent)} - {"", *told}
        return PrivateHome(home, tuple(dict.fromkeys(readable)), told, withheld)

    def _sign_in(self, home: Path, agent: str) -> dict[str, str]:
        """Put the agent's sign-in into its home; return variables for it. Raises OSError."""
        for lent in self._lent(agent):
            about = {"file": lent.file, "agent": agent}
            try:
                own = self._read_own(lent)
            except UserFileUnreadable as problem:
                log.warning("sign_in_file_put_back", **about, because=problem)
                continue
            try:
                if self._take_back(home, lent, own):
                    continue
            except UserFileUnwritable as problem:
                log.warning("renewed_sign_in_not_taken_back", **about, because=problem)
                continue
            except renewals.NotRenewed as why:
                if self._is_being_written(home, lent, why):
                    continue
                log.warning("renewed_sign_in_refused", because=_refusal(agent, lent, why))
            self._give(home, lent, own)
        told = {}
        preset = self._presets.get(agent)
        for name in preset.sign_in.lent_variables if preset else ():
            content = None
            with suppress(UserFileUnreadable):
                content = _read_whole(Path(self._environment.get(name) or "/nonexistent"))
            if content is not None:
                with home_files.open_folder(home, _LENT_BY_NAME.split("/")) as folder:
                    home_files.write(folder, name, content)
                told[name] = str(self._inside / _LENT_BY_NAME / name)
        return told

    def _exchange(self, home: Path, lent: Lent) -> None:
        """Copy a sign-in either way while agents may be running: only a newer one replaces theirs.

        Raises NotRenewed, UserFileUnreadable, OSError.
        """
        back = home_files.read(home, _inside(lent))
        changed = self._own_changed(lent)
        seen = (back.changed if back else 0, changed)
        if not changed or self._seen.get((home, lent)) == seen:
            return
        try:
            own = self._read_own(lent)
            if not self._take_back(home, lent, own) and (back is None or back.changed < changed):
                self._give(home, lent, own)
        except OSError:
            seen = (0, 0)  # retry at the next check
            raise
        except renewals.NotRenewed as why:
            if not self._is_being_written(home, lent, why):
                raise
            seen = (0, 0)
        finally:
            self._seen[home, lent] = seen

    def _take_back(self, home: Path, lent: Lent, own: bytes | None) -> bool:
        """Put newer tokens into the user's own file; return True if there were some.

        Raises NotRenewed, OSError.
        """
        back = home_files.read(home, _inside(lent))
        if lent.renewal is None or own is None or back is None:
            return False
        # a file older than the user's own was renewed from an older sign-in
        if back.changed <= self._own_changed(lent):
            return False
        taken = renewals.take_back(own, back.content, lent.renewal, self._clock())
        if taken is not None:
            self._write_own(lent, own, taken)
        return taken is not None

    def _is_being_written(self, home: Path, lent: Lent, why: renewals.NotRenewed) -> bool:
        """Return True if an agent may still be writing the file that cannot be parsed."""
        back = home_files.read(home, _inside(lent))
        if back is None or not isinstance(why, renewals.NotReadable):
            return False
        return self._clock().timestamp() - back.changed / 1e9 < _WRITING_SECONDS

    def _give(self, home: Path, lent: Lent, own: bytes | None) -> None:
        """Copy the user's own file into the home; if there is none, remove it. Raises OSError."""
        *above, name = _inside(lent)
        try:
            wanted = renewals.pick(lent, own) if own is not None else None
        except (ValueError, RecursionError):
            wanted = None
        left = home_files.read(home, [*above, name])
        there = left.content if left else None
        content = renewals.fit_in(lent, wanted, there)
        if content is not None and content == there:
            return
        with home_files.open_folder(home, above) as folder:
            if content is None:
                home_files.drop(folder, name)
            else:
                home_files.write(folder, name, content)

    def _lent(self, agent: str) -> Sequence[Lent]:
        preset = self._presets.get(agent)
        return preset.sign_in.lent if preset else ()

    def _place(self, project_id: str, agent: str) -> Path:
        return self._root / checked_id(project_id) / checked_id(agent)

    def _make(self, home: Path) -> Path:
        for folder in (self._root, home.parent, home):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # an agent may have closed its own home, but cannot reach the folders above
            if folder.is_symlink():
                raise OSError(f"{folder.name} is a link")
            folder.chmod(0o700)
        return home

    def _own_place(self, lent: Lent) -> Path:
        folder = self._environment.get(lent.variable, "") or lent.folder
        if folder == "~" or folder.startswith("~/"):
            folder = f"{self._home}{folder[1:]}"
        # the user may keep the file elsewhere and link to it
        return Path(os.path.realpath(Path(folder) / lent.file))

    def _own_changed(self, lent: Lent) -> int:
        """Return when the user's own file was written, in ns since 1970, 0 if there is none."""
        try:
            seen = self._own_place(lent).stat()
        except OSError:
            return 0
        # an mtime set to a time in the future must not block renewals
        return min(seen.st_mtime_ns, seen.st_ctime_ns)

    def _read_own(self, lent: Lent) -> bytes | None:
        return _read_whole(self._own_place(lent))

    def _write_own(self, lent: Lent, before: bytes, content: bytes) -> None:
        """Replace the user's own file unless it has changed since it was read.

        Raises UserFileUnwritable.
        """
        place = self._own_place(lent)
        fresh = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
        try:
            mode = place.stat().st_mode & 0o777
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, mode)  # the server's umask would take the group's rights away
                file.write(content)
                file.flush()
                os.fsync(fd)
            if self._read_own(lent) == before:
                os.replace(fresh, place)
        except OSError as problem:
            raise UserFileUnwritable(problem.errno, problem.strerror) from problem
        finally:
            with suppress(OSError):
                os.unlink(fresh)


def _inside(lent: Lent) -> list[str]:
    """Return the path's parts in a private home, where no variable moves the folder."""
    folder = lent.folder.removeprefix("~").strip("/")
    return [*(part for part in folder.split("/") if part), lent.file]


def _read_whole(place: Path) -> bytes | None:
    """Return a file of the user's, None if there is none. Raises UserFileUnreadable."""
    try:
        fd = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            content = file.read(_OWN_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise UserFileUnreadable(problem.errno, problem.strerror) from problem
    if len(content) > _OWN_MAX_BYTES:
        raise UserFileUnreadable("it is too large")
    return content


def _refusal(agent: str, lent: Lent, why: renewals.NotRenewed) -> str:
    return f"The sign-in of {agent} was not taken back from its private home ({lent.file}): {why}."
