"""An agent at level `none` reads the token, but can neither merge nor create a session."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.adapters.engine.processes import ProcessTable
from app.adapters.supervisor import kernel
from tests.drivers.cli.shells import Shell
from tests.drivers.servers.forked_starts import ROOT
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.web.people import person

# attacks with everything the agent can read; each log line is an attempt and its result
AGENT = """
import json, os, pathlib, subprocess, sys, time, urllib.error, urllib.request
data, root, victim = sys.argv[1:]
token = pathlib.Path(data, "token").read_text().strip()
url = json.loads(pathlib.Path(data, "server.json").read_text())["url"] + "/api/v1"
def say(way, came):
    print(json.dumps([way, came]), flush=True)
def call(way, method, path, body=None):
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url + path, content, headers, method=method)
    try:
        with urllib.request.urlopen(asked) as answer:
            say(way, answer.status)
    except urllib.error.HTTPError as refused:
        say(way, refused.code)
call("reads", "GET", f"/projects/{victim}/changes/1")
call("merges", "POST", f"/projects/{victim}/changes/1/merge")
call("closes", "POST", f"/projects/{victim}/changes/1/close")
call("changes a command", "PATCH", f"/projects/{victim}", {"setup_command": ["/bin/true"]})
call("archives", "DELETE", f"/projects/{victim}")
call("makes a link", "POST", "/login-links")
command = [sys.executable, "-m", "app.cli.main", "login-link", "--data-dir", data]
asked = subprocess.run(command, cwd=root, capture_output=True, text=True)
say("asks by the command line", asked.returncode)
bare = ["env", "-i", "PATH=" + os.environ["PATH"]]
asked = subprocess.run([*bare, *command], cwd=root, capture_output=True, text=True)
say("asks without a mark", asked.returncode)
ended = pathlib.Path(os.getcwd() + ".ended")
line = '"$@" >/dev/null 2>&1; echo $? >"$0.draft"; mv "$0.draft" "$0"'
subprocess.Popen([*bare, "setsid", "sh", "-c", f'({line}) & exit', str(ended), *command], cwd=root)
while not ended.exists():
    time.sleep(0.05)
say("asks as an orphan", int(ended.read_text()))
ended.unlink()
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server of this file's own, with a change to merge in a sandboxed project."""
    with open_workshop(tmp_path_factory.mktemp("shop")) as shop:
        victim = shop.add_project("victim")
        shop.delivered(victim)
        yield shop


def test_an_agent_with_the_token_is_not_the_operator(shop: Workshop) -> None:
    script = shop.folder / "hostile.py"
    script.write_text(AGENT)
    victim = shop.projects["victim"]["id"]
    words = [str(shop.server.data_dir), str(ROOT), victim]
    command = [sys.executable, "-I", str(script), *words]
    # the first unsandboxed project: until now no agent could have read the token
    hostile = shop.add_project("hostile", agent_command=command, sandbox="none")
    run = shop.ended(shop.start(hostile, "Do it")["id"])
    tried = _tried(shop.api.get(f"/runs/{run['id']}/log").text)
    assert tried == {
        "reads": 200,
        **dict.fromkeys(("merges", "closes", "changes a command", "archives"), 403),
        "makes a link": 403,
        "asks by the command line": 1,
        "asks without a mark": 1,
        "asks as an orphan": 1,
    }
    change = shop.api.get(f"/projects/{victim}/changes/1").json()
    assert change["state"] == "open"

    # a person on the same machine: refused with a way out, admitted by the command, then free
    shell = Shell(shop.server.data_dir)
    refused = shell.run("changes", "merge", "1", "-p", "victim")
    assert refused.code == 1
    assert "While a project is unsandboxed" in refused.err
    assert f"{shop.server.url}/projects/{victim}/changes/1" in refused.err
    link = shell.run("login-link")
    assert (link.code, link.err) == (0, "")
    with person(shop, link.out.strip()) as ann:
        merged = ann.browser.post(f"/api/v1/projects/{victim}/changes/1/merge")
    assert (merged.status_code, merged.json()["state"]) == (200, "merged"), merged.text


def _tried(log: str) -> dict[str, Any]:
    return dict(json.loads(line) for line in log.splitlines() if line.startswith("["))


def _put_process(proc: Path, pid: int, parent: int, environ: str = "", command: str = "sh") -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} " + "0 " * 17 + "77 0")
    (proc / str(pid) / "environ").write_text(environ)
    (proc / str(pid) / "cmdline").write_text(f"{command}\0")


def test_a_process_is_a_runs_by_any_process_above_it_and_where_those_are_unknown(
    tmp_path: Path,
) -> None:
    table = ProcessTable("mine", str(tmp_path))
    supervisor = str(Path(kernel.__file__).with_name("__main__.py"))
    _put_process(tmp_path, 20, 1)
    _put_process(tmp_path, 21, 20)  # a person's shell
    _put_process(tmp_path, 22, 3)  # its ancestors belong to another user and cannot be read
    _put_process(tmp_path, 30, 1, "RUNYARD_INSTANCE=mine\0A=b\0")
    _put_process(tmp_path, 31, 30)  # below an agent, with an empty environment
    _put_process(tmp_path, 40, 1, command=f"python\0-I\0{supervisor}\0/runs/run_1")
    _put_process(tmp_path, 41, 40)  # an orphan below a supervisor that its user cannot inspect
    _put_process(tmp_path, 50, 1, "RUNYARD_INSTANCE=another\0")
    told = {pid: table.is_of_a_run(pid) for pid in (20, 21, 22, 30, 31, 41, 50, 99)}
    assert [pid for pid, is_runs in told.items() if is_runs] == [30, 31, 41, 99]
