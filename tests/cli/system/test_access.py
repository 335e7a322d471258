"""Signing in to a server elsewhere, and revoking access with and without a server."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.drivers.cli.shells import Shell
from tests.drivers.servers.processes import RunyardServer, running_server


def status_with(server: RunyardServer, token: str) -> int:
    own = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}/api/v1/runs", headers=own, timeout=20).status_code


def test_a_new_token_ends_the_old_one_and_its_stream_and_every_browser_is_signed_out(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path / "data") as server, server.visitor() as browser:
        shell, old = Shell(server.data_dir), server.token
        with server.client() as client, client.stream("GET", "/events") as feed:
            lines = feed.iter_lines()
            next(lines)
            done = shell.run("token", "rotate")
            assert (done.code, done.err) == (0, "")
            assert [line for line in lines if line.startswith("data:")] == []  # the stream ends
        assert old not in done.out + server.token
        assert server.token not in done.out
        assert (status_with(server, old), status_with(server, server.token)) == (401, 200)
        assert shell.run("projects", "list").code == 0
        sign_in(server, browser)
        sign_everybody_out(shell)
        assert browser.get("/api/v1/runs").status_code == 401


def test_without_a_server_a_token_is_replaced_and_every_browser_is_signed_out(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path / "data") as server, server.visitor() as browser:
        shell, old = Shell(server.data_dir), server.token
        sign_in(server, browser)
        server.stop()
        assert shell.run("token", "rotate").code == 0
        sign_everybody_out(shell)
        server.start()
        assert (status_with(server, old), status_with(server, server.token)) == (401, 200)
        assert browser.get("/api/v1/runs").status_code == 401


def sign_in(server: RunyardServer, browser: httpx.Client) -> None:
    assert browser.get(server.new_link()).status_code == 303
    assert browser.get("/api/v1/runs").status_code == 200


def sign_everybody_out(shell: Shell) -> None:
    done = shell.run("logout", "--everywhere")
    assert (done.code, done.out) == (0, "Signed out 1 browser.\n")


def test_the_command_line_has_no_session_of_its_own_to_end(lonely_shell: Shell) -> None:
    done = lonely_shell.run("logout")
    assert (done.code, "--everywhere" in done.err) == (2, True)


def test_a_login_leads_every_command_to_that_server_until_the_logout_revokes_its_token(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path / "team") as server:
        made = Shell(server.data_dir).run("tokens", "add", "laptop", "--scope", "read", "--json")
        token = str(made.json["token"])
        laptop = Shell(tmp_path / "laptop")
        done = laptop.run("login", server.url, stdin=token + "\n")
        assert (done.code, done.out) == (0, f"Signed in to {server.url} as operator.\n")
        saved = laptop.folder / "login.json"
        assert (saved.stat().st_mode & 0o777, laptop.folder.stat().st_mode & 0o777) == (
            0o600,
            0o700,
        )
        assert laptop.run("projects", "list").code == 0
        refused = laptop.run("projects", "add", str(tmp_path))
        assert (refused.code, "scope admin" in refused.err) == (1, True)
        # what names a server goes before a login, and what is about this machine stays here
        assert laptop.run("projects", "list", "--data-dir", str(tmp_path / "none")).code == 3
        assert laptop.run("token", "rotate").out.startswith("The new token is in")
        assert status_with(server, server.token) == 200
        done = laptop.run("logout")
        assert (done.code, done.out) == (0, f"Signed out of {server.url}.\n")
        assert (status_with(server, token), saved.exists()) == (401, False)
        assert laptop.run("projects", "list").code == 3


def test_a_login_that_the_server_ended_says_how_to_sign_in_again(tmp_path: Path) -> None:
    with running_server(tmp_path / "team") as server:
        own, laptop = Shell(server.data_dir), Shell(tmp_path / "laptop")
        made = own.run("tokens", "add", "laptop", "--scope", "read", "--json")
        assert laptop.run("login", server.url, stdin=str(made.json["token"])).code == 0
        assert own.run("tokens", "revoke", "laptop").code == 0
        refused = laptop.run("projects", "list")
        assert (refused.code, f"runyard login {server.url}" in refused.err) == (1, True)
        assert laptop.run("logout").out == f"Signed out of {server.url}.\n"


def test_a_login_while_the_server_is_away_is_kept_for_the_next_command(tmp_path: Path) -> None:
    with running_server(tmp_path / "team") as server:
        made = Shell(server.data_dir).run("tokens", "add", "laptop", "--scope", "read", "--json")
        laptop = Shell(tmp_path / "laptop")
        assert laptop.run("login", server.url, stdin=str(made.json["token"])).code == 0
        server.stop()
        away = laptop.run("projects", "list")
        assert (away.code, server.url in away.err) == (3, True)
        assert "runyard serve" not in away.err, "nobody starts that server from here"
        # nothing is ended on this machine in its stead
        assert laptop.run("logout", "--everywhere").code == 3
        done = laptop.run("logout")
        assert (done.code, f"revoke the token at {server.url}/settings?tab=tokens" in done.err) == (
            *(0, True),
        )


@pytest.mark.parametrize(
    ("url", "token", "code", "told"),
    [
        ("http://runyard.example.com", "ry_x", 2, "begins with https://"),
        ("runyard.example.com", "ry_x", 2, "is not the address of a server"),
        ("http://127.0.0.1:1", "", 2, "not a token"),
        ("http://127.0.0.1:1", "ry_\u00e9", 2, "not a token"),
        ("http://127.0.0.1:1", "ry_x", 3, "not reachable"),
    ],
)
def test_a_login_that_cannot_be_is_refused_and_nothing_is_saved(
    tmp_path: Path, url: str, token: str, code: int, told: str
) -> None:
    shell = Shell(tmp_path / "data")
    done = shell.run("login", url, stdin=token)
    assert (done.code, told in done.err) == (code, True), done.err
    assert not (shell.folder / "login.json").exists()


def test_a_token_that_the_server_does_not_know_signs_nobody_in(tmp_path: Path) -> None:
    with running_server(tmp_path / "team") as server:
        shell = Shell(tmp_path / "data")
        done = shell.run("login", server.url, stdin="ry_other")
        assert (done.code, "This server does not know the token." in done.err) == (1, True)
        assert not (shell.folder / "login.json").exists()
