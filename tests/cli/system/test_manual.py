"""The CLI documentation matches the program."""

from __future__ import annotations

import re

from app.cli.manual import manual, with_settings
from app.config import Settings
from app.domain.projects.settings import PROJECT_SETTINGS
from tests.drivers.cli.click_tree import every_leaf
from tests.drivers.cli.shells import ROOT

ROW = re.compile(r"^\| (`\w+`|top level) \| ((?:`[\w-]+`(?:, )?)+) \|$", re.MULTILINE)


def test_the_reference_is_written_from_the_commands_as_they_are() -> None:
    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == manual(), "write it anew: python -m app.cli.manual > docs/cli.md"


def test_the_overview_of_the_readme_names_every_command() -> None:
    told = set()
    for name, words in ROW.findall((ROOT / "README.md").read_text()):
        group = "" if name == "top level" else name.strip("`") + " "
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


def test_the_tables_of_settings_are_written_from_the_settings_as_they_are() -> None:
    page = (ROOT / "docs" / "operating.md").read_text()
    assert page == with_settings(page), "write it anew: python -m app.cli.manual docs/operating.md"
    named = re.findall(r"^\| `(?:RUNYARD_)?(\w+)` \| ", with_settings(page), re.MULTILINE)
    every = [*(name.upper() for name in Settings.model_fields), *PROJECT_SETTINGS]
    assert set(every) <= set(named)


def test_every_setting_of_the_server_is_described() -> None:
    fields = Settings.model_fields.items()
    assert [name for name, one in fields if not (one.description or "").endswith(".")] == []
