"""The table of deeds: every call is in it, and each role may do what the written table says.

`expected_deeds.tsv` is written by hand: a call that is missing there fails.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from starlette.routing import compile_path

from app.api.http.audit_recorder import Doing
from app.domain.people.deeds import DEEDS, OF_THE_MACHINE
from app.domain.people.roles import ALL_SCOPES, Role, Scope
from app.records.tables.people import DEFAULT_ORGANISATION
from app.services.people.visitor import Visitor, may, may_somewhere
from tests.drivers.people import Town, open_town

TABLE = Path("tests/services/people/expected_deeds.tsv")
# words of calls that are always about oneself, or that a person's own path decides
OWN: dict[str, str] = dict.fromkeys(
    ("change_password", "add_code", "set_code", "remove_code"),
    "change_myself",
)
# calls that need more than their word says: sessions of others, and the demo's own agent
MORE = {
    "/people/{person_id}/sessions": "change_person",
    "/people/{person_id}/sessions/{session_id}": "change_person",
    "/demo-project": "change_commands",
}
NDJSON = {"Content-Type": "application/x-ndjson"}
# a delivery of a forge, which no person sends
BY_FORGES = {"add_hook"}


@cache
def expected() -> dict[str, dict[str, bool]]:
    with TABLE.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["deed"]: {role: row[role] == "yes" for role in map(str, Role)} for row in rows}


@cache
def calls() -> tuple[tuple[str, str, str], ...]:
    """Return the word, method and path of every call that changes something."""
    described = json.loads(Path("tests/interface/files/openapi.json").read_text())
    found = [
        (Doing(frozenset({method.upper()}), compile_path(path)[0], path), method.upper(), path)
        for path, its in described["paths"].items()
        for method in its
        if method != "get"
    ]
    return tuple((doing.word(method), method, path) for doing, method, path in found)


def someone(role: Role, **more: object) -> Visitor:
    place = more.pop("organisation_id", DEFAULT_ORGANISATION)
    return Visitor("person_1", "Anna", "csrf", place, role, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", Role)
def test_each_role_may_do_what_the_written_table_says(role: Role) -> None:
    assert DEEDS.keys() == expected().keys()
    for deed, roles in expected().items():
        assert may(someone(role), deed) == roles[role], deed


def test_the_machine_is_not_for_admins_of_other_organisations() -> None:
    admin = someone(Role.ADMIN, organisation_id="org_other")
    for deed in expected():
        assert may(admin, deed) == (deed not in OF_THE_MACHINE), deed


def test_every_call_is_in_the_written_table() -> None:
    words = {OWN.get(word, word) for word, _, _ in calls()} - BY_FORGES
    assert words <= expected().keys(), words - expected().keys()


def test_a_role_in_a_project_opens_no_general_deed() -> None:
    person = someone(Role.VIEWER, project_roles={"proj_1": Role.ADMIN})
    assert may(person, "merge", "proj_1")
    assert not may(person, "merge", "proj_2")
    for deed in ("add_person", "rotate", "lift", "add_project", "make_login_link"):
        assert not may_somewhere(person, deed), deed


@pytest.mark.parametrize(
    ("scope", "opens", "closes"),
    [
        (Scope.READ, "read_pages", "start"),
        (Scope.RUNS, "start", "merge"),
        (Scope.REVIEW, "merge", "change_project"),
        (Scope.ADMIN, "change_project", "start"),
    ],
)
def test_a_scope_opens_its_part_only(scope: Scope, opens: str, closes: str) -> None:
    person = someone(Role.ADMIN, scopes=frozenset({scope}))
    assert may(person, opens)
    assert not may(person, closes)


def test_a_token_of_projects_opens_those_and_nothing_general() -> None:
    person = someone(Role.ADMIN, scopes=ALL_SCOPES, projects=frozenset({"proj_1"}))
    assert may(person, "start", "proj_1")
    assert not may(person, "start", "proj_2")
    assert not may_somewhere(person, "rotate")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with a project."""
    with open_town(tmp_path / "data") as town:
        yield town


@pytest.mark.parametrize("role", [Role.VIEWER, Role.USER, Role.OPERATOR])
async def test_the_door_refuses_every_call_beyond_a_role(town: Town, role: Role) -> None:
    project = town.add_project()
    person = await town.join(town.token(), "p@x.org", role=role)
    wrong: list[str] = []
    for word, method, path in calls():
        deed = MORE.get(path, OWN.get(word, word))
        if word in BY_FORGES or path.startswith("/people/me") or word in ("sign_out",):
            continue
        own = path.replace("{project_id}", project.id)
        asked = re.sub(r"\{\w+\}", "1", own)
        headers = NDJSON if path.endswith("/items") else {"Content-Type": "application/json"}
        sent = b'{"nonsense": true}'
        answer = await person.request(method, f"/api/v1{asked}", content=sent, headers=headers)
        is_refused = answer.status_code == 403
        if is_refused == expected()[deed][role]:
            wrong.append(f"{method} {path}: {answer.status_code} for {role}, {deed}")
    assert not wrong, "\n".join(wrong)
