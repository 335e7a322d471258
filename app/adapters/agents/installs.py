"""Installs of agents' programs: the parts of a home folder that each needs, never all of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FIRST_BYTES = 512
_MOST_STEPS = 12
# below the home folder: version managers, whose folders hold programs and no sign-ins
_MANAGERS = (
    *(".pyenv", ".nvm", ".asdf", ".volta", ".rbenv", ".nodenv", ".fnm", ".sdkman", ".rustup"),
    *(".local/share/mise", ".local/share/fnm", ".local/share/uv", ".local/share/pipx"),
)
# entries that mark a folder as a Python environment
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
_SYSTEM = ("/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib64")


@dataclass(frozen=True)
class Install:
    """The files and folders of a program outside the system's own, and the links to them.

    `places` holds the outermost ones; `links` maps each link outside them to its target.
    """

    places: tuple[Path, ...]
    links: Mapping[Path, str]


def find_install(programs: Iterable[str], environment: Mapping[str, str]) -> Install:
    """Return the files that these programs and their interpreters need.

    Each program is a path, or a name to find in PATH; links are followed to their end.
    """
    home, path = Path(environment.get("HOME") or "/nonexistent"), environment.get("PATH", "")
    found_steps = [step for program in programs for step in _steps(program, path)]
    steps = [step for step in found_steps if not _is_system(step)]
    found = {_place_of(step, home) for step in steps if not step.is_symlink()}
    found.update(packages for step in steps if (packages := _user_packages(step, home)))
    places = _outermost(found)
    links = {
        step: os.readlink(step)
        for step in steps
        if step.is_symlink() and not any(is_below(step, place) for place in places)
    }
    return Install(places, links)


def is_below(path: Path, folder: Path) -> bool:
    """Return True if `path` is `folder` or lies in it."""
    return path == folder or folder in path.parents


def _steps(program: str, path: str) -> Iterator[Path]:
    """Yield the program as found, what it links to, and its interpreter likewise."""
    left, todo = _MOST_STEPS, [program]
    while todo and left:
        left -= 1
        word = todo.pop()
        found = word if os.path.isabs(word) else shutil.which(word, path=path)
        if not found or not (os.path.islink(found) or os.path.isfile(found)):
            continue
        place = Path(os.path.normpath(found))
        yield place
        if place.is_symlink():
            todo.append(os.path.join(place.parent, os.readlink(place)))
        elif interpreter := _interpreter(place):
            todo.append(interpreter)
        # a folder above may be a link
        real = Path(os.path.realpath(place.parent)) / place.name
        if real != place:
            todo.append(str(real))


def _interpreter(program: Path) -> str:
    """Return the interpreter in a script's first line, a path or a name after env, else empty."""
    try:
        with open(program, "rb", opener=_open_at_once) as file:
            first = file.read(_FIRST_BYTES).partition(b"\n")[0]
    except OSError:
        return ""
    if not first.startswith(b"#!"):
        return ""
    words = os.fsdecode(first[2:]).split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else ""


def _place_of(program: Path, home: Path) -> Path:
    """Return the install that a file belongs to: a folder of programs only, or just the file."""
    for manager in _MANAGERS:
        if is_below(program, home / manager):
            return home / manager
    for folder in program.parents:
        if is_below(home, folder):
            break
        if folder.name == "node_modules":
            prefix = folder.parent.parent
            is_prefix = folder.parent.name == "lib" and _is_apart(prefix, home)
            return prefix if is_prefix else folder
        if any((folder / name).exists() for name in _ENVIRONMENTS):
            return folder
    own = program.parent
    return own if _is_apart(own, home) and own.name != "bin" else program


def _is_apart(folder: Path, home: Path) -> bool:
    """Return True for a folder in a hidden folder of the home, unless other programs share it."""
    shared = (home / ".local", home / ".local" / "share", home / ".config", home / ".cache")
    if folder in shared or not is_below(folder, home):
        return False
    return any(part.startswith(".") for part in folder.relative_to(home).parts)


def _user_packages(program: Path, home: Path) -> Path | None:
    """Return the user's folder of Python packages, for a script that pip installed with them."""
    if program.parent != home / ".local" / "bin" or "python" not in _interpreter(program):
        return None
    packages = home / ".local" / "lib"
    return packages if packages.is_dir() else None


def _is_system(path: Path) -> bool:
    return any(is_below(path, Path(folder)) for folder in _SYSTEM)


def _outermost(found: Collection[Path]) -> tuple[Path, ...]:
    outer: list[Path] = []
    for path in sorted(found, key=lambda one: (len(one.parts), one)):
        if not any(is_below(path, one) for one in outer):
            outer.append(path)
    return tuple(outer)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
