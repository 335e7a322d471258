"""The names in the pages for contributors: every file, function and folder they name is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TABLE = "The capabilities"
PAGES = (ROOT / "CONTRIBUTING.md", ARCHITECTURE, ROOT / "docs" / "words.md")

# the one notation: a path from the root, then `::` and the dotted name inside the file
NAMED = re.compile(r"[\w./-]*\w\.py\b(?:::\w+(?:\.\w+)*)?")
FOLDER = re.compile(r"`((?:app|tests|docs|scripts|assets|requirements)/[\w./-]*)/`")
CALL = re.compile(r"`[\w.]+\(\)`")
TARGET = re.compile(r"`make ([a-z-]+)")
LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def names_in(body: Sequence[ast.stmt], above: str = "") -> Iterator[str]:
    """The dotted names of classes, functions and constants, nested ones included."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield f"{above}{node.name}"
            # a function's own variables are nobody else's
            inner = [one for one in node.body if isinstance(one, Function | ast.ClassDef)]
            yield from names_in(
                node.body if isinstance(node, ast.ClassDef) else inner, f"{above}{node.name}."
            )
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for part in (part for target in targets for part in ast.walk(target)):
                if isinstance(part, ast.Name):
                    yield f"{above}{part.id}"


@cache
def defined_in(path: Path) -> frozenset[str]:
    return frozenset(names_in(ast.parse(path.read_text("utf-8")).body))


def missing_names(text: str) -> list[str]:
    """The names in a page that lead nowhere."""
    found = []
    for name in NAMED.findall(text):
        file, _, inside = name.partition("::")
        path = ROOT / file
        if not path.is_file() or (inside and inside not in defined_in(path)):
            found.append(name)
    return found


def prose(page: Path) -> str:
    """The page without the table whose cells are paths below their column's layer."""
    text = page.read_text("utf-8")
    return text.replace(section(page, TABLE), "") if page == ARCHITECTURE else text


def section(page: Path, title: str) -> str:
    """The part of a page below a heading of the second level."""
    found = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page.read_text("utf-8"), re.M | re.S
    )
    assert found is not None, f"{page.name} has no section {title!r}"
    return found[1]


def by_name(page: Path) -> str:
    return page.name


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_file_and_function_that_a_page_names_is_there(page: Path) -> None:
    text = prose(page)
    assert NAMED.search(text), "the page names no file: is the notation still path.py::name?"
    assert missing_names(text) == []


@pytest.mark.parametrize(
    "name",
    [
        "app/services/kept/never_written.py",
        "retry.py",
        "app/services/kept/retry.py::NoDesk",
        "app/services/kept/retry.py::RetryService.never_written",
        "app/services/kept/retry.py::RetryService.retry.run_id",
    ],
)
def test_a_name_that_leads_nowhere_is_found(name: str) -> None:
    assert missing_names(f"See `{name}`, which is not there.") == [name]


@pytest.mark.parametrize(
    "name",
    [
        "main.py",
        "app/services/kept/retry.py",
        "app/services/kept/retry.py::RetryService.retry",
        "app/domain/lifecycle.py::MOVES",
        "app/domain/words.py::Status.QUEUED",
        "app/api/routes/runs.py::_starting.start_run",
    ],
)
def test_a_file_method_constant_or_nested_function_is_known(name: str) -> None:
    assert missing_names(f"See `{name}`.") == []


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_no_function_is_named_without_its_file(page: Path) -> None:
    assert CALL.findall(page.read_text("utf-8")) == [], "write `path.py::function`"


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_folder_target_and_link_of_a_page_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert [name for name in FOLDER.findall(text) if not (ROOT / name).is_dir()] == []
    assert set(TARGET.findall(text)) - targets == set()
    local = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def table_of_capabilities() -> list[list[str]]:
    """The rows of the table, the header first; each cell without its spaces."""
    lines = section(ARCHITECTURE, TABLE).splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows if not set(row[0]) <= {"-", " "}]


def test_every_place_in_the_table_of_capabilities_is_there() -> None:
    header, *rows = table_of_capabilities()
    layers = [cell.strip("`") for cell in header[1:]]
    places = [
        f"{layer}{place}"
        for row in rows
        for layer, cell in zip(layers, row[1:], strict=True)
        for place in re.findall(r"`([^`]+)`", cell)
    ]
    assert len(places) > len(rows)
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_package_of_the_services_is_a_capability() -> None:
    packages = {path.parent.name for path in (ROOT / "app" / "services").glob("*/__init__.py")}
    told = {row[0].strip("*") for row in table_of_capabilities()[1:]}
    assert packages - {"ports"} <= told


def test_what_to_read_first_is_as_long_as_the_page_says() -> None:
    text = section(ARCHITECTURE, "Read in this order")
    said = re.search(r"about ([\d,]+) lines", text)
    assert said is not None
    files = re.findall(r"^\d+\. `([\w./]+\.py)`", text, re.M)
    lines = sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in files)
    promised = int(said[1].replace(",", ""))
    assert abs(lines - promised) <= promised / 10, f"{lines} lines"


def test_the_page_answers_the_five_questions_with_a_function_each() -> None:
    answers = re.split(r"^### ", section(ARCHITECTURE, "Five questions"), flags=re.M)[1:]
    assert len(answers) == 5
    assert [answer.splitlines()[0] for answer in answers if "::" not in answer] == []


def test_no_page_shows_a_word_that_only_a_library_understands() -> None:
    shown = [page.name for page in ROOT.glob("docs/**/*.md") if "Undefined" in page.read_text()]
    assert shown == []
