"""Refused network hosts appear in the run's timeline, each host once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.sandbox.levels import SandboxLevel
from app.domain.sandbox.registries import registries_of
from app.records.tables import Project, Run
from app.services.ports import LaunchOrder
from tests.builders.repositories import commit_file
from tests.drivers.network import WebServer, web_server
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.runs import shell

WAITS = "exec sleep 60"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def orders(plane: RealPlane, monkeypatch: pytest.MonkeyPatch) -> dict[str, LaunchOrder]:
    """Record the launch orders sent to the engine, by run id."""
    seen: dict[str, LaunchOrder] = {}
    launch = plane.adapters.engine.launch

    def note(order: LaunchOrder, keep: Any) -> Any:
        seen[order.run_id] = order
        return launch(order, keep)

    monkeypatch.setattr(plane.adapters.engine, "launch", note)
    return seen


def add_project(plane: RealPlane, script: str, *listed: str, **settings: Any) -> Project:
    if not plane.adapters.sandbox.probe().can(SandboxLevel.SANDBOXED):
        pytest.skip("sandboxed is not available here")
    project = plane.add_project(script)
    columns = {"sandbox": "sandboxed", "network": "allowed", "allowed_hosts": list(listed)}
    plane.ledgers.projects.change(project.id, **columns | settings)
    return plane.project(project.id)


def told(plane: RealPlane, run: Run) -> list[str]:
    return [line for line in plane.lines(run) if line.startswith("network refused: ")]


def put(plane: RealPlane, run: Run, lines: list[str]) -> None:
    """Write lines to the run's network record, as the proxy would."""
    record_of(plane, run).write_text("".join(lines))


def record_of(plane: RealPlane, run: Run) -> Path:
    return plane.adapters.engine.prompt_file(run.id).with_name("refused")


def refusal(host: str, port: int = 443, because: str = "not allowed") -> str:
    return json.dumps({"host": host, "port": port, "because": because}) + "\n"


def test_a_refused_host_is_a_line_of_the_timeline_before_the_run_has_ended(
    plane: RealPlane, server: WebServer
) -> None:
    script = f"""
        curl -sS http://127.0.0.1:{server.server_port}/
        for path in a b c; do curl -sS https://evil.example/$path; done
        curl -sS http://other.example:8080/
        exit 3
    """
    project = add_project(plane, script, f"127.0.0.1:{server.server_port}")
    run = plane.see_end(plane.start_running(project))
    assert run.status == "died"
    assert server.asked == [f"GET / HTTP/1.1|127.0.0.1:{server.server_port}|".encode()]
    assert told(plane, run) == [
        "network refused: evil.example:443 (not allowed)",
        "network refused: other.example:8080 (not allowed)",
    ]
    lines = plane.lines(run)
    assert lines.index(told(plane, run)[1]) < len(lines) - 1
    plane.reap(run)
    assert len(told(plane, run)) == 2


def test_a_refused_host_is_told_of_while_its_agent_works(plane: RealPlane) -> None:
    script = "curl -sS https://evil.example/; while [ ! -e go ]; do sleep 0.1; done"
    project = add_project(plane, script)
    plane.adapters.engine.listen(plane._on_engine_event)
    run = plane.start_running(project)
    plane.wait(lambda: told(plane, run), "the refusal is told")
    assert told(plane, run) == ["network refused: evil.example:443 (not allowed)"]
    assert plane.run(run.id).status == "running"
    plane.stop_run(run)
    assert len(told(plane, run)) == 1


def test_a_set_up_command_that_could_not_reach_something_tells_of_it(plane: RealPlane) -> None:
    setup = shell("curl -sSf https://evil.example/packages")
    project = add_project(plane, "true", setup_command=setup)
    run = plane.launch(project)
    assert run.status == "not_started"
    assert told(plane, run) == ["network refused: evil.example:443 (not allowed)"]


