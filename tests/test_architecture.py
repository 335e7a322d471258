"""The house rules, checked by AST: imports between packages, sizes, names, restricted calls."""

from __future__ import annotations

import ast
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from tests.drivers.source_tree import (
    ROOT,
    Source,
    calls,
    dotted,
    functions,
    imports,
    keywords,
    last_name,
    names,
    nodes,
    sources,
)

MIGRATIONS = "app/records/database/migrations/"
MIN_FILE_LINES = 60  # below it, a module with one importer is part of that one
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_FOLDER_FILES, MAX_PARAMETERS = 400, 45, 20, 7
BANNED_OPENERS = {"what", "who", "whoever", "whom", "whose", "whatever", "somebody", "someone"}

SERVER = ("nicegui", "fastapi", "starlette", "uvicorn")
DATABASE = ("sqlmodel", "sqlalchemy", "alembic", "psycopg", "sqlite3")
OUTSIDE = ("httpx", "redis", "subprocess", "apscheduler")
TOOLS = ("app.errors", "app.config", "app.logs")
LOCKS = "app.folder_locks"  # shared by the command line and the server
FAILPOINTS = "app.failpoints"  # where tests pause or end the program; standard library only


@dataclass(frozen=True)
class Room:
    """The imports of one package: ours, ours only inside functions, and libraries never allowed."""

    ours: tuple[str, ...]
    never: tuple[str, ...] = ()
    inside_functions: tuple[str, ...] = ()


ROOMS = {
    "app.domain": Room(("app.domain",)),
    "app.records": Room(("app.records", "app.domain"), (*SERVER, *OUTSIDE)),
    "app.services": Room(
        ("app.services", "app.domain", "app.records", "app.errors", "app.config", FAILPOINTS),
        (*SERVER, *OUTSIDE),
    ),
    "app.adapters": Room(
        ("app.adapters", "app.domain", "app.services.ports", FAILPOINTS),
        (*SERVER, "sqlmodel", "sqlalchemy"),
    ),
    "app.api": Room(
        ("app.api", "app.services", "app.domain", *TOOLS), ("sqlmodel", "sqlalchemy", "nicegui")
    ),
    "app.state": Room(
        ("app.state", "app.domain", "app.api.client", "app.api.schemas", "app.errors"),
        (*DATABASE, "fastapi", "nicegui.ui"),
    ),
    "app.pages": Room(
        ("app.pages", "app.state", "app.domain", "app.api.client", "app.api.schemas"),
        (*DATABASE, *OUTSIDE, "fastapi"),
    ),
    "app.cli": Room(
        (
            "app.cli",
            "app.domain",
            "app.api.client",
            "app.api.schemas",
            "app.native",
            LOCKS,
            FAILPOINTS,
            *TOOLS,
        ),
        (*SERVER, *DATABASE),
        inside_functions=("main", "app.server.application", "app.server.patches"),
    ),
    # the window's own process starts without the server's libraries
    "app.native": Room(
        ("app.native", "app.domain"), (*SERVER, *DATABASE, "httpx", "redis", "apscheduler")
    ),
    LOCKS: Room((), (*SERVER, *DATABASE, *OUTSIDE)),
    FAILPOINTS: Room((), (*SERVER, *DATABASE, *OUTSIDE)),
    "app.errors": Room(("app.errors", "app.domain"), (*SERVER, *DATABASE, *OUTSIDE)),
    "app.config": Room(("app.config", "app.domain", "app.errors"), (*SERVER, *DATABASE)),
    "app.logs": Room(("app.logs", "app.config", "app.domain", "app.errors"), (*DATABASE,)),
}
IMPURE = re.compile(
    "asyncio|concurrent|ctypes|io|logging|multiprocessing|os|random|secrets|select|shutil|signal"
    "|socket|sqlite3|subprocess|tempfile|threading|time|uuid"
)
STARTERS = ("subprocess", "multiprocessing", "pty", "asyncio.create_subprocess")
STARTER_CALL = re.compile(
    r"os\.(system|popen|fork|forkpty|exec\w+|spawn\w+|posix_spawnp?)"
    r"|(asyncio\.)?create_subprocess_\w+"
)
MAY_START_PROCESSES = (
    "app/cli/server/temporary_server.py",
    "app/native/window.py",
    *(
        f"app/adapters/{place}"
        for place in ("git/command.py", "engine/", "supervisor/", "agents/", "sandbox/machine.py")
    ),
)
STARTED_BY = (
    "only git, engine, supervisor, agents, the sandbox's probe, the window and the demo of the "
    "command line start"
    " processes"
)
# there is no global session: each comes from `Stores`, which knows the store of its rows
OPENED_BY = {
    "Session": ("app/records/database/database.py",),
    "Transaction": ("app/records/database/database.py",),
    "sessionmaker": (),
    "scoped_session": (),
    "create_engine": ("app/records/database/engines.py",),
    "Database": ("app/control_plane/storage.py", "app/backup/stores.py"),
}
# each package of the services imports only what stands before it
SERVICES_IN_ORDER = (
    *("system", "people", "approvals", "limits", "runs", "notifications", "lifecycle", "tracker"),
    *("projects", "kept", "retention", "review", "batches", "auto", "fleet"),
)
VAGUE = {"util", "utils", "helper", "helpers", "manager", "managers", "misc"}
VAGUE_ALONE = {"common", "base"}
CLOCK = re.compile(
    r"(datetime\.)*datetime\.(now|utcnow|today)|(datetime\.)?date\.today|time\.time(_ns)?"
)
LOG_CALLS = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception", "log")}
EVENT = re.compile(r"[a-z]+(_[a-z]+)+")
# the fields of an event become attributes of the record that the standard library makes of it
OF_LOG_RECORDS = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "event", "level"}
OF_LOG_RECORDS -= {"exc_info", "stack_info"}
RAW_TEXT_CALLS = {"run_javascript", "add_css", "add_scss", "add_head_html", "add_body_html"}


