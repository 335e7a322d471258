"""The commands of forges, against a real server and the twin of a forge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.cli.live_shell import LiveShell
from tests.fakes.forges.twin import ForgeTwin


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A forge with three repositories."""
    with ForgeTwin(tmp_path_factory.mktemp("forge")) as twin:
        twin.add_token("TOKEN_BOT")
        for name in ("acme/shop", "acme/site", "other/tool"):
            twin.add_repository(f"{name}s", writers=("bot",))
        yield twin


def add(live: LiveShell, twin: ForgeTwin, *words: str) -> None:
    """Add the forge under the name `work`."""
    added = live.run("forges", "add", twin.url, "--name", "work", *words, stdin="TOKEN_BOT\n")
    assert added.code == 0, added.err
    assert "TOKEN_BOT" not in added.out + added.err


def test_a_forge_is_added_by_a_token_from_a_pipe_checked_renamed_and_removed(
    live: LiveShell, twin: ForgeTwin
) -> None:
    add(live, twin, "--json")
    listed = live.run("forges", "list", "--json").json["items"]
    assert [(one["name"], one["acts_as"]["login"]) for one in listed] == [("work", "bot")]
    assert "token" not in listed[0]
    twin.add_token("TOKEN_ISSUES", "helper", "write:issue", "read:user")
    words = ["forges", "edit", "work", "--new-token"]
    edited = live.run(*words, "--json", stdin="TOKEN_ISSUES\n").json
    assert edited["missing"] == ["write:repository"]
    checked = live.run("forges", "check", "work")
    assert "acts as helper, may change issues" in checked.out
    assert "The token lacks write:repository." in checked.out
    refused = live.run(*words, stdin="\n")
    assert (refused.code, "Give a token with the scopes" in refused.err) == (1, True)
    assert live.run("forges", "remove", "work", "--json").json["id"] == edited["id"]
    assert live.run("forges", "list", "--json").json["items"] == []


def test_the_address_and_the_secret_of_hooks_are_printed_and_outlive_a_fresh_key(
    live: LiveShell, twin: ForgeTwin
) -> None:
    add(live, twin)
    told = live.run("forges", "hook", "work", "--json").json
    assert set(told) == {"url", "secret"}
    assert live.run("secrets", "rotate", "--json").json == {"secrets": 2}
    assert live.run("forges", "hook", "work", "--json").json == told
    shown = live.run("forges", "hook", "work")
    assert [line.split() for line in shown.out.splitlines()] == [
        ["address", told["url"]],
        ["secret", told["secret"]],
    ]
    refused = live.run("forges", "hook", "work", "--install", "acme/shops")
    assert (refused.code, "acme/shops: user should be an owner" in refused.err) == (1, True)
    twin.hosted["acme/shops"].admins += ("bot",)
    installed = live.run("forges", "hook", "work", "--install", "acme/shops", "--json").json
    assert installed["installed"] == ["acme/shops"]
    assert live.run("forges", "remove", "work").code == 0


def test_repositories_are_listed_and_imported_by_name_once(
    live: LiveShell, twin: ForgeTwin, tmp_path: Path
) -> None:
    add(live, twin)
    listed = live.run("projects", "import", "--forge", "work", "--org", "acme", "--json").json
    assert [one["full_name"] for one in listed["items"]] == ["acme/shops", "acme/sites"]
    words = ["projects", "import", "--forge", "work", "--agent", "claude"]
    made = live.run(*words, "acme/shops", "--json").json["items"]
    assert [(one["name"], one["tracker"]) for one in made] == [("shops", "gitea")]
    assert live.run(*words, "acme/shops", "--json").json["items"] == []
    unknown = live.run(*words, "acme/none")
    assert (unknown.code, "work shows no repository acme/none." in unknown.err) == (2, True)
    used = live.run("forges", "remove", "work")
    assert (used.code, "1 project keeps its issues at work." in used.err) == (1, True)


def test_hooks_are_installed_for_every_project_whose_repository_lets_the_token(
    live: LiveShell, tmp_path: Path
) -> None:
    with ForgeTwin(tmp_path / "hooked") as other:
        other.add_token("TOKEN_BOT")
        hosted = other.add_repository("acme/mill", writers=("bot",))
        other.add_repository("acme/spare", writers=("bot",))
        added = live.run("forges", "add", other.url, "--name", "hooked", stdin="TOKEN_BOT\n")
        assert added.code == 0
        words = ["projects", "import", "--forge", "hooked", "--agent", "claude"]
        assert live.run(*words, "acme/mill").code == 0
        refused = live.run("forges", "hook", "hooked", "--all")
        assert refused.code == 1
        assert "acme/mill: user should be an owner or a collaborator with admin" in refused.err
        assert "acme/spare" not in refused.err
        hosted.admins += ("bot",)
        installed = live.run("forges", "hook", "hooked", "--all")
        assert (installed.code, "installed in acme/mill" in installed.out) == (0, True)
        assert len(hosted.hooks) == 1
