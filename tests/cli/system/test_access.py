"""Revoking access: new token, signing out every browser, with and without a server."""

from __future__ import annotations

from pathlib import Path

import httpx

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
