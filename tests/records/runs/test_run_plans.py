"""With many runs, every filter uses an index, and nothing reads or sorts them all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import fields
from datetime import timedelta
from functools import cache, partial
from itertools import islice, product
from typing import Any

import pytest
from sqlalchemy import insert, text

from app.domain.lifecycle import phase_of
from app.domain.words import Phase, Status
from app.records.batches.batch_ledger import list_batches
from app.records.database.database import Database
from app.records.people.reach import Reach, within
from app.records.runs import run_pages
from app.records.runs.run_ledger import RunLedger
from app.records.runs.run_pages import Page, RunFilter, list_runs, ways_to
from app.records.stores.routing import Stores
from app.records.tables import Run
from tests.builders.databases import KINDS, SQLITE, shared_database
from tests.builders.rows import NOW, add_run, draft_run, run_id, stores_on
from tests.drivers.query_plans import explained, statements_of, steps_of

# enough rows for PostgreSQL to prefer an index over a scan; FEW of each rare value
MANY, FEW = 8_000, 50
LIMIT, LOOKED_THROUGH = 10, 200
# steps of SQLite's virtual machine; reading every second run takes 40,000
STEPS = 20_000
MIDDLE = NOW + timedelta(seconds=MANY // 2)
IDS = [run_id(NOW + timedelta(seconds=number)) for number in range(MANY)]
ID = IDS[MANY // 2]
BY_ID = "sqlite_autoindex_runs_1"

BY_STATUS, OF_BRANCH = {"newest_runs_by_status"}, {"newest_runs_from_branch"}
ON_BRANCH, BY_ISSUE = {"newest_runs_on_branch"}, {"newest_runs_for_issue"}
NEWEST, BY_ENDING = {"newest_runs"}, {"runs_by_ending"}
PROJECTS = {"newest_runs_of_project"}
BY_TRIGGER = {"newest_runs_of_project_by_trigger"}
PROJECTS_BRANCHES = {"newest_runs_of_project_from_branch", "newest_runs_of_project_on_branch"}

USUAL = draft_run().model_dump()

# each filter with the indexes it may use
FILTERS: dict[str, tuple[RunFilter, set[str]]] = {
    "any": (RunFilter(), NEWEST),
    "a project": (RunFilter("proj_2"), PROJECTS),
    "a status of many": (RunFilter(statuses=["succeeded"]), BY_STATUS),
    "a status of few": (RunFilter(statuses=["died"]), BY_STATUS),
    "two statuses": (RunFilter(statuses=["died", "succeeded"]), BY_STATUS),
    "waiting": (RunFilter(phase=Phase.WAITING), BY_STATUS),
    "live": (RunFilter(phase=Phase.LIVE), BY_STATUS),
    "done": (RunFilter(phase=Phase.DONE), BY_STATUS),
    "a project's status": (
        RunFilter("proj_1", statuses=["died"]),
        {"newest_runs_of_project_by_status"},
    ),
    "what is live of a project": (
        RunFilter("proj_2", phase=Phase.LIVE),
        {"newest_runs_of_project_by_status"},
    ),
    "a project's last tries": (
        RunFilter("proj_1", statuses=["succeeded"], is_last_try=True),
        {"newest_runs_of_project_by_status"},
    ),
    "a trigger": (RunFilter(trigger="manual"), {"newest_runs_by_trigger_and_status"}),
    "a project's trigger": (RunFilter("proj_1", trigger="auto"), BY_TRIGGER),
    "a project's trigger and status": (
        RunFilter("proj_1", trigger="api", statuses=["died"]),
        BY_TRIGGER,
    ),
    "a base branch": (RunFilter(branch="develop"), OF_BRANCH | ON_BRANCH),
    "a work branch": (RunFilter(branch="run/77"), OF_BRANCH | ON_BRANCH),
    "a project's branch": (RunFilter("proj_2", branch="develop"), PROJECTS_BRANCHES),
    "a project's branch and status": (
        RunFilter("proj_3", branch="trunk", statuses=["stopped"]),
        PROJECTS_BRANCHES,
    ),
    "a batch": (RunFilter(batch_id="batch_1"), {"runs_of_batch"}),
    "a number of issues": (RunFilter(issue=12), BY_ISSUE),
    "a project's issue": (RunFilter("proj_2", issue=12), BY_ISSUE),
    "a depth": (RunFilter(depth="deep"), NEWEST),
    "a framework": (RunFilter(framework="jest"), NEWEST),
    "an agent of a project": (RunFilter("proj_2", agent="codex"), PROJECTS),
    "a tag": (RunFilter(tag="nightly"), NEWEST),
    "since then": (RunFilter(created_after=MIDDLE), NEWEST),
    "a status until then": (
        RunFilter(statuses=["died"], created_before=MIDDLE),
        BY_STATUS,
    ),
    "an issue": (RunFilter(text="#12"), BY_ISSUE),
    "a project's issue as text": (RunFilter("proj_2", text="#12"), BY_ISSUE | PROJECTS),
    "an issue of runs by hand": (RunFilter(text="#12", trigger="manual"), BY_ISSUE),
    "an issue of no run by hand": (RunFilter(text="#12", trigger="auto"), BY_ISSUE | NEWEST),
    "an issue that no run has": (RunFilter(text="#13"), BY_ISSUE | NEWEST),
    "a number": (RunFilter(text="12"), BY_ISSUE | ON_BRANCH | NEWEST),
    "an id": (RunFilter(text=ID), NEWEST),
    "an id's beginning": (RunFilter(text=ID[:12]), NEWEST),
    "an id's first letters": (RunFilter(text=ID[:5]), NEWEST),
    "an id's first letters in a project": (
        RunFilter("proj_2", text=ID[:5]),
        PROJECTS | ON_BRANCH | NEWEST,
    ),
    "an id's first letters and a tag": (RunFilter(text=ID[:5], tag="nightly"), NEWEST),
    "an id that no run has": (RunFilter(text=f"{ID[:12]}vvvvvv"), BY_ENDING | ON_BRANCH | NEWEST),
    "an id's ending": (RunFilter(text=ID[-6:]), BY_ENDING | ON_BRANCH | NEWEST),
    "a branch as text": (RunFilter(text="run/77"), ON_BRANCH | NEWEST),
    "a word of a title": (RunFilter(text="the greet"), ON_BRANCH | NEWEST),
    "a word of a project's titles": (RunFilter("proj_1", text="run"), PROJECTS | ON_BRANCH),
}
# two values of each common column; no run has the first of one and the second of another
PARTS: dict[str, list[dict[str, Any]]] = {
    "project": [{}, {"project_id": "proj_1"}],
    "status": [
        {},
        {"statuses": ["succeeded"]},
        {"statuses": ["stopped", "succeeded"]},
        {"phase": Phase.DONE},
    ],
    "trigger": [{}, {"trigger": "auto"}, {"trigger": "api"}],
    "branch": [{}, {"branch": "trunk"}],
    "rest": [
        {},
        {"text": "nowhere"},
        {"batch_id": "batch_1"},
        {"issue": 12},
        {"agent": "codex"},
        {"tag": "nowhere", "created_before": MIDDLE},
    ],
}
COMBINED = [
    RunFilter(**{name: value for part in parts for name, value in part.items()})
    for parts in product(*PARTS.values())
    if sum(map(bool, parts)) > 1
]
# with this step nearly all pairs of values are met
SOME, ALL = 7, 1
every_filter = pytest.mark.parametrize("wanted", [one[0] for one in FILTERS.values()], ids=FILTERS)


@pytest.fixture(scope="module", params=KINDS)
def many(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A database with many runs, most of them alike, inserted in id order."""
    # not a lent one: what earlier tests deleted there would count in PostgreSQL's plans
    address = shared_database(tmp_path_factory.mktemp("many"), request.param)
    with closing(Database(address, publish=lambda _: None)) as database:
        with database.engine.begin() as connection:
            connection.execute(insert(Run), every_run())
            if not database.is_sqlite:
                connection.execute(text("ANALYZE runs"))
        yield database


