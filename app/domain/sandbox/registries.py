"""The public package registries that a project's languages need, recognized by file names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def _below(top: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{name}.{top}" for name in names)


_PYPI = _below("org", "pypi", "files.pythonhosted")
_NPM = (*_below("org", "registry.npmjs"), *_below("com", "registry.yarnpkg"))
_CRATES = _below("io", "index.crates", "static.crates", "crates")
_GO = _below("org", "proxy.golang", "sum.golang")
_MAVEN = _below("org", "repo.maven.apache", "repo1.maven")
_GRADLE = (
    *_MAVEN,
    *_below("org", *(f"{name}.gradle" for name in ("plugins", "plugins-artifacts", "services"))),
    *_below("org", "downloads.gradle"),
    *_below("com", "maven.google", "dl.google"),
)
_GEMS = _below("org", "rubygems", "index.rubygems")
_NUGET = _below("org", "api.nuget")
_PACKAGIST = _below("org", "repo.packagist", "packagist")
_HEX = _below("pm", "repo.hex", "hex", "builds.hex")

_BY_FILE = {
    "pyproject.toml": _PYPI,
    "setup.py": _PYPI,
    "setup.cfg": _PYPI,
    "pipfile": _PYPI,
    "requirements*.txt": _PYPI,
    "requirements*.in": _PYPI,
    "package.json": _NPM,
    "cargo.toml": _CRATES,
    "go.mod": _GO,
    "go.work": _GO,
    "pom.xml": _MAVEN,
    "build.gradle": _GRADLE,
    "build.gradle.kts": _GRADLE,
    "settings.gradle": _GRADLE,
    "settings.gradle.kts": _GRADLE,
    "gemfile": _GEMS,
    "*.gemspec": _GEMS,
    "*.csproj": _NUGET,
    "*.fsproj": _NUGET,
    "*.sln": _NUGET,
    "composer.json": _PACKAGIST,
    "mix.exs": _HEX,
}


def registries_of(names: Iterable[str]) -> list[str]:
    """Return the registry hosts for a folder with these file names, sorted."""
    found = {name.lower() for name in names}
    return sorted(
        {
            host
            for pattern, hosts in _BY_FILE.items()
            if any(fnmatchcase(name, pattern) for name in found)
            for host in hosts
        }
    )
