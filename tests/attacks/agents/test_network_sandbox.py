"""A sandboxed agent with a list of hosts can reach those and nothing else on the network."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.adapters.supervisor.kernel import descendants
from app.domain.sandbox.levels import NetworkRule, SandboxLevel, SandboxPolicy
from app.domain.words import Cause
from tests.builders.repositories import commit_file, run_git
from tests.drivers.network import WebServer, web_server
from tests.drivers.sandboxes import ONE_USER, USERS, Trial, trial_of
from tests.drivers.web.certificates import make_certificate
from tests.fakes.agents.runs import KeepingEngine, order, until

SECONDS = 60.0
PYTHON = "python3 -I -S -c"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[KeepingEngine]:
    data = tmp_path / "data"
    (data / "copy").mkdir(parents=True)
    sandbox = MachineSandbox(OwnPlaces((data,)), os.environ)
    if not sandbox.probe().can(SandboxLevel.SANDBOXED):
        pytest.skip(f"sandboxed is not available here: {sandbox.probe().because}")
    engine = KeepingEngine(data / "runs", instance=f"net-{tmp_path.name}", sandbox=sandbox)
    yield engine
    assert all(engine.end(run_id) for run_id in engine.owned())
    engine.close()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(params=ONE_USER)
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    with trial_of(request.param) as trial:
        yield trial


def run(trial: Trial, script: str, network: NetworkRule, *hosts: str, **env: str) -> str:
    """Run a script as the agent; return its log once no process of it is left."""
    tried = trial.run(
        f"{script}\nexit 0", SandboxLevel.SANDBOXED, network=network, hosts=hosts, env=env
    )
    if tried.cause == Cause.SANDBOX_UNAVAILABLE:
        pytest.skip(f"{trial.user} cannot have sandboxed here: {tried.failed}")
    assert (tried.code, tried.is_gone) == (0, True), tried
    return tried.log


@pytest.mark.parametrize("trial", USERS, indirect=True)
def test_a_listed_host_is_reached_and_another_is_not(trial: Trial, server: WebServer) -> None:
    here = f"127.0.0.1:{server.server_port}"
    named = f"localhost:{server.server_port}"
    script = f"""
        curl -sS http://{here}/by-address; echo
        curl -sS http://{named}/by-name; echo
        curl -sS -o /dev/null -w '%{{http_code}}' http://evil.example/; echo
        curl -sS https://evil.example/ 2>&1
        curl -sS --max-time 5 --noproxy '*' http://{here}/direct 2>&1
        curl -sS --max-time 5 --noproxy '*' http://93.184.216.34/ 2>&1
        {PYTHON} "import urllib.request as r; print(r.urlopen('http://{named}/py').read())"
    """
    log = run(trial, script, NetworkRule.ALLOWED, here, named)
    assert f"GET /by-address HTTP/1.1|{here}|" in log
    assert f"GET /by-name HTTP/1.1|{named}|" in log
    assert f"GET /py HTTP/1.1|{named}|" in log
    assert "\n403\n" in log
    assert "response 403" in log
    assert log.count("Couldn't connect to server") + log.count("Failed to connect") >= 2, log
    assert [one.split()[1] for one in server.asked] == [b"/by-address", b"/by-name", b"/py"]
    refused = (trial.data / "records" / "run_1" / "refused").read_text().splitlines()
    assert [json.loads(line)["host"] for line in refused] == ["evil.example"]


@pytest.mark.parametrize("network", [NetworkRule.NONE, NetworkRule.ALLOWED])
def test_without_the_machine_s_network_there_is_only_the_sandbox_s_own_loopback(
    trial: Trial, server: WebServer, network: NetworkRule
) -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{trial.place}")
        abstract.listen()
        script = f"""
            curl -sS --max-time 5 --noproxy '*' http://127.0.0.1:{server.server_port}/ 2>&1
            curl -sS --max-time 5 --noproxy '*' http://93.184.216.34/ 2>&1
            {PYTHON} "import socket; socket.socket(socket.AF_UNIX).connect('\\0{trial.place}')" \
                2>/dev/null && echo abstract reached
            python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &
            curl -sS --retry 50 --retry-connrefused --retry-delay 1 -o /dev/null localhost:8000
            echo own $?
            kill %1
            cut -d: -f1 /proc/net/dev | tail -n 1
            echo "proxy ${{https_proxy:-none}} $HTTPS_PROXY"
        """
        log = run(trial, script, network, HTTPS_PROXY="http://proxy.example:1")
    assert "own 0" in log
    assert "abstract" not in log
    assert server.asked == []
    proxy = "none" if network is NetworkRule.NONE else " ".join(["http://127.0.0.1:3128"] * 2)
    assert [line.strip() for line in log.splitlines()[-2:]] == ["lo", f"proxy {proxy}"]


def test_git_goes_out_to_a_listed_host_over_https(trial: Trial, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    run_git(tmp_path, "init", "-q", "-b", "main", str(repository))
    commit_file(repository, "hello.txt", "hello")
    run_git(repository, "update-server-info")
    cert, key = make_certificate(tmp_path)
    with web_server(repository / ".git", (cert, key)) as server:
        place = f"localhost:{server.server_port}"
        script = f"""
            export GIT_SSL_CAINFO=$PWD/cert.pem
            echo '{cert.read_text()}' > cert.pem
            git clone -q https://{place}/ cloned 2>&1; cat cloned/hello.txt
            git clone -q https://127.0.0.2:{server.server_port}/ other 2>&1
        """
        log = run(trial, script, NetworkRule.ALLOWED, place)
    assert "hello" in log
    assert "403" in log


def test_the_way_out_needs_no_server_of_runyard(
    engine: KeepingEngine, tmp_path: Path, server: WebServer
) -> None:
    """The engine, the server's side of the run, has exited before the agent uses the network."""
    port = server.server_port
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=NetworkRule.ALLOWED)
    copy = tmp_path / "data" / "copy"
    child = os.fork()
    if child == 0:
        try:
            script = f"while [ ! -e go ]; do sleep 0.1; done; curl -sS http://127.0.0.1:{port}/late"
            argv = ["/bin/sh", "-c", script]
            listed = [f"127.0.0.1:{port}"]
            engine.start(order("run_1", copy, argv, policy=policy, listed_hosts=listed))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert server.asked == []
    (copy / "go").touch()
    until(lambda: engine.see("run_1").tree_gone, "the run is over", SECONDS)
    assert b"GET /late " in engine.log("run_1").read().content
    sight = engine.see("run_1")
    assert sight.exit
    assert sight.exit.code == 0


