"""An agent in a sandbox with a list of hosts reaches these, and nothing else of the network."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.engine.local import LocalEngine
from app.adapters.sandbox.hidden import OwnPlaces
from app.adapters.sandbox.machine import MachineSandbox
from app.domain.sandboxes import NetworkRule, SandboxLevel, SandboxPolicy
from tests.agents_for_tests.runs import order, until
from tests.attacks.ways_out import WebServer, web_server

SECONDS = 60.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    data = tmp_path / "data"
    (data / "copy").mkdir(parents=True)
    sandbox = MachineSandbox(OwnPlaces((data,)), os.environ)
    if not sandbox.probe().can(SandboxLevel.SANDBOXED):
        pytest.skip(f"sandboxed cannot be had here: {sandbox.probe().because}")
    engine = LocalEngine(data / "runs", instance=f"net-{tmp_path.name}", sandbox=sandbox)
    yield engine
    assert all(engine.kill(run_id) for run_id in engine.owned())
    engine.close()


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def run(
    engine: LocalEngine,
    tmp_path: Path,
    script: str,
    *listed: str,
    network: NetworkRule = NetworkRule.ALLOWED,
    **env: str,
) -> str:
    """What an agent that is this script writes until nothing of it is left."""
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=network)
    engine.launch(
        order(
            "run_1",
            tmp_path / "data" / "copy",
            ["/bin/sh", "-c", script],
            env={"PATH": "/usr/bin:/bin", **env},
            policy=policy,
            listed_hosts=listed,
        )
    )
    until(lambda: engine.look("run_1").tree_gone, "the run is over", SECONDS)
    return engine.log("run_1").read().content.decode(errors="replace")


def test_a_listed_host_is_reached_and_another_is_not(engine, tmp_path, server):
    port = server.server_port
    script = f"""
        curl -sS http://127.0.0.1:{port}/by-address
        echo; curl -sS http://localhost:{port}/by-name
        echo; curl -sS -o /dev/null -w '%{{http_code}}' http://evil.example/
        echo; curl -sS https://evil.example/ 2>&1
        curl -sS --max-time 5 --noproxy '*' http://127.0.0.1:{port}/direct 2>&1
        curl -sS --max-time 5 --noproxy '*' http://93.184.216.34/ 2>&1
        python3 -c "import urllib.request as r; print(r.urlopen('http://localhost:{port}/py').read())"
        true
    """
    log = run(engine, tmp_path, script, f"127.0.0.1:{port}", f"localhost:{port}")
    assert f"GET /by-address HTTP/1.1|127.0.0.1:{port}|" in log
    assert f"GET /by-name HTTP/1.1|localhost:{port}|" in log
    assert f"GET /py HTTP/1.1|localhost:{port}|" in log
    assert "\n403\n" in log
    assert "response 403" in log
    assert "/direct" not in log
    assert log.count("Couldn't connect to server") + log.count("Failed to connect") >= 2, log
    assert len(server.asked) == 3
    refused = (tmp_path / "data" / "runs" / "run_1" / "refused").read_text().splitlines()
    assert [json.loads(line)["host"] for line in refused] == ["evil.example"]


def test_without_a_network_there_is_only_the_sandbox_s_own_loopback(engine, tmp_path, server):
    script = f"""
        curl -sS --max-time 5 --noproxy '*' http://127.0.0.1:{server.server_port}/ 2>&1
        curl -sS --max-time 5 http://93.184.216.34/ 2>&1
        python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &
        curl -sS --retry 50 --retry-connrefused --retry-delay 1 http://127.0.0.1:8000/ >/dev/null
        echo own $?
        kill %1
        echo; env | grep -i _proxy; cat /proc/net/dev
    """
    log = run(
        engine, tmp_path, script, network=NetworkRule.NONE, HTTPS_PROXY="http://proxy.example:1"
    )
    assert "own 0" in log
    assert "_proxy" not in log.lower()
    assert [line.split(":")[0].strip() for line in log.splitlines() if ":" in line][-1] == "lo"
    assert server.asked == []


def test_the_way_out_needs_no_server_of_runyard(engine, tmp_path, server):
    """The engine, and with it the server's side of the run, is gone before the agent asks."""
    port = server.server_port
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=NetworkRule.ALLOWED)
    copy = tmp_path / "data" / "copy"
    child = os.fork()
    if child == 0:
        try:
            script = f"while [ ! -e go ]; do sleep 0.1; done; curl -sS http://127.0.0.1:{port}/late"
            argv = ["/bin/sh", "-c", script]
            listed = [f"127.0.0.1:{port}"]
            engine.launch(order("run_1", copy, argv, policy=policy, listed_hosts=listed))
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert server.asked == []
    (copy / "go").touch()
    until(lambda: engine.look("run_1").tree_gone, "the run is over", SECONDS)
    assert b"GET /late " in engine.log("run_1").read().content
    sight = engine.look("run_1")
    assert sight.exit
    assert sight.exit.code == 0


def test_nothing_of_the_way_out_is_left_after_its_run(engine, tmp_path):
    run(engine, tmp_path, "true", "example.com")
    until(lambda: not engine.owned(), "no process carries the run's mark", SECONDS)


def test_an_agent_keeps_its_way_out_while_it_has_its_grace(engine, tmp_path, server):
    place = f"127.0.0.1:{server.server_port}"
    policy = SandboxPolicy(level=SandboxLevel.SANDBOXED, network=NetworkRule.ALLOWED)
    script = f"""
        trap 'curl -sS http://{place}/last-words; exit 0' TERM
        touch up; while :; do sleep 0.1; done
    """
    copy = tmp_path / "data" / "copy"
    engine.launch(
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
    assert engine.kill("run_1")
    assert b"GET /last-words " in engine.log("run_1").read().content
