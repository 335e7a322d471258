"""Toolchains in a home folder, and the PATH and environment that go with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.adapters.agents.installs import is_below

# each names a toolchain's folder, and is useful only if that folder is visible
_NAMING = (
    *("PYENV_ROOT", "NVM_DIR", "RUSTUP_HOME", "GOROOT", "JAVA_HOME", "VOLTA_HOME", "ASDF_DIR"),
    *("ASDF_DATA_DIR", "FNM_DIR", "SDKMAN_DIR", "RBENV_ROOT", "DOTNET_ROOT", "PNPM_HOME"),
)
_PROGRAMS = ("bin", "shims", "current/bin", "go/bin")


def toolchain_folders(named: Sequence[str], home: Path) -> list[Path]:
    """Return the folders that a project names, as absolute paths; never a whole home."""
    folders = [Path(os.path.normpath(os.path.expanduser(_at_home(one, home)))) for one in named]
    return [one for one in folders if one.is_absolute() and not is_below(home, one)]


def toolchain_environment(
    folders: Sequence[Path], environment: Mapping[str, str], home: Path
) -> dict[str, str]:
    """Return PATH with the programs of these folders, and variables for them and their caches."""
    told = {
        name: environment[name]
        for name in _NAMING
        if environment.get(name) and _lies_in(environment[name], folders)
    }
    # caches go elsewhere: the toolchain's folder is read-only
    names = {folder.name: str(folder) for folder in folders}
    if ".cargo" in names:
        told["CARGO_HOME"] = str(home / ".cache" / "cargo")
    if home / "go" in folders:
        told["GOPATH"] = str(home / ".cache" / "go")
    if ".rustup" in names:
        told.setdefault("RUSTUP_HOME", names[".rustup"])
    own = [home / ".local" / "bin"]
    # nvm refuses to work with this prefix set
    if ".nvm" not in names:
        told["NPM_CONFIG_PREFIX"] = str(home / ".cache" / "npm-global")
        own.append(home / ".cache" / "npm-global" / "bin")
    before = environment.get("PATH", os.defpath).split(os.pathsep)
    found = [str(place) for one in folders for place in _program_folders(one)]
    # after the system's: a program that a run has installed must not replace one of them
    path = [*(one for one in found if one not in before), *before, *map(str, own)]
    told["PATH"] = os.pathsep.join(dict.fromkeys(path))
    return told


def _program_folders(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in _PROGRAMS if (folder / name).is_dir())
    # nvm keeps every version of Node, and a file that names the default
    if versions := _node_versions(folder):
        yield max(versions, key=_number) / "bin"


def _node_versions(folder: Path) -> list[Path]:
    place = folder / "versions" / "node"
    versions = [one for one in place.iterdir() if (one / "bin").is_dir()] if place.is_dir() else []
    try:
        wanted = (folder / "alias" / "default").read_text(errors="replace")[:64].strip()
    except OSError:
        wanted = ""
    named = wanted if wanted.startswith("v") else f"v{wanted}"
    is_named = [one for one in versions if f"{one.name}.".startswith(f"{named}.")]
    return is_named or versions


def _number(version: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in version.name.strip("v").split(".") if part.isdecimal())


def _at_home(folder: str, home: Path) -> str:
    return f"{home}{folder[1:]}" if folder == "~" or folder.startswith("~/") else folder


def _lies_in(place: str, folders: Sequence[Path]) -> bool:
    return any(is_below(Path(os.path.normpath(place)), folder) for folder in folders)