def test_what_many_looks_find_is_told_once_and_in_order(plane: RealPlane) -> None:
    run = plane.start_running(plane.add_project(WAITS))
    put(plane, run, [refusal("a.example"), refusal("b.example", 80)])
    for _ in range(8):
        plane.workers.submit(plane.services.refusals.append_once, run.id)
    plane.rest()
    put(plane, run, [refusal("a.example"), refusal("b.example", 80), refusal("2001:db8::1", 22)])
    for _ in range(8):
        plane.workers.submit(plane.services.refusals.append_once, run.id)
    plane.rest()
    assert told(plane, run) == [
        "network refused: a.example:443 (not allowed)",
        "network refused: b.example:80 (not allowed)",
        "network refused: [2001:db8::1]:22 (not allowed)",
    ]


def test_beyond_two_hundred_hosts_there_is_one_more_line(plane: RealPlane) -> None:
    run = plane.start_running(plane.add_project(WAITS))
    many = [refusal(f"host{number}.example") for number in range(200)]
    put(plane, run, [*many, '{"more": true}\n', refusal("late.example")])
    plane.services.refusals.append_once(run.id)
    plane.services.refusals.append_once(run.id)
    lines = told(plane, run)
    assert len(lines) == 201
    assert lines[-1] == "network refused: and more"


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealPlane, Run]]:
    """A plane with a run that has met no refusal, for tests that leave it so."""
    with real_plane(tmp_path_factory.mktemp("waiting")) as plane:
        yield plane, plane.start_running(plane.add_project(WAITS))


@pytest.mark.parametrize(
    "line",
    [
        *("", "x", "[]", "null", "{}", '{"host": 1}', '{"host": "", "port": 1, "because": ""}'),
        *('{"host": "a", "port": 0, "because": ""}', '{"host": "a", "port": "1", "because": ""}'),
        *('{"host": "a", "port": 1}', '{"more": 1}', "[" * 100_000, "\ud800"),
    ],
)
def test_a_record_of_another_shape_tells_nothing(waiting: tuple[RealPlane, Run], line: str) -> None:
    plane, run = waiting
    text = line.encode(errors="surrogatepass")
    record_of(plane, run).write_bytes(text + b'\n{"host": "b')
    plane.services.refusals.append_once(run.id)
    assert told(plane, run) == []


def test_a_record_that_is_a_link_or_a_pipe_holds_nobody(plane: RealPlane, tmp_path: Path) -> None:
    run = plane.start_running(plane.add_project(WAITS))
    record = record_of(plane, run)
    secret = tmp_path / "secret"
    secret.write_text(refusal("stolen.example"))
    record.symlink_to(secret)
    plane.services.refusals.append_once(run.id)
    record.unlink()
    os.mkfifo(record)
    plane.services.refusals.append_once(run.id)
    assert told(plane, run) == []


def test_a_hostile_name_shows_what_it_hides(plane: RealPlane) -> None:
    run = plane.start_running(plane.add_project(WAITS))
    put(plane, run, [refusal("a\u202e\x1b[31m\n" + "x" * 400, because="\x07" * 300)])
    plane.services.refusals.append_once(run.id)
    (line,) = told(plane, run)
    assert line.startswith("network refused: a\\u202e\\x1b[31m\\x0ax")
    assert line.isprintable()
    assert len(line) < 1000


def test_an_agent_reaches_its_maker_its_registries_and_what_is_listed(
    plane: RealPlane, orders: dict[str, LaunchOrder]
) -> None:
    project = add_project(plane, "true", "intranet.example:8443")
    commit_file(Path(project.origin), "pyproject.toml", "")
    run = plane.launch(project)
    order = orders[run.id]
    assert order.known_hosts == sorted(registries_of(["pyproject.toml"]))
    assert order.listed_hosts == ["intranet.example:8443"]


@pytest.mark.parametrize("settings", [{"network": "all"}, {"sandbox": "contained"}])
def test_where_everything_is_reached_nothing_is_listed(
    plane: RealPlane, orders: dict[str, LaunchOrder], settings: dict[str, str]
) -> None:
    run = plane.launch(add_project(plane, "true", "intranet.example", **settings))
    assert (orders[run.id].known_hosts, orders[run.id].listed_hosts) == ([], [])


def test_a_list_that_cannot_be_read_starts_no_agent(plane: RealPlane) -> None:
    run = plane.launch(add_project(plane, "true", "https://example.com/"))
    assert run.status == "not_started"
    because = "its list of allowed hosts cannot be read: Not a host: 'https:"
    assert (run.because or "").startswith(because)
