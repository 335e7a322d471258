"""The CLI documentation matches the program."""

from __future__ import annotations

import re

from app.cli.manual import manual
from tests.drivers.cli.click_tree import every_leaf
from tests.drivers.cli.shells import ROOT

ROW = re.compile(r"^\| (`\w+`|by itself) \| ((?:`[\w-]+`(?:, )?)+) \|$", re.MULTILINE)


def test_the_reference_is_written_from_the_commands_as_they_are() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == manual(), "write it anew: python -m app.cli.manual > docs/cli.md"


def test_the_overview_of_the_readme_names_every_command() -> None:
    told = set()
    for name, words in ROW.findall((ROOT / "README.md").read_text()):
        group = "" if name == "by itself" else name.strip("`") + " "
        told |= {group + word.strip("`") for word in words.split(", ")}
    assert told == set(every_leaf())


def test_a_link_of_the_reference_leads_to_its_command() -> None:
    text = manual()
    titles = {title.replace(" ", "-") for title in re.findall(r"^## (runyard .+)$", text, re.M)}
    assert set(re.findall(r"\(#(runyard-[\w-]+)\)", text)) == titles
    assert len(titles) == len(every_leaf())


def test_exit_codes_of_the_reference_are_those_of_the_program() -> None:
    told = re.findall(r"^\| (\d+) \|", manual(), re.MULTILINE)
    assert told == ["0", "1", "2", "3", "4", "130"]
