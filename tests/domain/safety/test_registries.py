"""Package registries a project's agents need, derived from its files."""

from __future__ import annotations

import pytest

from app.domain.sandbox.network_rules import NetworkRules
from app.domain.sandbox.registries import registries_of


@pytest.mark.parametrize(
    ("name", "host"),
    {
        "pyproject.toml": "pypi",
        "requirements-dev.txt": "files.pythonhosted",
        "package.json": "registry.npmjs",
        "Cargo.toml": "static.crates",
        "go.mod": "sum.golang",
        "pom.xml": "repo.maven.apache",
        "build.gradle.kts": "plugins.gradle",
        "Gemfile": "rubygems",
    }.items(),
)
def test_a_language_brings_its_registry(name, host):
    found = registries_of(["README.md", name])
    assert host in {one.rpartition(".")[0] for one in found}


def test_a_project_without_packages_needs_no_registry():
    assert registries_of(["README.md", "main.c", "package.json.bak", "x\ud800\n"]) == []


def test_every_registry_is_a_host_that_can_be_allowed():
    names = ["setup.py", "package.json", "Cargo.toml", "go.work", "pom.xml", "build.gradle"]
    names += ["Gemfile", "a.csproj", "composer.json", "mix.exs"]
    assert NetworkRules.read(registries_of(names), [])
