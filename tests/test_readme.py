"""The documentation's commands, links, settings and named tests, checked against the program."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAMED_FILE = re.compile(r"`((?:app|tests|scripts)/[\w./-]+)`")


def _commands() -> list[list[str]]:
    text = README.read_text()
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines() if line.strip()]
    return [shlex.split(line) for line in lines]


COMMANDS = _commands()
MAKES = [words for words in COMMANDS if words[0] == "make"]
RUNYARDS = [words for words in COMMANDS if words[0] == "runyard"]


def _run(*words: str, env: dict[str, str], seconds: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "main.py", *words],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_command_of_the_readme_is_of_a_known_kind() -> None:
    assert MAKES
    assert RUNYARDS
    assert len(MAKES) + len(RUNYARDS) == len(COMMANDS)


@pytest.mark.parametrize("words", MAKES, ids=" ".join)
def test_a_make_command_has_its_target(words: list[str]) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(words[1:]) <= set(targets)


@pytest.mark.parametrize("words", RUNYARDS, ids=" ".join)
def test_a_runyard_command_is_there_with_its_options(
    words: list[str], child_environment: dict[str, str]
) -> None:
    rest = words[1:]
    plain = [word for word in rest if re.fullmatch("[a-z-]+", word) and not word.startswith("-")]
    command = plain[: 2 if rest[0] in {"projects", "issues", "runs", "afk"} else 1]
    helped = _run(*command, "--help", env=child_environment)
    assert helped.returncode == 0, helped.stderr
    assert helped.stdout.startswith(f"Usage: runyard {' '.join(command)} ")
    options = {word for word in rest if word.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", helped.stdout))


def test_make_demo_is_the_command_whose_story_test_demo_holds_to_every_line() -> None:
    recipe = re.search(r"^demo:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert ".venv/bin/runyard demo" in recipe[1]


@pytest.mark.parametrize("doc", PAGES, ids=lambda doc: doc.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(doc: Path) -> None:
    for target in LINK.findall(doc.read_text()):
        name, _, anchor = target.partition("#")
        path = (doc.parent / name) if name else doc
        assert path.exists(), target
        assert not anchor or anchor in _anchors(path), target


@pytest.mark.parametrize("doc", PAGES, ids=lambda doc: doc.relative_to(ROOT).as_posix())
def test_every_file_and_test_that_is_named_is_there(doc: Path) -> None:
    text = doc.read_text()
    for name in NAMED_FILE.findall(text):
        assert (ROOT / name).exists(), name
    for file, test in NAMED_TEST.findall(text):
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), test


def test_every_page_of_the_docs_is_in_their_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / name).resolve() for name in LINK.findall(index.read_text())}
    assert [page for page in PAGES[2:] if page not in {index, *linked}] == []


def test_what_the_readme_requires_is_what_the_program_requires() -> None:
    text = README.read_text()
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.search(r'requires-python = ">=([\d.]+)"', project)
    assert needed is not None
    assert f"Python {needed[1]} or newer" in text
    doctor = (ROOT / "app" / "services" / "system" / "doctor.py").read_text()
    floor = re.search(r"GIT_FLOOR = \((\d+), (\d+)\)", doctor)
    assert floor is not None
    assert f"git {floor[1]}.{floor[2]} or newer" in text


def test_the_packages_that_the_window_lacks_are_named(tmp_path: Path) -> None:
    ldd = tmp_path / "ldd"
    found = "\\tlibxcb-cursor.so.0 => not found\\n\\tlibc.so.6 => /lib/libc.so.6 (0x7f)\\n"
    ldd.write_text(f"#!/bin/sh\nprintf '{found}\\tlibodd.so.1 => not found\\n'\n")
    ldd.chmod(0o700)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "QT_FOLDER": "x"}
    said = subprocess.run(
        [ROOT / "scripts" / "window-libraries"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.endswith("sudo apt-get install libodd.so.1 libxcb-cursor0\n")
