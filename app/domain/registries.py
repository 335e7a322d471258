"""The public package registries that a project's languages need, known by its files' names."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

_PYPI = ("pypi.org", "files.pythonhosted.org")
_NPM = ("registry.npmjs.org", "registry.yarnpkg.com")
_CRATES = ("index.crates.io", "static.crates.io", "crates.io")
_GO = ("proxy.golang.org", "sum.golang.org")
_MAVEN = ("repo.maven.apache.org", "repo1.maven.org")
_GRADLE = (
    *_MAVEN,
    *("plugins.gradle.org", "plugins-artifacts.gradle.org", "services.gradle.org"),
    *("downloads.gradle.org", "maven.google.com", "dl.google.com"),
)
_GEMS = ("rubygems.org", "index.rubygems.org")
_NUGET = ("api.nuget.org",)
_PACKAGIST = ("repo.packagist.org", "packagist.org")
_HEX = ("repo.hex.pm", "hex.pm", "builds.hex.pm")

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
    """The registries' hosts for a folder with files of these names, sorted."""
    found = {name.lower() for name in names}
    return sorted(
        {
            host
            for pattern, hosts in _BY_FILE.items()
            if any(fnmatchcase(name, pattern) for name in found)
            for host in hosts
        }
    )
