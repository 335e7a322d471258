"""The sandbox settings of a project over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop

USUAL = {
    "sandbox": "contained",
    "sandbox_notice": False,
    "network": "all",
    "allowed_hosts": [],
    "allow": [],
    "toolchains": [],
    "limits": {"memory_mb": None, "processes": 4096, "file_mb": None, "disk_mb": None},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("surrounded")) as shop:
        yield shop


def test_every_setting_of_what_surrounds_agents_is_answered_as_it_was_given(
    shop: Workshop,
) -> None:
    tools = shop.folder / "tools"
    tools.mkdir()
    given = {
        "sandbox": "sandboxed",
        "network": "allowed",
        "allowed_hosts": ["example.org", "pkg.example.org:8443", "example.org"],
        "allow": ["docker"],
        "toolchains": [str(tools)],
        "limits": {"memory_mb": 2048, "processes": 512, "file_mb": 50, "disk_mb": 4096},
    }
    project = shop.api.get(f"/projects/{shop.add_project('given', **given)}").json()
    told = given | {"allowed_hosts": given["allowed_hosts"][:2]}
    assert {name: project[name] for name in told} == told
    path = f"/projects/{project['id']}"
    back = {"sandbox": "contained", "network": "all", "limits": {"processes": 64}}
    changed = shop.api.patch(path, json=back | {"allowed_hosts": [], "allow": []}).json()
    assert changed["limits"] == given["limits"] | {"processes": 64}
    assert (changed["sandbox"], changed["allow"], changed["allowed_hosts"]) == ("contained", [], [])


def test_a_project_that_says_nothing_of_it_has_the_usual(shop: Workshop) -> None:
    project = shop.api.get(f"/projects/{shop.add_project('usual')}").json()
    assert {name: project[name] for name in USUAL} == USUAL


def test_bubblewrap_is_an_older_word_for_sandboxed(shop: Workshop) -> None:
    project_id = shop.add_project("older", sandbox="bubblewrap")
    assert shop.api.get(f"/projects/{project_id}").json()["sandbox"] == "sandboxed"


def test_the_system_tells_what_this_machine_can_surround_agents_with(shop: Workshop) -> None:
    told = shop.api.get("/system").json()["sandbox"]
    assert told["default"] == "contained"
    assert told["means"] in {"bubblewrap", "util-linux", "landlock", None}
    assert told["levels"][-1] == "none"


def test_a_change_of_the_level_is_told_as_it_was_and_as_it_is(shop: Workshop) -> None:
    project_id = shop.add_project("told")
    shop.api.patch(f"/projects/{project_id}", json={"sandbox": "none"})
    row = shop.api.get("/audit", params={"object": project_id, "limit": 1}).json()["items"][0]
    assert (row["deed"], row["before"]["sandbox"], row["after"]["sandbox"]) == (
        *("change_project", "contained", "none"),
    )
    assert row["person"]