@cache
def every_run() -> list[dict[str, Any]]:
    """Return the columns of all runs, oldest first."""
    return [USUAL | columns_of(number) for number in range(MANY)]


def columns_of(number: int) -> dict[str, Any]:
    at = NOW + timedelta(seconds=number)
    columns = {"id": IDS[number], "created_at": at, "work_branch": f"run/{number}"}
    columns |= {"status": "succeeded", "ended_at": at, "released_at": at}
    if number % 2:
        columns |= {"project_id": "proj_3", "status": "stopped", "trigger": "auto"}
        columns |= {"branch_name": "trunk"}
    turn, rest = divmod(number, MANY // FEW)
    if rest:
        return columns
    rare = {"project_id": "proj_2", "trigger": "manual", "branch_name": "develop", "issue": 12}
    rare |= {"depth_level": "deep", "target_framework": "jest", "agent": "codex"}
    rare |= {"tags": ["slow", "nightly"]}
    status = sorted(Status)[turn % len(Status)]
    return columns | rare | {"batch_id": "batch_1", "title": "Mend the greeting", "status": status}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def places_in(stores: Stores, wanted: RunFilter) -> list[str | None]:
    """Return cursors to the first page, to one in the middle and back from there."""
    first = list_runs(stores, wanted, limit=1, cursor=None)
    if not first.items or first.next_cursor is None:
        return [None]
    second = list_runs(stores, wanted, limit=LIMIT, cursor=first.next_cursor)
    return [None, first.next_cursor, second.prev_cursor]


def test_every_filter_is_in_the_table() -> None:
    asked = [one for one, _ in FILTERS.values()]
    for field in fields(RunFilter):
        assert any(getattr(one, field.name) for one in asked), field.name


@pytest.mark.parametrize(("wanted", "indexes"), FILTERS.values(), ids=FILTERS)
def test_a_page_is_read_along_indexes(
    many: Database, wanted: RunFilter, indexes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", LOOKED_THROUGH)
    stores = stores_on(many)
    for cursor in places_in(stores, wanted):
        plans = explained(many, lambda at=cursor: list_runs(stores, wanted, limit=LIMIT, cursor=at))
        if many.is_sqlite:
            check_lines(plans, wanted, indexes)
        else:
            check_trees(plans, wanted)


@pytest.mark.parametrize("wanted", [RunFilter(), RunFilter("proj_1", statuses=["died"])], ids=str)
def test_a_page_that_one_index_leads_to_is_one_statement(many: Database, wanted: RunFilter) -> None:
    stores = stores_on(many)
    for cursor in places_in(stores, wanted):
        page = partial(list_runs, stores, wanted, limit=LIMIT, cursor=cursor)
        assert len(statements_of(page)) == 1


def check_lines(lines: list[str], wanted: RunFilter, indexes: set[str]) -> None:
    of_runs = [line for line in lines if " runs" in line]
    used = [re.findall(r"INDEX (\w+)", line) for line in of_runs]
    assert [] not in used, lines
    assert {name for names in used for name in names} - {BY_ID} == indexes, lines
    # a full index scan is fine only if the first entries match
    scans = [line for line in of_runs if line.startswith("SCAN")]
    assert not scans or wanted == RunFilter() or is_bounded(wanted), lines
    if not (wanted.text or wanted.batch_id):
        assert not any("TEMP B-TREE" in line for line in lines), lines


def check_trees(plans: list[dict[str, Any]], wanted: RunFilter) -> None:
    for plan in plans:
        for node in nodes(plan):
            if node.get("Relation Name") != "runs":
                continue
            assert node["Node Type"] != "Seq Scan", plan
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            # a walk over all runs is fine where every second one belongs to the project
            assert read <= FEW + (2 * LOOKED_THROUGH if is_bounded(wanted) else 0), node


def is_bounded(wanted: RunFilter) -> bool:
    """Return True if some of the filters only search the newest runs."""
    return any(way.is_bounded for way in ways_to(wanted, is_named=is_named(wanted)))


def is_named(wanted: RunFilter) -> bool:
    """Return True for a text that names a run here, so that titles are not searched."""
    if wanted.project_id or wanted.trigger == "auto":
        return False
    return _names_a_run(wanted.text or "")


@cache
def _names_a_run(text: str) -> bool:
    return text == "#12" or (text.startswith("run_") and any(one.startswith(text) for one in IDS))


@pytest.mark.parametrize("step", [SOME, pytest.param(ALL, marks=pytest.mark.soak)])
def test_no_combination_of_filters_reads_the_history(
    many: Database, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", LOOKED_THROUGH)
    stores = stores_on(many)
    for wanted in COMBINED[::step]:
        for cursor in places_in(stores, wanted):
            ask = partial(list_runs, stores, wanted, limit=LIMIT, cursor=cursor)
            if many.is_sqlite:
                assert steps_of(many, ask) < STEPS, wanted
            else:
                check_trees(explained(many, ask), wanted)


# the projects of a visitor: of every second run, and of very few
MOST, RARE = frozenset({"proj_1", "proj_2"}), frozenset({"proj_2"})


@pytest.mark.parametrize("projects", [MOST, RARE], ids=["most", "rare"])
def test_who_sees_some_projects_reads_no_more_of_the_history(
    many: Database, projects: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", LOOKED_THROUGH)
    stores, reach = stores_on(many), Reach("org_1", lambda: projects)
    # a text is also looked for in titles then, among the newest runs
    for wanted in (one for one, _ in FILTERS.values() if not one.text):
        with within(reach):
            for cursor in places_in(stores, wanted):
                ask = partial(list_runs, stores, wanted, limit=LIMIT, cursor=cursor)
                # of every index range, its newest runs are looked at before
                if many.is_sqlite:
                    assert steps_of(many, ask) < 2 * STEPS, wanted
                else:
                    check_trees(explained(many, ask), wanted)


@pytest.mark.parametrize("projects", [MOST, RARE], ids=["most", "rare"])
def test_who_sees_some_projects_finds_the_same_runs_of_them(
    many: Database, projects: frozenset[str]
) -> None:
    stores = stores_on(many)
    for wanted, _ in FILTERS.values():
        everything = list_runs(stores, wanted, limit=MANY, cursor=None).items
        with within(Reach("org_1", lambda: projects)):
            found = list_runs(stores, wanted, limit=MANY, cursor=None).items
        assert found == [one for one in everything if one.project_id in projects], wanted


def test_a_branch_beside_other_filters_is_looked_for_among_the_newest_of_both(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = stores_on(many)

    def look(looked_through: int, **filters: Any) -> tuple[int, int | None]:
        monkeypatch.setattr(run_pages, "LOOKED_THROUGH", looked_through)
        wanted = RunFilter(branch="develop", **filters)
        page = list_runs(stores, wanted, limit=2 * FEW, cursor=None)
        return len(page.items), page.looked_among

    # so few rows match the branch that its own index finds them all
    assert look(FEW, trigger="manual") == (FEW, None)
    assert look(3, trigger="manual") == (3, 3)
    assert look(4, statuses=["died"]) == (4, 4)
    assert look(MANY, statuses=["died"]) == (4, None)


def walk_of(stores: Stores, wanted: RunFilter) -> list[Page]:
    """Return all pages, newest first."""
    pages = [list_runs(stores, wanted, limit=100, cursor=None)]
    while pages[-1].next_cursor is not None:
        pages.append(list_runs(stores, wanted, limit=100, cursor=pages[-1].next_cursor))
    return pages


@pytest.mark.parametrize("statuses", [["stopped"], ["stopped", "succeeded"], []], ids=str)
def test_a_projects_branch_is_walked_to_its_last_run_whatever_the_status(
    many: Database, statuses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", LOOKED_THROUGH)
    wanted = RunFilter("proj_3", statuses=statuses, branch="trunk")
    pages = walk_of(stores_on(many), wanted)
    assert [run.id for page in pages for run in page.items] == IDS[1::2][::-1]
    assert {page.looked_among for page in pages} == {None}


def test_a_list_that_ends_among_the_newest_says_so_and_dates_lead_further_back(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", LOOKED_THROUGH)
    stores = stores_on(many)
    of_tag = [number for number, run in enumerate(every_run()) if "nightly" in run["tags"]]
    newest = walk_of(stores, RunFilter(tag="nightly"))
    assert [run.id for page in newest for run in page.items] == [
        IDS[number] for number in reversed(of_tag) if number >= MANY - LOOKED_THROUGH
    ]
    assert {page.looked_among for page in newest} == {LOOKED_THROUGH}
    before = NOW + timedelta(seconds=of_tag[3] + 1)
    [first] = walk_of(stores, RunFilter(tag="nightly", created_before=before))
    assert first.items[0].id == IDS[of_tag[3]]
    # a project with few runs is searched completely
    [all_of_it] = walk_of(stores, RunFilter("proj_2", tag="nightly", text="greeting"))
    assert (len(all_of_it.items), all_of_it.looked_among) == (FEW, None)


def test_a_tag_is_a_whole_word_of_the_list_whatever_it_is_written_with(
    open_database: Callable[..., Database],
) -> None:
    database = open_database("tags")
    ledger = RunLedger(stores_on(database))
    odd = ["größer", 'he said "b"', "100%", "a_c", "[x]"]
    run = add_run(ledger, tags=[*odd, "b c"])
    add_run(ledger, tags=[])
    for tag in odd:
        [found] = list_runs(ledger.stores, RunFilter(tag=tag), limit=5, cursor=None).items
        assert found.id == run.id, tag
    for tag in ("b", "größe", "100", "abc", "a", "%", "x", '"b"'):
        assert not list_runs(ledger.stores, RunFilter(tag=tag), limit=5, cursor=None).items, tag


@every_filter
def test_pages_hold_what_is_found_by_looking_at_every_run(
    many: Database, wanted: RunFilter
) -> None:
    stores, found, cursor = stores_on(many), [], None
    matching = (run["id"] for run in reversed(every_run()) if passes(wanted, run))
    expected = list(islice(matching, 3 * LIMIT))
    while len(found) < len(expected):
        page = list_runs(stores, wanted, limit=LIMIT, cursor=cursor)
        found += [run.id for run in page.items]
        cursor = page.next_cursor
        assert cursor is not None or len(found) == len(expected)
    assert found == expected


def passes(wanted: RunFilter, run: dict[str, Any]) -> bool:
    """Return True if a run with these columns matches, computed without a database."""
    word = (wanted.text or "").lstrip("#")
    is_issue = (wanted.text or "").startswith("#")
    return (
        wanted.project_id in (None, run["project_id"])
        and (not wanted.statuses or run["status"] in wanted.statuses)
        and (wanted.phase is None or phase_of(Status(run["status"])) == wanted.phase)
        and wanted.trigger in (None, run["trigger"])
        and wanted.branch in (None, run["branch_name"], run["work_branch"])
        and wanted.batch_id in (None, run["batch_id"])
        and wanted.issue in (None, run["issue"])
        and wanted.depth in (None, run["depth_level"])
        and wanted.framework in (None, run["target_framework"])
        and wanted.agent in (None, run["agent"])
        and (wanted.tag is None or wanted.tag in run["tags"])
        and (wanted.created_after is None or run["created_at"] > wanted.created_after)
        and (wanted.created_before is None or run["created_at"] < wanted.created_before)
        and not (wanted.is_last_try and run["retried_by"])
        and (not is_issue or str(run["issue"]) == word)
        and (
            word in run["title"].lower()
            or str(run["issue"]) == word
            or run["work_branch"].startswith(word)
            or run["id"].startswith(word)
            or run["id"].endswith(word)
        )
    )


def test_words_of_titles_are_looked_for_among_the_newest_runs_of_the_project(
    many: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", FEW)
    stores = stores_on(many)
    all_of = {"proj_1": 0, "proj_2": FEW}
    for project_id, count in all_of.items():
        wanted = RunFilter(project_id, text="the greeting")
        assert len(list_runs(stores, wanted, limit=2 * FEW, cursor=None).items) == count
    assert not list_runs(stores, RunFilter(text="run/77"), limit=1, cursor=None).next_cursor
    [one] = list_runs(stores, RunFilter(text="run/77"), limit=2 * FEW, cursor=None).items
    assert one.id == IDS[77]


@pytest.mark.parametrize("text", ["#12", ID, ID[:15]])
def test_what_names_a_run_is_found_without_a_look_at_titles(
    many: Database, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a look through as many titles would be seen
    monkeypatch.setattr(run_pages, "LOOKED_THROUGH", MANY)
    stores = stores_on(many)
    ask = partial(list_runs, stores, RunFilter(text=text), limit=LIMIT, cursor=None)
    page = ask()
    assert page.items
    assert page.looked_among is None
    if many.is_sqlite:
        assert steps_of(many, ask) < 2_000
    for plan in explained(many, ask):
        for node in [] if many.is_sqlite else nodes(plan):
            assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 2 * LIMIT, plan


@pytest.mark.parametrize(("text", "found"), [("#12", "issue"), (ID, "run"), (IDS[7], "quoted")])
def test_titles_that_quote_an_issue_or_an_id_are_found_where_no_run_has_it(
    open_database: Callable[..., Database], text: str, found: str
) -> None:
    stores = stores_on(open_database("quotes"))
    ledger = RunLedger(stores)
    runs = {
        "run": add_run(ledger, id=ID, created_at=MIDDLE),
        "issue": add_run(ledger, issue=12),
        "quoted": add_run(ledger, title=f"Continue #12, {ID} and {IDS[7]}"),
    }
    wanted = RunFilter(text=text)
    [one] = list_runs(stores, wanted, limit=LIMIT, cursor=None).items
    assert one.id == runs[found].id
    # other filters may leave only the title
    tagged = add_run(ledger, title=f"Continue #12, {ID} and {IDS[7]}", tags=["nightly"])
    [one] = list_runs(stores, RunFilter(text=text, tag="nightly"), limit=LIMIT, cursor=None).items
    assert one.id == tagged.id
    assert not list_runs(stores, RunFilter("proj_9", text=text), limit=LIMIT, cursor=None).items


@pytest.mark.parametrize("text", ["#12", ID, ID[:20]])
def test_a_search_in_one_project_finds_its_titles_whatever_other_runs_are_named_so(
    open_database: Callable[..., Database], text: str
) -> None:
    stores = stores_on(open_database("projects"))
    ledger = RunLedger(stores)

    def found(project_id: str) -> set[str]:
        page = list_runs(stores, RunFilter(project_id, text=text), limit=LIMIT, cursor=None)
        return {run.id for run in page.items}

    quoting = add_run(ledger, title=f"Follow up on #12 and {ID}")
    add_run(ledger, title="Use Python 3.12", work_branch="12-factors")
    assert found("proj_1") == {quoting.id}
    other = add_run(ledger, id=ID, created_at=MIDDLE, issue=12, project_id="proj_2")
    assert (found("proj_1"), found("proj_2")) == ({quoting.id}, {other.id})
    own = add_run(ledger, issue=12)
    assert found("proj_1") == {quoting.id, *([own.id] if text == "#12" else [])}


@pytest.mark.parametrize("many", [SQLITE], indirect=True)
def test_batches_of_a_project_are_read_along_an_index(many: Database) -> None:
    def ask() -> object:
        return list_batches(stores_on(many), project_id="proj_1", limit=LIMIT, cursor=None)

    lines = explained(many, ask)
    assert lines == ["SEARCH batches USING INDEX newest_batches_of_project (project_id=?)"]
