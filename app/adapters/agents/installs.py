"""Where an agent's program was installed: what of a home folder it needs, and never all of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_FIRST_BYTES = 512
_MOST_STEPS = 12
# below the home folder: programs alone, however many; nobody signs in to them
_MANAGERS = (
    *(".pyenv", ".nvm", ".asdf", ".volta", ".rbenv", ".nodenv", ".fnm", ".sdkman", ".rustup"),
    *(".local/share/mise", ".local/share/fnm", ".local/share/uv", ".local/share/pipx"),
)
# what says that a folder is an environment of Python's
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
_SYSTEM = ("/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib64")


@dataclass(frozen=True)
class Install:
    """The files and folders of a program beyond the system's own, and the links that lead there.

    Folders are the outermost ones; a link is in none of them, and maps to what it says.
    """

    places: tuple[Path, ...]
    links: Mapping[Path, str]


def find_install(programs: Iterable[str], environment: Mapping[str, str]) -> Install:
    """The files that these programs need: their own, and those of their interpreters.

    Each is a name, looked for in PATH, or a path; links are followed as far as they lead.
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
    """True where a path is a folder, or lies in it."""
    return path == folder or folder in path.parents


def _steps(program: str, path: str) -> Iterator[Path]:
    """The program as it is found, what it links to, and its interpreter in the same way."""
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
        # a folder above it may be a link
        real = Path(os.path.realpath(place.parent)) / place.name
        if real != place:
            todo.append(str(real))


def _interpreter(program: Path) -> str:
    """The interpreter in a script's first line: a path or a name behind env, else empty."""
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
    """The install that a file belongs to: a folder of programs alone, or only the file."""
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
    """True for a hidden folder of the home where no sign-ins and other programs are kept."""
    shared = (home / ".local", home / ".local" / "share", home / ".config", home / ".cache")
    if folder in shared or not is_below(folder, home):
        return False
    return any(part.startswith(".") for part in folder.relative_to(home).parts)


def _user_packages(program: Path, home: Path) -> Path | None:
    """Python's packages of this user, for a script that pip put beside them."""
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
