"""The command line against a real server, with real git and real runs."""

from __future__ import annotations

import json
import re

from tests.drivers.cli.live_shell import LiveShell
from tests.drivers.cli.shells import Shell
from tests.drivers.servers.processes import free_port


def trigger(shell: Shell, *words: str) -> tuple[int, list[str], str]:
    done = shell.run("runs", "trigger", "-p", "shop", "--agent-type", "script", *words)
    return done.code, done.out.splitlines(), done.err


def test_an_issue_becomes_a_delivered_change(live: LiveShell) -> None:
    number = live.run("issues", "add", "-p", "shop", "Greet people", "--ready").out.strip()
    code, lines, told = trigger(live, "--issue", number, "--wait")
    assert code == 0, told
    assert re.match(r"Succeeded  …\w{6}  .*change #\d+ open, 1 commit, 1 file", lines[-1])
    assert "spawned" in told
    ending = lines[0][-6:]
    assert "delivered" in live.run("runs", "show", ending).out
    assert live.run("runs", "show", "…" + ending, "--json").json["id"] == lines[0]
    assert live.run("runs", "logs", ending, "--follow").out == "\x1b[32mworking\x1b[0m\ndone\n"
    listed = live.run("runs", "list", "-p", "shop", "--status", "succeeded").out
    assert listed.count(f"#{number} Greet people") == 1


def test_a_run_on_a_change_is_started_by_its_number_and_adds_to_it(live: LiveShell) -> None:
    number = live.run("issues", "add", "-p", "shop", "Greet twice", "--ready").out.strip()
    code, [first, *_], told = trigger(live, "--issue", number, "--wait")
    assert code == 0, told
    change = live.run("runs", "show", first, "--json").json["delivery"]
    words = ("--pr-number", str(change["number"]), "--task", "please commit")
    code, [second, *_], told = trigger(live, *words, "--wait")
    assert code == 0, told
    run = live.run("runs", "show", second, "--json").json
    assert (run["trigger"], run["pr_number"]) == ("review", change["number"])
    assert run["delivery"]["head_sha"] != change["head_sha"]
    text = live.run("runs", "prompt", second).out
    assert f"You work on change request #{change['number']}, “Greet twice”" in text
    refused = trigger(live, "--pr-number", "999")
    assert (refused[0], refused[1]) == (1, [])
    assert "There is no change request #999." in refused[2]


def test_the_loop_is_driven_from_the_command_line(live: LiveShell) -> None:
    number = live.run("issues", "add", "-p", "shop", "Greet once more", "--ready").out.strip()
    assert live.run("afk", "next", "shop").out.startswith("auto runs are off\n")
    started = live.run("afk", "start", "shop", "--wait", "--json")
    assert started.code == 0, started.err
    assert (started.json["issue"], started.json["status"]) == (int(number), "succeeded")
    nothing = live.run("afk", "start", "shop")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.err.startswith("No ready-for-agent issues to start.\n")

    assert (
        live.run("afk", "auto", "shop", "on").out == "shop: Auto AFK runs: On · 0 fails in a row\n"
    )
    assert live.run("afk", "next", "shop").out.startswith("no issue is claimable\n")
    assert re.search(r"^shop .* on +0$", live.run("projects", "list").out, re.MULTILINE)
    off = live.run("afk", "auto", "shop", "off", "--json").json
    assert (off["auto_enabled"], off["paused"]) == (False, False)
    assert live.run("afk", "reset", "shop", "--json").json["strikes"] == 0


def test_a_failed_run_that_was_waited_for_is_exit_4(live: LiveShell) -> None:
    code, lines, _ = trigger(live, "--task", "please fail", "--wait")
    assert code == 4
    assert lines[-1].startswith("Died  …")


def test_one_key_makes_one_run(live: LiveShell) -> None:
    words = ["--task", "please fail", "--branch", "main", "--key", "the-same"]
    first, second = trigger(live, *words), trigger(live, *words)
    assert (first[0], second[0]) == (0, 0)
    assert first[1] == second[1]
    assert "no second run was started" in second[2]


