"""What is declared in requirements/ is imported, and what is imported is declared."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.drivers.source_tree import ROOT

# declared without an import, and why
UNIMPORTED = {
    "tzdata": "zoneinfo reads it where the machine has no time zones",
    "setuptools": "builds the command `runyard`",
    "pytest-asyncio": "a plugin of pytest",
    "pytest-playwright": "a plugin of pytest",
    "pytest-timeout": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "a program of `make lint`",
    "pyright": "a program of `make lint`",
}


# has an environment of its own
CLIENT = "tests/bench/client"


def declared(file: str, folder: str = "requirements") -> set[str]:
    lines = (ROOT / folder / file).read_text().splitlines()
    return {name(line) for line in lines if line and line[0].isalpha()}


def name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@cache
def imported(*places: str) -> dict[str, str]:
    """Return the libraries that files of these places import, each with one of the files."""
    libraries = _libraries()
    found: dict[str, str] = {}
    for place in places:
        for file in sorted([*(ROOT / place).rglob("*.py")] or [ROOT / place]):
            if place != CLIENT and file.is_relative_to(ROOT / CLIENT):
                continue
            for module in modules_of(file) - sys.stdlib_module_names - {"app", "tests", "main"}:
                for library in libraries.get(module, [module]):
                    found.setdefault(name(library), file.relative_to(ROOT).as_posix())
    return found


_libraries = cache(packages_distributions)


def modules_of(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_the_program_imports_what_it_declares_and_declares_what_it_imports() -> None:
    ours, used = declared("run.in"), imported("app", "main.py")
    assert {one: used[one] for one in used.keys() - ours - declared("native.in")} == {}
    assert ours - used.keys() - UNIMPORTED.keys() == set()


def test_the_tests_import_what_they_declare_and_declare_what_they_import() -> None:
    ours, used = declared("test.in"), imported("tests")
    assert {one: used[one] for one in used.keys() - ours - declared("run.in")} == {}
    assert ours - used.keys() - UNIMPORTED.keys() == set()
    assert ours & declared("run.in") == set(), "declared twice"


def test_the_bench_client_imports_what_it_declares_and_declares_what_it_imports() -> None:
    assert imported(CLIENT).keys() == declared("requirements.in", CLIENT)


def test_every_explanation_is_needed() -> None:
    ours = declared("run.in") | declared("test.in")
    assert UNIMPORTED.keys() - ours == set()
    used = imported("app", "main.py").keys() | imported("tests").keys()
    assert UNIMPORTED.keys() & used == set()


def test_what_is_declared_is_pinned() -> None:
    files = [("requirements", file) for file in ("run", "test", "native")]
    for folder, file in [*files, (CLIENT, "requirements")]:
        pinned = {
            name(line)
            for line in (ROOT / f"{folder}/{file}.txt").read_text().splitlines()
            if "==" in line
        }
        assert declared(f"{file}.in", folder) - pinned == set(), file
