"""One server and one signed-in browser for the files of this folder; each test has its project."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.drivers.servers.processes import RunyardServer, running_server
from tests.drivers.web.browsers import WIDE
from tests.drivers.web.submits import FaultFile, stop_runs
from tests.e2e.conftest import (
    FAST,
    PATIENCE_MS,
    Consoles,
    OpenPage,
    close_tabs,
    is_error,
    signed_in_browser,
)

HAS_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> FaultFile:
    """The faults injected between pages and API."""
    return FaultFile(tmp_path_factory.mktemp("faults") / "faults.json")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that comes first in the server's PATH."""
    return tmp_path_factory.mktemp("programs")


class LogCheck:
    """Looks through the servers' logs, each line once."""

    def __init__(self) -> None:
        self._seen: dict[Path, int] = {}

    def errors_of(self, server: RunyardServer) -> list[str]:
        """Return the lines at ERROR that were written since the last look."""
        log, seen = server.log, self._seen.get(server.data_dir, 0)
        # the last line may be half written
        self._seen[server.data_dir] = end = log.rfind("\n") + 1
        return [line for line in log[seen:end].splitlines() if is_error(line)]


@pytest.fixture(scope="session")
def log_check() -> LogCheck:
    """What was seen of the servers' logs."""
    return LogCheck()


def shared_settings(faults: FaultFile, programs: Path) -> dict[str, str]:
    """Return the environment of the shared server."""
    return {
        **FAST,
        **faults.settings,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "ANTHROPIC_API_KEY": "a-key-that-nobody-has-0815",
    }


@pytest.fixture(scope="session")
def shared_server(
    tmp_path_factory: pytest.TempPathFactory,
    faults: FaultFile,
    programs: Path,
    log_check: LogCheck,
) -> Iterator[RunyardServer]:
    """The server of all files that set nothing: with faults, and with a signed-in agent."""
    with running_server(
        tmp_path_factory.mktemp("shared"), **shared_settings(faults, programs)
    ) as running:
        yield running
    errors = log_check.errors_of(running)
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="session")
def begun_files() -> set[str]:
    """The files that have had the shared server."""
    return set()


@pytest.fixture(scope="module")
def is_shared(
    settings: dict[str, str], begin: Callable[..., AbstractContextManager[RunyardServer]]
) -> bool:
    """Whether the file uses the shared server; override in a file that kills it or counts all."""
    return not settings and begin is running_server


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    begin: Callable[..., AbstractContextManager[RunyardServer]],
    settings: dict[str, str],
    is_shared: bool,
    log_check: LogCheck,
    begun_files: set[str],
) -> Iterator[RunyardServer]:
    """The shared server or one of this file; an ERROR in its log fails the last test.

    Of the shared one's, also an ERROR between this file and the one before.
    """
    if not is_shared:
        data = tmp_path_factory.mktemp("data")
        faults = request.getfixturevalue("faults")
        with begin(data, **FAST | faults.settings | settings) as running:
            yield running
    elif request.node.nodeid in begun_files:
        # a test is tried again, and the shared server has the projects of its first try
        again = shared_settings(
            request.getfixturevalue("faults"), request.getfixturevalue("programs")
        )
        with running_server(tmp_path_factory.mktemp("again"), **again) as running:
            yield running
    else:
        begun_files.add(request.node.nodeid)
        running = request.getfixturevalue("shared_server")
        yield running
    errors = log_check.errors_of(running)
    assert not errors, "\n".join(errors)


class SignedIn:
    """A browser context for each server, signed in when it is first asked for."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        # not by address: a port comes back with another server
        self._contexts: dict[Path, tuple[RunyardServer, BrowserContext, ExitStack]] = {}

    def at(self, server: RunyardServer) -> BrowserContext:
        """Return the context of this server; its scripts stay in the cache."""
        if server.data_dir not in self._contexts:
            self._close_ended()
            closing = ExitStack()
            signed_in = signed_in_browser(self._browser, server, reduced_motion="reduce")
            context = closing.enter_context(signed_in)
            self._contexts[server.data_dir] = (server, context, closing)
        return self._contexts[server.data_dir][1]

    def _close_ended(self) -> None:
        for folder, (server, _, closing) in list(self._contexts.items()):
            if server.process is None:
                closing.close()
                del self._contexts[folder]

    def another(self, server: RunyardServer, **how: Any) -> BrowserContext:
        """Return a new context that is signed in; the caller closes it."""
        state = self.at(server).storage_state()
        own = {"viewport": WIDE, "reduced_motion": "reduce", **how}
        return self._browser.new_context(storage_state=state, **own)


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> SignedIn:
    """The signed-in contexts of this session."""
    expect.set_options(timeout=PATIENCE_MS)
    return SignedIn(browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which tests fail, for their fixtures."""
    report = yield
    if report.failed:
        item.stash[HAS_FAILED] = True
    return report


@pytest.fixture(autouse=True)
def no_run_is_left(request: pytest.FixtureRequest, is_shared: bool) -> Iterator[None]:
    """Stop what a failed test leaves on the shared server: it would disturb the next ones."""
    yield
    server = request.node.funcargs.get("server")
    if is_shared and server is not None and request.node.stash.get(HAS_FAILED, False):
        with server.client() as client:
            for project in client.get("/projects").json()["items"]:
                if project["auto_enabled"]:
                    client.put(f"/projects/{project['id']}/afk/auto", json={"enabled": False})
        stop_runs(server)


@pytest.fixture(autouse=True)
def no_fault_is_left(faults: FaultFile, no_run_is_left: None) -> Iterator[None]:
    """Remove the faults that a test has set; before runs are stopped, which faults could hinder."""
    yield
    faults.clear()


@pytest.fixture
def sign_in(open_page: OpenPage, server: RunyardServer, contexts: SignedIn) -> OpenPage:
    """`sign_in(**context)` opens an empty page in a new context, signed in."""

    def enter(**context: Any) -> Page:
        state = contexts.at(server).storage_state()
        return open_page(**{"storage_state": state, "reduced_motion": "reduce", **context})

    return enter


@pytest.fixture
def signed_in(server: RunyardServer, contexts: SignedIn, consoles: Consoles) -> Iterator[Page]:
    """An empty page in the signed-in context, which later tests use, too."""
    context = contexts.at(server)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    consoles.watch(page)
    yield page
    close_tabs(context)
    context.clear_permissions()