def _in(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def arrows_that_point_the_wrong_way(source: Source) -> Iterator[str]:
    for place, room in ROOMS.items():
        if not _in(source.module, (place,)):
            continue
        for node, name, held in imports(source):
            allowed = room.ours + (room.inside_functions if held else ())
            if name != "app" and _in(name, ("app", "main")) and not _in(name, allowed):
                yield source.at(node, f"{place} imports {name}; it may only {', '.join(allowed)}")
            if _in(name, room.never):
                yield source.at(node, f"{place} must not import {name}; leave that to its own room")


def ledgers_used_by_the_api(source: Source) -> Iterator[str]:
    if _in(source.module, ("app.api",)):
        for node in nodes(source):
            if isinstance(node, ast.Attribute) and node.attr in {"ledger", "ledgers", "stores"}:
                sentence = "the API reads through a method of a service"
                yield source.at(node, f"uses .{node.attr}; {sentence}")


def adapters_picked_outside_the_control_plane(source: Source) -> Iterator[str]:
    if not _in(source.module, ("app.control_plane", "app.adapters")):
        for node, name, _ in imports(source):
            if _in(name, ("app.adapters",)):
                yield source.at(node, f"imports {name}; only app/control_plane picks adapters")


def plain_or_relative_imports_of_our_modules(source: Source) -> Iterator[str]:
    for node in nodes(source):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        plain = isinstance(node, ast.Import) and any(a.name.startswith("app.") for a in node.names)
        if plain or (isinstance(node, ast.ImportFrom) and node.level):
            yield source.at(node, "write `from app.room import module`: page tests reload modules")


def impurities_of_the_domain(source: Source) -> Iterator[str]:
    if not _in(source.module, ("app.domain",)):
        return
    for node, name, _ in imports(source):
        top = name.split(".")[0]
        if top != "app" and (IMPURE.fullmatch(top) or top not in sys.stdlib_module_names):
            yield source.at(node, f"the domain must not import {name}; pass the value in")
    for node, name in names(source):
        if name in {"open", "print", "input"}:
            yield source.at(node, f"the domain must not call {name}(); pass the value in")


def commits_outside_the_database(source: Source) -> Iterator[str]:
    for node in calls(source) if source.name != "app/records/database/database.py" else ():
        if isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield source.at(node, "only records.database.transaction() commits; use it")


def databases_opened_elsewhere(source: Source) -> Iterator[str]:
    for node in calls(source):
        made = last_name(node.func)
        if made in OPENED_BY and not source.name.startswith(OPENED_BY[made]):
            yield source.at(node, f"opens a {made}; a session comes from the store of its rows")


def processes_started_elsewhere(source: Source) -> Iterator[str]:
    for keyword in keywords(source, "shell"):
        if not (isinstance(keyword, ast.Constant) and keyword.value is False):
            yield source.at(keyword, "no shell; give the program and its arguments as a list")
    if source.name.startswith(MAY_START_PROCESSES):
        return
    for node, name, _ in imports(source):
        if name.startswith(STARTERS) and not (source.name == "main.py" and "multi" in name):
            yield source.at(node, f"imports {name}; {STARTED_BY}")
    for node, name in names(source):
        if STARTER_CALL.fullmatch(name):
            yield source.at(node, f"uses {name}; {STARTED_BY}")


def files_that_are_too_long(source: Source) -> Iterator[str]:
    lines = len(source.text.splitlines())
    if lines > MAX_FILE_LINES:
        yield source.at(None, f"{lines} lines, at most {MAX_FILE_LINES}; divide it by its duties")


def off_cuts(source: Source) -> Iterator[str]:
    if "# stands alone: " in source.text:
        return
    lines, importers = len(source.text.splitlines()), [*_importers().get(source.module, ())]
    if lines >= MIN_FILE_LINES or len(importers) != 1 or source.name.endswith("__init__.py"):
        return
    theirs, ours = (one.name.rpartition("/")[0] for one in (importers[0], source))
    if theirs == ours:
        sentence = f"{lines} lines that only {importers[0].name} imports; merge them"
        yield source.at(None, f"{sentence}, or say `# stands alone: why`")


@cache
def _importers() -> dict[str, frozenset[Source]]:
    """Return the sources that import a module, by the module's name."""
    found: dict[str, set[Source]] = {}
    for source in sources():
        for _, name, _ in imports(source):
            found.setdefault(name, set()).add(source)
    return {name: frozenset(them) for name, them in found.items()}


def functions_that_are_too_long(source: Source) -> Iterator[str]:
    for node in () if source.name.startswith(MIGRATIONS) else functions(source):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            limit = f"{lines} lines, at most {MAX_FUNCTION_LINES}"
            yield source.at(node, f"{node.name} has {limit}; take a step out of it")


# FastAPI and Typer read a request's and a command's arguments from the parameters
PARAMETERS_ARE_INPUT = ("app/api/routes/", "app/cli/commands/")
# only to be shortened
HAVE_MORE_PARAMETERS = {
    "app/adapters/engine/launch.py::start_supervisor",
    "app/adapters/git/command.py::__init__",
    "app/adapters/git/command.py::run",
}


def functions_with_too_many_parameters(source: Source) -> Iterator[str]:
    """Keyword-only parameters count; `self`, `cls`, `*args` and `**columns` do not."""
    if source.name.startswith(PARAMETERS_ARE_INPUT):
        return
    for node in functions(source):
        is_known = f"{source.name}::{node.name}" in HAVE_MORE_PARAMETERS
        if (count := _parameters(node)) > MAX_PARAMETERS and not is_known:
            limit = f"{count} parameters, at most {MAX_PARAMETERS}"
            remedy = "give it a Context, or a value for those that belong together"
            yield source.at(node, f"{node.name} has {limit}; {remedy}")


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([one for one in given if one.arg not in {"self", "cls"}])


def folders_that_are_too_full(source: Source) -> Iterator[str]:
    if not source.name.endswith("__init__.py") or MIGRATIONS in source.name:
        return
    folder = source.name.removesuffix("__init__.py")
    files = [
        one.name
        for one in sources()
        if one.name.startswith(folder) and "/" not in one.name.removeprefix(folder)
    ]
    if len(files) - 1 > MAX_FOLDER_FILES:
        sentence = f"{len(files) - 1} files, at most {MAX_FOLDER_FILES}; divide it by capabilities"
        yield source.at(None, sentence)


def docstrings_that_begin_with_a_question_word(source: Source) -> Iterator[str]:
    for node in nodes(source):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        opener = re.split(r"\W", ast.get_docstring(node) or "", maxsplit=1)[0].lower()
        if opener in BANNED_OPENERS:
            where = None if isinstance(node, ast.Module) else node
            yield source.at(where, f"begins with {opener!r}; begin with a verb or the thing")


def packages_imported_against_their_order(source: Source) -> Iterator[str]:
    ours = source.module.split(".")
    if ours[:2] != ["app", "services"] or ours[2:] in ([], ["container"]):
        return
    is_shared = len(ours) == 3 and not source.name.endswith("__init__.py")
    if not is_shared and ours[2] not in (*SERVICES_IN_ORDER, "ports"):
        yield source.at(None, f"{ours[2]} has no place in SERVICES_IN_ORDER")
        return
    # a module beside the packages is shared by all of them, so it comes before the first
    place = -1 if is_shared or ours[2] == "ports" else SERVICES_IN_ORDER.index(ours[2])
    later = SERVICES_IN_ORDER[place + 1 :]
    for node, name, _ in imports(source):
        theirs = name.split(".")
        if theirs[:2] == ["app", "services"] and len(theirs) > 3 and theirs[2] in later:
            yield source.at(node, f"{source.module} imports {theirs[2]}, which builds on it")


def names_that_say_nothing(source: Source) -> Iterator[str]:
    for part in source.module.split("."):
        if _is_vague(part):
            yield source.at(None, f"a module named {part} says nothing; name what it holds")
    for node in nodes(source):
        defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if defines and _is_vague(node.name):
            yield source.at(node, f"{node.name} says nothing; name what it does")


def _is_vague(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_")
    return not VAGUE.isdisjoint(words) or name.lower() in VAGUE_ALONE


def markup_and_scripts_put_together_from_text(source: Source) -> Iterator[str]:
    for value in keywords(source, "sanitize"):
        if isinstance(value, ast.Constant) and value.value is False:
            yield source.at(value, "sanitize=False lets markup through; give a cleaner")
    for node in calls(source):
        name = last_name(node.func)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name in RAW_TEXT_CALLS and any(_is_put_together(value) for value in given):
            sentence = "give it constants, and values as arguments of a method"
            yield source.at(node, f"{name} gets text built from pieces; {sentence}")


def _is_put_together(value: ast.expr) -> bool:
    return any(
        isinstance(part, ast.JoinedStr | ast.BinOp)
        or (isinstance(part, ast.Call) and last_name(part.func) in {"format", "replace", "join"})
        for part in ast.walk(value)
    )


def clocks_read_where_time_is_passed_in(source: Source) -> Iterator[str]:
    if _in(source.module, ("app.domain", "app.records", "app.services")):
        for node, name in names(source):
            if CLOCK.fullmatch(name):
                yield source.at(node, f"reads the clock ({name}); take `now` as a parameter")


def services_made_at_import(source: Source) -> Iterator[str]:
    for statement in source.tree.body:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        made = last_name(value.func) if isinstance(value, ast.Call) else ""
        if made in _service_classes():
            yield source.at(statement, f"makes a {made} at import; let ControlPlane hold it")


@cache
def _service_classes() -> frozenset[str]:
    """Return the service classes that are not plain values."""
    return frozenset(
        node.name
        for source in sources()
        if _in(source.module, ("app.services",))
        for node in nodes(source)
        if isinstance(node, ast.ClassDef)
        and not any("frozen=True" in ast.unparse(mark) for mark in node.decorator_list)
        and not any(last_name(base).endswith(("Enum", "NamedTuple")) for base in node.bases)
    )


def shared_refreshables(source: Source) -> Iterator[str]:
    for node in source.tree.body:
        for mark in getattr(node, "decorator_list", []):
            if "refreshable" in ast.unparse(mark):
                yield source.at(mark, "renders everybody's page again; keep it inside the page")


def log_lines_put_together_from_text(source: Source) -> Iterator[str]:
    for node in calls(source):
        if dotted(node.func) not in LOG_CALLS:
            continue
        event = node.args[0] if node.args else None
        name = event.value if isinstance(event, ast.Constant) else None
        if len(node.args) != 1 or not EVENT.fullmatch(str(name)):
            sentence = 'log an event in the past tense, with fields: log.info("run_accepted", …)'
            yield source.at(node, sentence)
        for keyword in node.keywords:
            if keyword.arg in OF_LOG_RECORDS:
                yield source.at(node, f"{keyword.arg} is an attribute of every log record")
            if isinstance(keyword.value, ast.JoinedStr | ast.BinOp):
                yield source.at(node, f"{keyword.arg} is put together; give each value a field")


def loggers_of_the_standard_library(source: Source) -> Iterator[str]:
    for node in calls(source) if source.name != "app/logs.py" else ():
        if dotted(node.func) == "logging.getLogger" and "__name__" in map(dotted, node.args):
            yield source.at(node, "write `log = structlog.get_logger()`")


def environments_of_tests(source: Source) -> Iterator[str]:
    if _in(source.module, (FAILPOINTS,)):
        return
    for node in nodes(source):
        if isinstance(node, ast.Constant) and "RUNYARD_TEST" in str(node.value):
            yield source.at(node, "reads a test's environment; take it as an argument")


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    arrows_that_point_the_wrong_way,
    ledgers_used_by_the_api,
    adapters_picked_outside_the_control_plane,
    plain_or_relative_imports_of_our_modules,
    impurities_of_the_domain,
    commits_outside_the_database,
    databases_opened_elsewhere,
    processes_started_elsewhere,
    files_that_are_too_long,
    off_cuts,
    functions_that_are_too_long,
    functions_with_too_many_parameters,
    folders_that_are_too_full,
    docstrings_that_begin_with_a_question_word,
    packages_imported_against_their_order,
    names_that_say_nothing,
    markup_and_scripts_put_together_from_text,
    clocks_read_where_time_is_passed_in,
    services_made_at_import,
    shared_refreshables,
    log_lines_put_together_from_text,
    loggers_of_the_standard_library,
    environments_of_tests,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_has_no(rule: Callable[[Source], Iterator[str]]) -> None:
    problems = [problem for source in sources() for problem in rule(source)]
    assert not problems, "\n" + "\n".join(problems)


def test_what_may_have_more_parameters_still_has_them() -> None:
    found = {
        f"{source.name}::{node.name}"
        for source in sources()
        for node in functions(source)
        if _parameters(node) > MAX_PARAMETERS
    }
    assert found >= HAVE_MORE_PARAMETERS


def test_no_folder_of_tests_is_too_full() -> None:
    folders = Counter(path.parent for path in (ROOT / "tests").rglob("*.py"))
    full = {
        path.relative_to(ROOT).as_posix(): n for path, n in folders.items() if n > MAX_FOLDER_FILES
    }
    assert full == {}
