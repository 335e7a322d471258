"""Hooks and fixtures for every test: a clean environment, a safe order, no ERROR in the log."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pytest_rerunfailures import StatusDB

from app.logs import formatter, route_events
from tests.drivers.failpoints import clear_failpoints
from tests.drivers.store_guard import guard_stores, strays

_FOREIGN = ("RUNYARD_", "NICEGUI_", "GIT_")
# these choose the databases of the suite (tests/builders/databases.py), whether a browser's tests
# leave screenshots (tests/drivers/web/submits.py), and a real forge (tests/contracts/forges)
_OURS = (
    *("RUNYARD_TEST_DATABASE", "RUNYARD_TEST_SPLIT", "RUNYARD_TEST_PICTURES"),
    *("RUNYARD_TEST_FORGE_URL", "RUNYARD_TEST_FORGE_TOKEN"),
)
_PRIVATE = ("PYTEST_", "NICEGUI_")
_BROWSER = {"page", "context", "browser", "browser_type", "playwright"}
# long tests: a worker that got one of these last would run on alone
_LONG = {"test_screens.py"}

# Python's usual 700 took 3 % of the CPU time of 59 tests of services; this takes half of that
COLLECTED_AFTER = (10_000, 10, 10)

# a busy machine must not fail a test
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    """Remove the developer's own settings from the environment, git's included."""
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        if name not in _OURS:
            del os.environ[name]
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    os.environ["GIT_CONFIG_NOSYSTEM"] = "1"
    # A shell's background job ignores both, and its children inherit that: tests that interrupt
    # a child would wait for ever.
    for number, usual in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)
    guard_stores()
    # collecting makes hundreds of thousands of objects, and all of them stay
    gc.disable()
    route_events()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a worker count a test's failures itself.

    pytest-rerunfailures asks the controller for them and reports each test to it, byte by byte over
    a socket, to run a test again whose worker has crashed. `--dist loadfile` never does that.
    """
    config: Any = session.config
    if hasattr(config, "workerinput"):
        config.failures_db.sock.close()
        config.failures_db = StatusDB()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files that drive a browser last: Playwright's loop breaks every async test after it.

    The longest of them come first, so that no worker is left alone with one at the end.
    """
    tests_of = Counter(item.path for item in items)
    in_browser = {item.path for item in items if _drives_a_browser(item)}
    turn = {path: 0 if path.name in _LONG else 1 / tests_of[path] for path in in_browser}
    items.sort(key=lambda item: turn.get(item.path, -1))


def pytest_collection_finish() -> None:
    """Exempt all imported objects from garbage collection: they stay for the whole session."""
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tear down module fixtures before a rerun, so that it shares nothing with the first try."""
    if getattr(item, "execution_count", 1) == 1 or not isinstance(item, pytest.Function):
        return
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for one in definitions:
            if one.scope == "module":
                one.finish(item._request)  # pyright: ignore[reportArgumentType]


def _drives_a_browser(item: pytest.Item) -> bool:
    folders = item.path.relative_to(item.config.rootpath).parts
    return "e2e" in folders or not _BROWSER.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture
def child_environment() -> dict[str, str]:
    """Return the environment for a child process: NiceGUI refuses to serve with PYTEST_* set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE)}


class _Errors(logging.Handler):
    """Collects the log records at ERROR and above."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.setFormatter(formatter(is_short=True))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {self.format(record)}")


@pytest.fixture(autouse=True)
def no_failpoint_is_left() -> Iterator[None]:
    """Clear the failpoints that a test has set."""
    yield
    clear_failpoints()


@pytest.fixture(autouse=True)
def fail_on_error_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test on any ERROR in the log, unless it is marked `expects_error_log`."""
    errors, root = _Errors(), logging.getLogger()
    root.addHandler(errors)
    yield
    root.removeHandler(errors)
    if errors.lines and not request.node.get_closest_marker("expects_error_log"):
        pytest.fail("logged at ERROR:\n" + "\n".join(errors.lines), pytrace=False)


@pytest.fixture(autouse=True)
def fail_on_astray_statements() -> Iterator[None]:
    """Fail the test if one of two stores was asked for rows that the other one owns."""
    strays.clear()
    yield
    if strays:
        pytest.fail("\n".join(strays), pytrace=False)