def test_nothing_of_the_way_out_is_left_after_its_run(
    engine: KeepingEngine, tmp_path: Path
) -> None:
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=NetworkRule.ALLOWED)
    copy = tmp_path / "data" / "copy"
    engine.start(order("run_1", copy, ["/bin/true"], policy=policy, listed_hosts=["example.com"]))
    until(lambda: engine.see("run_1").tree_gone, "the run is over", SECONDS)
    until(lambda: not engine.owned(), "no process carries the run's mark", SECONDS)


def test_the_way_out_goes_with_a_supervisor_that_is_killed(
    engine: KeepingEngine, tmp_path: Path
) -> None:
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=NetworkRule.ALLOWED)
    mark = engine.start(
        order("run_1", tmp_path / "data" / "copy", ["/bin/sleep", "600"], policy=policy)
    )
    assert len(_commands_below(mark.pid)) == 4  # the wrapper, process 1, the agent, the proxy
    os.kill(mark.pid, signal.SIGKILL)
    until(lambda: not engine.owned(), "no process carries the run's mark", SECONDS)


def _commands_below(pid: int) -> list[str]:
    return [Path(f"/proc/{one.pid}/comm").read_text() for one in descendants([pid])]


def test_an_agent_keeps_its_way_out_while_it_has_its_grace(
    engine: KeepingEngine, tmp_path: Path, server: WebServer
) -> None:
    place = f"127.0.0.1:{server.server_port}"
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=NetworkRule.ALLOWED)
    script = f"""
        trap 'curl -sS http://{place}/last-words; exit 0' TERM
        touch up; while :; do sleep 0.1; done
    """
    copy = tmp_path / "data" / "copy"
    engine.start(
        order(
            "run_1",
            copy,
            ["/bin/sh", "-c", script],
            policy=policy,
            listed_hosts=[place],
            grace_seconds=SECONDS,
        )
    )
    until((copy / "up").exists, "the agent is there", SECONDS)
    assert engine.end("run_1")
    assert b"GET /last-words " in engine.log("run_1").read().content
