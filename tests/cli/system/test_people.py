"""People by the command line: a team out of an installation of one operator."""

from __future__ import annotations

from tests.drivers.cli.live_shell import LiveShell


def test_one_command_makes_a_team_of_one_operator_and_nothing_is_lost(live: LiveShell) -> None:
    live.add_project("team-shop")
    run = live.start("team-shop", "greet")
    live.run("runs", "wait", run, "--json")
    invited = live.run("users", "invite", "anna@example.com", "--name", "Anna", "--role", "admin")
    assert invited.code == 0, invited.err
    assert "Anna is invited as admin." in invited.out
    assert "/login/invitation?token=" in invited.out
    people = live.run("users", "list", "--json").json["items"]
    assert {(one["name"], one["role"]) for one in people} >= {
        ("Anna", "admin"),
        ("operator", "admin"),
    }
    assert live.run("runs", "show", run, "--json").json["status"] == "succeeded"
    deeds = [one["deed"] for one in live.run("audit", "list", "--json").json["items"]]
    assert {"add_project", "start", "add_person"} <= set(deeds)


def test_a_person_is_named_by_their_address_and_disabled_ones_are_told(live: LiveShell) -> None:
    live.run("users", "invite", "bert@example.com")
    assert live.run("users", "disable", "Bert@Example.com").out.strip().endswith("is disabled.")
    assert "disabled" in live.run("users", "list").out
    unknown = live.run("users", "role", "nobody@example.com", "admin")
    assert (unknown.code, unknown.out) == (1, "")


def test_a_role_in_a_project_that_cannot_be_read_is_told_before_anything_else(
    live: LiveShell,
) -> None:
    wrong = live.run("users", "invite", "carl@example.com", "--in", "shop")
    assert wrong.code == 2
    assert "PROJECT=ROLE" in wrong.err


def test_a_token_made_here_opens_what_it_names_until_it_is_revoked(live: LiveShell) -> None:
    made = live.run("tokens", "add", "robot", "--scope", "read", "--json").json
    assert made["token"].startswith("ry_")
    assert "robot" in live.run("tokens", "list").out
    assert live.run("tokens", "revoke", "robot").code == 0
    assert live.run("tokens", "revoke", "robot").code == 1
