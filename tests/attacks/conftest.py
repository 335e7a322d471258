"""A server and a project for attacks on the no-script forms; pairs of parameters for the soak."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import pytest

from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import PLAIN, ROOT, USERS
from tests.drivers.servers.workshop import Workshop, open_workshop

# each user with two of the four ways; `make soak` tries the other pairs
IN_BRIEF = {
    (ROOT, None, SandboxLevel.NONE),
    (ROOT, Means.BUBBLEWRAP, SandboxLevel.CONTAINED),
    (PLAIN, Means.BUBBLEWRAP, SandboxLevel.SANDBOXED),
    (PLAIN, Means.NAMESPACES, SandboxLevel.CONTAINED),
}
# the sandboxes of both users are made alike: of these files root tries the named tests alone
PLAIN_ALONE = {"test_landlock.py", "test_network_sandbox.py", "test_private_homes.py"}
ROOT_TOO = {
    "test_a_listed_host_is_reached_and_another_is_not",
    "test_a_sign_in_that_is_renewed_inside_is_the_users_own_afterwards",
    "test_an_agent_works_in_its_copy_and_gets_at_nothing_of_runyards",
    "test_git_python_and_node_work_in_a_private_home",
    "test_nothing_outlives_the_run_however_it_hides",
}
# docs/operating.md promises each cell of its table
WHOLE = {"test_what_gets_through.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most pairs of a user and a way, or of root and another parameter, to the soak.

    Without root nothing is left out: its tests are skipped, so a plain user tries everything.
    """
    seen = set[str]()
    for item in items:
        if os.geteuid() != 0 or "attacks" not in item.path.parts or item.path.name in WHOLE:
            continue
        params: Mapping[str, object] = getattr(getattr(item, "callspec", None), "params", {})
        user = next((one for one in params.values() if one in USERS), None)
        if user is None or (len(params) == 1 and item.path.name not in PLAIN_ALONE):
            continue
        way = params.get("way")
        if "means" in params:
            way = (params["means"], params["level"])
        test = item.nodeid.partition("[")[0]
        if isinstance(way, tuple):
            is_brief = (user, *way) in IN_BRIEF
        elif len(params) == 1:
            is_brief = user == PLAIN or test.partition("::")[2] in ROOT_TOO
        else:
            is_brief = user == PLAIN or test not in seen
        seen.add(test)
        if not is_brief:
            item.add_marker(pytest.mark.soak)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A workshop shared by the tests of one file."""
    with open_workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture(scope="module")
def project(shop: Workshop) -> str:
    """A project with an issue that is ready to start."""
    made = shop.add_project("target")
    shop.issue(made, body="please wait")
    return made
