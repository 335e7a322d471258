"""Protected paths: what patterns of a .gitignore name among the files of a change."""

from __future__ import annotations

import pytest

from app.domain.projects.autoland import Autoland
from app.services.ports import ChangedFile
from app.services.protected_paths import size_of


def protected(patterns: list[str], *files: ChangedFile) -> str | None:
    """Return the first path of these files that the patterns protect."""
    return size_of(Autoland(protected_paths=tuple(patterns)), files).protected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (".github/", ".github/workflows/ci.yml"),
        (".github/", "web/.github/ci.yml"),
        # a link in place of the folder
        (".github/", ".github"),
        ("/RUNYARD.md", "RUNYARD.md"),
        ("*.lock", "web/poetry.lock"),
        ("docs/**/secret", "docs/a/b/secret"),
        (".github/", '.github/a\n"b'),
        ("Ä*", "Änderung"),
        ("a\\ ", "a "),
    ],
)
def test_a_pattern_protects(pattern: str, path: str) -> None:
    assert protected([pattern], ChangedFile(path)) == path


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("/RUNYARD.md", "docs/RUNYARD.md"), ("*.lock", "lock.py"), (".github/", "github/ci.yml")],
)
def test_a_pattern_protects_nothing_else(pattern: str, path: str) -> None:
    assert protected([pattern], ChangedFile(path)) is None


def test_both_names_of_a_rename_count() -> None:
    assert protected([".github/"], ChangedFile("ci.yml", previous=".github/ci.yml"))
    assert protected([".github/"], ChangedFile(".github/ci.yml", previous="ci.yml"))


def test_a_later_pattern_takes_back_what_an_earlier_one_protects() -> None:
    patterns = ["docs/*", "!docs/free.md"]
    assert protected(patterns, ChangedFile("docs/free.md")) is None
    assert protected(patterns, ChangedFile("docs/other.md")) == "docs/other.md"


def test_lines_of_a_file_without_lines_are_unknown() -> None:
    binary = ChangedFile("a.png", additions=None, deletions=None)
    assert size_of(Autoland(), [ChangedFile("a", additions=2), binary]).lines is None
    assert size_of(Autoland(), [ChangedFile("a", additions=2, deletions=3)]).lines == 5
