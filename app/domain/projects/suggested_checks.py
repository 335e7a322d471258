"""Checks that the files of a repository suggest, for a project that has none yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from app.domain.json.values import JsonValue
from app.domain.projects.checks import Check

# read from the top of the repository, at the commit where work starts
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
FILES = (
    *MAKEFILES,
    *("pytest.ini", "conftest.py", "pyproject.toml", "setup.cfg", "tox.ini"),
    *("package.json", "Cargo.toml", "go.mod"),
)
# no file needs more than this to be recognized
MOST_BYTES = 256 * 1024
_MAKE_TEST = re.compile(r"^test[ \t]*::?(?!=)", re.MULTILINE)
_PYTEST_SECTIONS = (
    ("pyproject.toml", re.compile(r"^\[tool\.pytest\b", re.MULTILINE)),
    ("setup.cfg", re.compile(r"^\[tool:pytest\]", re.MULTILINE)),
    ("tox.ini", re.compile(r"^\[pytest\]", re.MULTILINE)),
)
_PYTEST_NEEDED = re.compile(r"[\"']pytest\b")
# written by `npm init` where there are no tests
_NO_NPM_TEST = "no test specified"


def suggest_checks(files: Mapping[str, str]) -> list[Check]:
    """Return the checks that these files (text by name, of FILES) suggest, each named alike."""
    found = (
        (_has_make_test(files), ("make", "test")),
        (_has_pytest(files), ("pytest",)),
        (_has_npm_test(files), ("npm", "test")),
        ("Cargo.toml" in files, ("cargo", "test")),
        ("go.mod" in files, ("go", "test", "./...")),
    )
    return [Check(" ".join(command[:2]), command) for is_there, command in found if is_there]


def _has_make_test(files: Mapping[str, str]) -> bool:
    # make reads the first of them alone
    read = next((files[name] for name in MAKEFILES if name in files), "")
    return _MAKE_TEST.search(read) is not None


def _has_pytest(files: Mapping[str, str]) -> bool:
    if "pytest.ini" in files or "conftest.py" in files:
        return True
    sections = (pattern.search(files.get(name, "")) for name, pattern in _PYTEST_SECTIONS)
    return any(sections) or _PYTEST_NEEDED.search(files.get("pyproject.toml", "")) is not None


def _has_npm_test(files: Mapping[str, str]) -> bool:
    try:
        package: JsonValue = json.loads(files.get("package.json", ""))
    except (ValueError, RecursionError):
        return False
    scripts = package.get("scripts") if isinstance(package, dict) else None
    script = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(script, str) and bool(script.strip()) and _NO_NPM_TEST not in script