def test_a_run_under_way_is_stopped_once(live: LiveShell) -> None:
    _, [run_id], _ = trigger(live, "--task", "please wait")
    stopped = live.run("runs", "stop", run_id, "--reason", "seen enough", "--json")
    assert stopped.code == 0, stopped.err
    assert live.run("runs", "show", run_id, "--json").json["status"] == "stopped"
    again = live.run("runs", "stop", run_id)
    assert again.code == 1
    assert re.search(r"^corr \S+$", again.err, re.MULTILINE)


def test_refusals_come_with_the_servers_sentence(live: LiveShell) -> None:
    code, lines, told = trigger(live, "--branch", "no-such-branch")
    assert (code, lines) == (1, [])
    assert "no-such-branch" in told or "branch" in told
    assert live.run("runs", "show", "run_c" + "0" * 24).code == 1
    assert live.run("projects", "add", "/nowhere/at/all").code == 1


def test_a_wrong_token_is_refused_and_says_how_to_sign_in(live: LiveShell) -> None:
    url = json.loads((live.folder / "server.json").read_text())["url"]
    stranger = LiveShell(live.folder, extra={"RUNYARD_URL": url, "RUNYARD_TOKEN": "wrong"})
    done = stranger.run("projects", "list")
    assert done.code == 1
    assert "look at RUNYARD_TOKEN" in done.err


def test_doctor_and_login_link_work_with_a_server(live: LiveShell) -> None:
    found = live.run("doctor", "--json")
    assert (found.code, found.err) == (0, "")
    assert {"items", "settings"} <= set(found.json)
    assert "/login?token=" in live.run("login-link").out


def test_doctor_and_login_link_work_without_a_server(lonely_shell: Shell) -> None:
    found = lonely_shell.run("doctor", "--json")
    assert found.code == 0, found.err
    assert {"items", "settings"} <= set(found.json)
    assert lonely_shell.run("login-link").out.startswith("http://127.0.0.1:1/login?token=")


def test_a_second_server_of_one_folder_is_refused(live: LiveShell) -> None:
    done = live.run("serve", "--no-open", "--port", str(free_port()))
    assert done.code == 1
    assert "already" in done.err


def test_retry_prints_the_new_id(live: LiveShell) -> None:
    _, lines, _ = trigger(live, "--task", "please fail", "--wait")
    first = lines[0]
    again = live.run("runs", "retry", first[-6:], "--model", "large", "--wait")
    assert again.code == 4, again.err
    second = again.out.splitlines()[0]
    assert second != first
    shown = live.run("runs", "show", second, "--json").json
    assert (shown["retry_of"], shown["model"], shown["status"]) == (first, "large", "died")
    third = live.run("runs", "retry", second, "--from", "fresh", "--key", "once", "--json")
    assert third.json["retry_of"] == second
    replayed = live.run("runs", "retry", second, "--from", "fresh", "--key", "once")
    assert (replayed.code, replayed.out.strip()) == (0, third.json["id"])
    assert "no second run was started" in replayed.err
    assert live.run("runs", "retry", "run_c" + "0" * 24).code == 1
    assert live.run("runs", "retry", second, "--from", "nowhere").code == 2


def test_a_second_retry_says_again_and_the_first_run_tells_both(live: LiveShell) -> None:
    _, lines, _ = trigger(live, "--task", "please fail", "--wait")
    first = lines[0]
    made = live.run("runs", "retry", first, "--task", "please wait").out.strip()
    refused = live.run("runs", "retry", first)
    assert (refused.code, refused.out) == (1, "")
    assert f"is being retried already, as …{made[-6:]}: project shop, agent script" in refused.err
    meant = live.run("runs", "retry", first, "--task", "please wait", "--again").out.strip()
    shown = live.run("runs", "show", first).out
    assert f"…{made[-6:]}, …{meant[-6:]}" in shown
    for run_id in (made, meant):
        live.run("runs", "stop", run_id)


def test_an_issue_in_review_is_refused_with_the_way_to_its_change(live: LiveShell) -> None:
    number = live.run("issues", "add", "-p", "shop", "Greet twice", "--ready").out.strip()
    assert trigger(live, "--issue", number, "--wait")[0] == 0
    refused = trigger(live, "--issue", number)
    assert refused[0] == 1
    change = re.search(r"Change request #(\d+) is open: merge or close it first\.", refused[2])
    assert change, refused[2]
    assert re.search(rf"/projects/proj_\w+/changes/{change[1]}$", refused[2], re.MULTILINE)
