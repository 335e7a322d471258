"""A project's settings, edited while others may change them: no input is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import CheckOut, ProjectChange, ProjectOut
from app.api.schemas.projects import LimitSettings, LimitsOut
from app.domain.projects.autoland import AUTOLAND_FIELDS
from app.state.projects.check_rows import CheckRow, words_of_rows
from app.state.projects.project_board import ProjectBoard
from app.state.projects.project_settings import SETTINGS, settings_in_words
from app.state.projects.sandbox_settings import is_asked
from app.state.projects.settings_form import SettingsForm
from tests.builders.run_samples import NOON, project_of

SHOP = project_of(agent="script", agent_command=["make"], budget_seconds=7200, stall_seconds=None)
# fields of PATCH that this form lacks: those with a button on the page, and unused ones
CHECK = {"name": "tests", "command": ["make"], "timeout_seconds": 60, "required": True}
ELSEWHERE = {
    *("archived", "auto_enabled", "origin", "sandbox_notice", "suggested_checks"),
}


class Server:
    """Answers with `answer` after running `meanwhile`, and records requests."""

    def __init__(self, form: SettingsForm) -> None:
        self.form, self.board = form, ProjectBoard([SHOP])
        self.sent: list[Any] = []
        self.shown: list[ProjectOut | None] = []
        self.answer = httpx.Response(200, content=SHOP.model_dump_json())
        self.board.on_change(lambda _: self.follow())
        self.api = ApiClient(
            httpx.AsyncClient(transport=httpx.MockTransport(self.handle), base_url="http://x")
        )
        self.meanwhile: Callable[[], object] = lambda: None

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(json.loads(request.content))
        self.meanwhile()
        return self.answer

    def follow(self) -> None:
        project = self.board.get("proj_a")
        self.shown.append(project)
        if project is not None:
            self.form.take(project)

    def will_answer(self, **changes: Any) -> None:
        project = SHOP.model_copy(update=changes)
        self.answer = httpx.Response(200, content=project.model_dump_json())

    async def save(self) -> bool:
        change, wrong = self.form.check()
        assert wrong == {}
        return await self.form.save(self.api, self.board, change)


@pytest.fixture
def form() -> SettingsForm:
    return SettingsForm(SHOP)


@pytest.fixture
def server(form: SettingsForm) -> Server:
    return Server(form)


def test_every_setting_that_can_be_changed_has_a_field_with_a_sentence() -> None:
    each = (set(ProjectChange.model_fields) - {"limits"}) | set(LimitSettings.model_fields)
    each |= set(AUTOLAND_FIELDS)
    assert set(SETTINGS) | ELSEWHERE == each
    assert all(one.about.hint.endswith(".") for one in SETTINGS.values())


def test_what_a_project_has_is_read_back_as_it_is() -> None:
    project = project_of(
        agent_command=["sh", "-c", "a\nb"],
        prompt="Do\nit",
        budget_seconds=90,
        stall_seconds=3601,
        frameworks=["auto", "own"],
        resume_after_limit=False,
        sandbox="sandboxed",
        network="allowed",
        allowed_hosts=["example.org", "example.org:8443"],
        allow=["docker", "dbus"],
        toolchains=["/opt/go"],
        limits={"memory_mb": 2048, "processes": None, "file_mb": 10, "disk_mb": None},
        checks=[CHECK, {**CHECK, "name": "lint", "command": ["sh", "-c", "a b"]}],
        on_red="deliver",
    )
    for name, setting in SETTINGS.items():
        row = project.limits if name in LimitSettings.model_fields else project
        row = project.autoland if name in AUTOLAND_FIELDS else row
        told = row.model_dump()[AUTOLAND_FIELDS.get(name, name)]
        told = ["own"] if name == "frameworks" else told
        assert setting.read(setting.write(project)) == told, name


def test_a_fresh_form_changes_nothing(form: SettingsForm) -> None:
    assert (form.edited(), form.check()) == ([], ({}, {}))


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("name", "  till ", "till"),
        ("prompt", "", None),
        ("agent_command", "make\ntest", ["make", "test"]),
        ("agent_command", " ", None),
        ("budget_seconds", "90", 5400),
        ("budget_seconds", "06:41", 401),
        ("stall_seconds", "1:00:00", 3600),
        ("max_concurrency", "7", 7),
        ("resume_after_limit", "no", False),
        ("frameworks", "own\n\nother", ["own", "other"]),
        ("sandbox", "contained", "contained"),
        ("allow", "docker\ndbus", ["docker", "dbus"]),
        ("toolchains", "/opt/go\n", ["/opt/go"]),
    ],
)
def test_what_is_typed_becomes_a_value(
    form: SettingsForm, name: str, typed: str, value: Any
) -> None:
    form.put("prompt", "was")
    form.take(SHOP.model_copy(update={"prompt": "was"}))
    form.put(name, typed)
    assert form.check() == ({name: value}, {})


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("name", " ", "This setting cannot be empty."),
        ("base_branch", "", "This setting cannot be empty."),
        ("budget_seconds", "", "This setting cannot be empty."),
        ("budget_seconds", "soon", "Write it as 2:00:00, or in whole minutes."),
        ("budget_seconds", "0", "Must be 1 or more."),
        ("max_concurrency", "1.5", "Give a whole number."),
        ("max_concurrency", "101", "Must be 100 or less."),
        ("memory_mb", "much", "Give a whole number."),
        ("memory_mb", "1", "Give at least 64 MB of memory, or nothing for no limit."),
        ("agent", "a" * 201, "Must have at most 200 characters."),
        (
            "agent_command",
            "[1]",
            'Write one argument per line, or a JSON list such as ["make", "test"].',
        ),
        ("prompt", "x" * 40_000, "This text has more than 32 KiB."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_by_the_schema_of_the_api(
    form: SettingsForm, name: str, typed: str, sentence: str
) -> None:
    form.put("branch_pattern", "fix/<N>")
    form.put(name, typed)
    assert form.check()[1] == {name: sentence}
    assert form.typed(name) == typed, "nothing is lost"


def test_blanks_around_a_value_are_no_change(form: SettingsForm) -> None:
    form.put("agent", " script ")
    assert form.check() == ({}, {})


def test_what_somebody_else_changes_shows_where_nothing_was_typed(form: SettingsForm) -> None:
    form.put("prompt", "mine")
    moved = form.take(SHOP.model_copy(update={"agent": "codex", "prompt": "theirs"}))
    assert moved == {"agent"}
    assert (form.typed("agent"), form.typed("prompt")) == ("codex", "mine")
    assert form.disputed() == {"prompt": "theirs"}
    assert form.check()[0] == {"prompt": "mine"}, "theirs of other fields is not set back"


def test_a_field_with_the_cursor_in_it_is_followed_when_it_is_left(form: SettingsForm) -> None:
    form.enter("agent")
    assert form.take(SHOP.model_copy(update={"agent": "codex"})) == set()
    assert form.typed("agent") == "script"
    assert form.leave("agent") == {"agent"}
    assert (form.typed("agent"), form.edited()) == ("codex", [])


def test_typing_what_somebody_else_has_made_of_it_is_no_dispute(form: SettingsForm) -> None:
    form.put("agent", "codex")
    form.take(SHOP.model_copy(update={"agent": "codex"}))
    assert (form.edited(), form.disputed()) == ([], {})
    assert form.take(SHOP) == {"agent"}, "and it is followed again"


def test_theirs_can_be_taken_and_the_rest_stays(form: SettingsForm) -> None:
    form.put("prompt", "mine")
    form.put("name", "till")
    form.take(SHOP.model_copy(update={"prompt": "theirs"}))
    assert form.take_theirs() == {"prompt"}
    assert (form.typed("prompt"), form.edited(), form.disputed()) == ("theirs", ["name"], {})


def test_discard_gives_up_what_was_typed(form: SettingsForm) -> None:
    form.put("prompt", "mine")
    form.put("name", "till")
    form.take(SHOP.model_copy(update={"prompt": "theirs"}))
    assert form.discard() == {"prompt", "name"}
    assert (form.typed("prompt"), form.typed("name"), form.edited()) == ("theirs", SHOP.name, [])


async def test_a_save_sends_what_was_changed_and_shows_it_before_the_answer(server: Server) -> None:
    server.form.put("name", "till")
    server.will_answer(name="till")
    assert await server.save()
    assert server.sent == [{"name": "till"}]
    assert [one and one.name for one in server.shown] == ["till"] * len(server.shown)
    assert server.form.edited() == []


@pytest.mark.parametrize("status", [409, 503])
async def test_a_refused_save_takes_the_project_back_and_keeps_what_was_typed(
    server: Server, status: int
) -> None:
    server.form.put("name", "till")
    server.answer = httpx.Response(status, json={"error": "name_taken", "detail": "No."})
    server.meanwhile = lambda: server.board.apply(SHOP.model_copy(update={"prompt": "theirs"}))
    with pytest.raises(ApiProblem):
        await server.save()
    now = server.board.get("proj_a")
    assert now is not None
    assert (now.name, now.prompt) == (SHOP.name, "theirs"), "what really happened stays"
    server.form.take(now)
    assert (server.form.typed("name"), server.form.edited()) == ("till", ["name"])
    assert server.form.typed("prompt") == "theirs"


async def test_without_an_answer_what_was_typed_stays(server: Server) -> None:
    def silence() -> None:
        raise httpx.ReadTimeout("too long")

    server.form.put("name", "till")
    server.meanwhile = silence
    with pytest.raises(NoAnswer):
        await server.save()
    assert (server.form.busy, server.form.edited()) == (False, ["name"])


async def test_what_is_typed_while_it_is_saved_is_kept(server: Server) -> None:
    server.form.put("name", "till")
    server.will_answer(name="till")
    server.meanwhile = lambda: server.form.put("name", "till two")
    assert await server.save()
    now = server.board.get("proj_a")
    assert now is not None
    server.form.take(now)
    assert (server.form.typed("name"), server.form.disputed()) == ("till two", {})
    assert server.form.check()[0] == {"name": "till two"}


async def test_while_the_project_is_changed_otherwise_nothing_is_sent(server: Server) -> None:
    async def archive() -> ProjectOut:
        server.form.put("name", "till")
        assert not await server.save()
        return SHOP

    await server.board.archive("proj_a", archive, NOON)
    assert (server.sent, server.form.edited()) == ([], ["name"])


def test_an_archived_project_tells_every_setting(form: SettingsForm) -> None:
    told = dict(settings_in_words(SHOP, only_fixed=False))
    assert told["Ended when silent for"] == "never"
    assert told["After a usage limit"] == "Resume automatically"
    assert told.keys() > dict(settings_in_words(SHOP, only_fixed=True)).keys()


def test_limits_are_sent_together_and_each_shows_at_once(server: Server) -> None:
    server.form.put("memory_mb", "2048")
    server.form.put("processes", "")
    server.will_answer(limits=LimitsOut(memory_mb=2048, processes=None))
    assert asyncio.run(server.save())
    assert server.sent == [{"limits": {"memory_mb": 2048, "processes": None}}]
    at_once = server.shown[0]
    assert at_once is not None
    assert at_once.limits == LimitsOut(memory_mb=2048, processes=None)
    assert server.form.edited() == []


def test_an_agent_that_is_not_sandboxed_any_more_reaches_the_whole_network() -> None:
    form = SettingsForm(project_of(sandbox="sandboxed", network="allowed"))
    form.put("sandbox", "contained")
    assert form.check() == ({"sandbox": "contained", "network": "all"}, {})
    form.put("sandbox", "sandboxed")
    form.put("network", "none")
    assert form.check() == ({"network": "none"}, {})


@pytest.mark.parametrize(
    ("level", "network", "asked"),
    [
        ("contained", "all", {"allow"}),
        ("sandboxed", "all", {"allow", "network", "toolchains"}),
        ("sandboxed", "allowed", {"allow", "network", "toolchains", "allowed_hosts"}),
        ("none", "all", set()),
    ],
)
def test_only_what_means_something_at_a_level_is_asked_for(
    level: str, network: str, asked: set[str]
) -> None:
    chosen = {"sandbox": level, "network": network}
    names = ("allow", "network", "toolchains", "allowed_hosts")
    assert {name for name in names if is_asked(name, chosen)} == asked


def test_checks_are_typed_as_command_lines_and_saved_as_words(server: Server) -> None:
    row = CheckRow("unit tests", "make 'all tests'", "1:30", required=False)
    server.form.put("checks", words_of_rows([row, CheckRow()]))
    server.will_answer(checks=[CheckOut(name="unit tests", command=["make", "all tests"])])
    assert asyncio.run(server.save())
    check = {"name": "unit tests", "command": ["make", "all tests"], "timeout_seconds": 90}
    assert server.sent == [{"checks": [check | {"required": False}]}]
    at_once = server.shown[0]
    assert at_once is not None
    assert at_once.checks == [CheckOut(**check, required=False)]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (CheckRow("", "make"), "Give the check “make” a name."),
        (CheckRow("tests", " "), "The command of “tests” is missing."),
        (CheckRow("tests", "make 'x"), "A quote in the command of “tests” is not closed."),
        (
            CheckRow("tests", "make", "soon"),
            "The timeout of “tests”: Write it as 2:00:00, or in whole minutes.",
        ),
        (CheckRow("tests", "make", "0"), "Must be 1 or more."),
        (CheckRow("x" * 81, "make"), "Must have at most 80 characters."),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_is_wrong_with_a_row_is_said_at_the_checks(
    form: SettingsForm, row: CheckRow, sentence: str
) -> None:
    form.put("checks", words_of_rows([row]))
    assert form.check()[1] == {"checks": sentence}


def test_checks_are_shown_one_per_line(form: SettingsForm) -> None:
    shop = project_of(checks=[CHECK, CHECK | {"name": "lint", "required": False}])
    told = dict(settings_in_words(shop, only_fixed=False))
    assert told["Checks"] == "tests: make (01:00, required)\nlint: make (01:00, optional)"
    assert dict(settings_in_words(SHOP, only_fixed=False))["Checks"] == "none"
