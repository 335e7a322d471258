"""One table of a project's settings: columns, schema, form, options and records agree with it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from app.api.schemas.project_rules import AutolandOut, AutolandSettings
from app.api.schemas.projects import LimitSettings, LimitsOut, NewProject, ProjectChange, ProjectOut
from app.domain.projects.autoland import AUTOLAND_FIELDS, Autoland
from app.domain.projects.setting import Kind, Part, ProjectSetting
from app.domain.projects.settings import PROJECT_SETTINGS
from app.domain.sandbox.levels import Limits
from app.pages.projects.sandbox_fields import rows_of
from app.records.tables.control import Project
from app.state.projects.project_settings import SETTINGS
from tests.drivers.cli.click_tree import every_command

LIMITS = {name for name, one in PROJECT_SETTINGS.items() if one.kind is Kind.LIMIT}
RULES = {name for name, one in PROJECT_SETTINGS.items() if one.part is Part.AUTOLAND}
# fields of one column
NESTED = LIMITS | RULES
PLACES = {"limits", "autoland"}
# in requests, but no settings: what a new project is made of, and acts on a project
ACTS = {"origin", "archived", "sandbox_notice", "suggested_checks"}
# columns that the server fills
OWN_COLUMNS = {
    "organisation_id",
    *("id", "origin", "sandbox_chosen", "sandbox_notice", "state", "state_because", "strikes"),
    *("paused_because", "origin_because", "origin_since", "unreachable", "known_branches"),
    *("next_number", "archived_at", "created_at", "checks_error", "suggested_checks"),
    *("prompt_version", "default_template"),
    *("checks_answered", "checks_changed_at"),
    *("trusted_commit", "judged_commit", "trust_hold"),
    # the forge of its tracker
    *("forge_id", "repository", "forge_hold", "pr_login"),
}
every_setting = pytest.mark.parametrize("one", PROJECT_SETTINGS.values(), ids=PROJECT_SETTINGS)


def test_every_setting_is_a_column_and_every_other_column_is_the_servers() -> None:
    columns = set(Project.model_fields) - PLACES
    assert columns == set(PROJECT_SETTINGS) - NESTED | OWN_COLUMNS
    assert {*Limits.__dataclass_fields__} == LIMITS
    assert set(AUTOLAND_FIELDS) == RULES
    assert {*Autoland.__dataclass_fields__} == set(AUTOLAND_FIELDS.values())


def test_every_setting_can_be_sent_and_is_answered() -> None:
    new, change = set(NewProject.model_fields), set(ProjectChange.model_fields)
    assert set(LimitSettings.model_fields) == set(LimitsOut.model_fields) == LIMITS
    rules = set(AUTOLAND_FIELDS.values())
    assert set(AutolandSettings.model_fields) == set(AutolandOut.model_fields) == rules
    assert (new | change) - ACTS - PLACES == set(PROJECT_SETTINGS) - NESTED
    assert new - change == {"tracker"}  # a project keeps it
    assert set(PROJECT_SETTINGS) - NESTED | PLACES <= set(ProjectOut.model_fields)


@every_setting
def test_the_schema_describes_a_setting_with_its_sentence_and_bounds(one: ProjectSetting) -> None:
    models = (LimitSettings,) if one.name in LIMITS else (NewProject, ProjectChange)
    models = (AutolandSettings,) if one.name in RULES else models
    field = AUTOLAND_FIELDS.get(one.name, one.name)
    found = [schema for schema in (_schema_of(model, field) for model in models) if schema]
    assert found
    for schema in found:
        least, most = _bounds(schema)
        assert schema["description"] == one.sentences
        assert one.least in (None, least)
        assert one.most in (None, most)


def _schema_of(model: type[BaseModel], name: str) -> dict[str, Any] | None:
    return model.model_json_schema()["properties"].get(name)


def _bounds(schema: dict[str, Any]) -> tuple[int | None, int | None]:
    kinds = [schema, *schema.get("anyOf", [])]
    least = [one[key] for one in kinds for key in ("minimum", "minLength") if key in one]
    most = [o[key] for o in kinds for key in ("maximum", "maxLength", "maxItems") if key in o]
    return (least or [None])[0], (most or [None])[0]


@every_setting
def test_a_fixed_default_is_what_a_row_gets(one: ProjectSetting) -> None:
    if one.name in LIMITS:
        assert getattr(Limits(), one.name) == one.default
        return
    if one.name in RULES:
        assert getattr(Autoland(), AUTOLAND_FIELDS[one.name]) == one.default
        return
    column = Project.model_fields[one.name]
    if not column.is_required() and one.name != "owner_hooks":  # its column is a fingerprint
        default = column.get_default(call_default_factory=True)
        assert (tuple(default) if isinstance(default, list) else default) == one.default


@every_setting
def test_choices_are_the_same_for_requests_options_and_the_page(one: ProjectSetting) -> None:
    if one.choices is None:
        assert set(one.labels) in (set(), {"yes", "no"})
        return
    values = {choice.value for choice in one.choices}
    assert one.part is None or set(one.labels) == values
    assert values == set(_values_of(NewProject.model_fields[one.name].annotation))


def _values_of(kind: Any) -> list[str]:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return [one.value for one in kind]
    return [
        found
        for part in get_args(kind)
        for found in ([part] if isinstance(part, str) else _values_of(part))
    ]


@every_setting
def test_an_option_is_named_and_explained_by_the_table(one: ProjectSetting) -> None:
    options = {
        name: option
        for option in every_command()["projects add"].params
        for name in option.opts
        if option.param_type_name == "option"
    }
    assert one.name == "name" or options[one.flag].help.startswith(one.means)


def test_each_setting_of_the_page_stands_once_in_a_row() -> None:
    rows = [name for part in Part for row in rows_of(part) for name in row]
    assert sorted(rows) == sorted(SETTINGS)
