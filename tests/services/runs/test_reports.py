"""Agent reports: read live, summed once, and the same after every restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.agents.reports import Report
from app.domain.words import Delivers
from app.records.feed import Numbered, RunReported
from app.records.tables import Run, RunEvent
from app.services.runs.agent_reports import LOOK_BYTES, is_report
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.agents.replays import STREAMS, find_replays_in, install_replay, open_gate

SENTENCES = {
    "claude": "5 tool calls · edited 2 files · 62 k tokens · $0.38",
    "codex": "2 tool calls · edited 2 files · 26 k tokens",
    "gemini": "2 tool calls · edited 1 file · 18 k tokens",
    "opencode": "2 tool calls · edited 1 file · 19 k tokens · $0.03",
    "aider": "edited 2 files · 21 k tokens · $0.12",
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    find_replays_in(folder, monkeypatch)
    return folder


@pytest.fixture
def plane(tmp_path: Path, programs: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


def recording(agent: str) -> Path:
    (file,) = STREAMS.glob(f"{agent}.*")
    return file


def report_lines(plane: RealPlane, run: Run) -> list[RunEvent]:
    return [event for event in plane.ledgers.runs.timeline(run.id) if is_report(event)]


def read_now(plane: RealPlane, run: Run) -> Report:
    plane.services.reporter.schedule(run.id)
    plane.rest()
    return plane.services.reporter.of(plane.run(run.id))


@pytest.mark.parametrize("agent", SENTENCES)
def test_a_run_of_each_agent_ends_with_its_sums_before_its_exit(
    plane: RealPlane, programs: Path, agent: str
) -> None:
    install_replay(programs, agent, recording(agent))
    run = plane.finish(plane.add_project(), agent=agent)
    assert run.status == "succeeded"
    (line,) = report_lines(plane, run)
    assert line.sentence == SENTENCES[agent]
    told = {name: line.data[name] for name in ("input_tokens", "output_tokens", "cost_usd")}
    assert told == {name: getattr(run, name) for name in told}
    kinds = plane.kinds(run)
    assert kinds.index("spawned") < kinds.index("progress") < kinds.index("exited")
    assert plane.services.reporter.of(run).sentence == SENTENCES[agent]


def test_a_live_run_tells_what_it_has_done_so_far(plane: RealPlane, programs: Path) -> None:
    gate = install_replay(programs, "claude", recording("claude"), hold_before=6)
    told: list[Numbered] = []
    plane.feed.subscribe(told.append)
    run = plane.start_running(plane.add_project(), agent="claude")
    plane.ears.wait_for_text(run.id, b"toolu_3")
    plane.wait(lambda: read_now(plane, run).files_edited == 2, "both edits are read")
    report = plane.services.reporter.of(run)
    assert (report.tools_used, report.cost_usd, report.final_message) == (3, None, None)
    assert plane.run(run.id).input_tokens is not None
    assert RunReported(run.id) in [one.change for one in told]
    assert report_lines(plane, run) == []
    open_gate(gate)
    ended = plane.see_end(run)
    assert (ended.input_tokens, ended.output_tokens, ended.cost_usd) == (60_040, 1_460, 0.3812)


def test_words_about_a_log_that_did_not_grow_change_nothing(
    plane: RealPlane, programs: Path
) -> None:
    gate = install_replay(programs, "claude", recording("claude"), hold_before=6)
    run = plane.start_running(plane.add_project(), agent="claude")
    plane.ears.wait_for_text(run.id, b"toolu_3")
    plane.wait(lambda: read_now(plane, run).files_edited == 2, "both edits are read")
    told: list[Numbered] = []
    plane.feed.subscribe(told.append)
    before = plane.services.reporter.of(run)
    assert [read_now(plane, run) for _ in range(3)] == [before] * 3
    assert told == []
    open_gate(gate)
    plane.see_end(run)


def test_a_restart_in_the_middle_reads_again_and_doubles_nothing(
    tmp_path: Path, programs: Path
) -> None:
    gate = install_replay(programs, "opencode", recording("opencode"), hold_before=5)
    with real_plane(tmp_path) as first:
        run = first.start_running(first.add_project(), agent="opencode")
        first.ears.wait_for_text(run.id, b"step_finish")
        first.wait(lambda: read_now(first, run).input_tokens == 9_700, "the first step is read")
        before = first.services.reporter.of(run)
        # the server stops, its agent continues
        second = RealPlane(tmp_path)
        try:
            second.recover_once()
            assert read_now(second, run) == before
            open_gate(gate)
            ended = second.see_end(run)
            assert (ended.input_tokens, ended.output_tokens) == (19_000, 300)
            assert ended.cost_usd == 0.03
            assert len(report_lines(second, run)) == 1
        finally:
            second.rest()
            second.stop()


def test_the_first_server_adds_no_second_line(tmp_path: Path, programs: Path) -> None:
    install_replay(programs, "codex", recording("codex"))
    with real_plane(tmp_path) as plane:
        run = plane.finish(plane.add_project(), agent="codex")
        second = RealPlane(tmp_path)
        try:
            second.services.reporter.conclude(second.run(run.id))
            assert len(report_lines(second, run)) == 1
        finally:
            second.stop()


def test_a_stopped_run_keeps_what_it_told(plane: RealPlane, programs: Path) -> None:
    install_replay(programs, "claude", recording("claude"), hold_before=6)
    run = plane.start_running(plane.add_project(), agent="claude")
    plane.ears.wait_for_text(run.id, b"toolu_3")
    plane.stop_run(run)
    plane.ears.wait_for(run.id, "gone")
    plane.reap(run)
    (line,) = report_lines(plane, run)
    assert line.sentence.startswith("3 tool calls · edited 2 files · 16 k tokens")
    # no file was changed, so nothing is parked
    assert plane.kinds(run)[-2:] == ["progress", "kill_verified"]


def test_a_dead_agent_leaves_its_last_words_and_what_its_code_means(
    plane: RealPlane, programs: Path
) -> None:
    install_replay(programs, "gemini", STREAMS / "gemini_offline.jsonl", code=53, delivers=False)
    run = plane.finish(plane.add_project(), agent="gemini")
    assert (run.status, run.cause, run.exit_code) == ("died", "network", 53)
    assert "agent exited 53: it has used up its turns" in plane.lines(run)
    (line,) = report_lines(plane, run)
    assert line.data["final_message"] == "exception TypeError: fetch failed sending request"
    assert line.sentence == "reported its last words"


def test_the_output_of_an_unknown_agent_changes_nothing(plane: RealPlane) -> None:
    script = f"cat {STREAMS}/*; {COMMIT}"
    told: list[Numbered] = []
    plane.feed.subscribe(told.append)
    run = plane.finish(plane.add_project(script))
    assert run.status == "succeeded"
    assert (run.input_tokens, run.output_tokens, run.cost_usd) == (None, None, None)
    assert report_lines(plane, run) == []
    assert not [one for one in told if isinstance(one.change, RunReported)]
    assert plane.services.reporter.of(run) == Report()


def test_a_report_only_of_words_is_kept_too(plane: RealPlane, programs: Path) -> None:
    file = programs.parent / "words.jsonl"
    file.write_text('{"type":"item.completed","item":{"type":"agent_message","text":"Hello"}}\n')
    install_replay(programs, "codex", file, delivers=False)
    run = plane.finish(plane.add_project(), agent="codex", delivers=Delivers.REPORT)
    assert run.status == "succeeded"
    (line,) = report_lines(plane, run)
    assert (line.sentence, line.data["final_message"]) == ("reported its last words", "Hello")


STEP = '{"type":"step_finish","part":{"tokens":{"input":1},"cost":0.001}}\n'


def noise(size: int) -> str:
    return f'{{"type":"noise","x":"{"x" * size}"}}\n'


def test_a_large_log_is_read_in_several_looks_to_its_end(plane: RealPlane, programs: Path) -> None:
    file = programs.parent / "large.jsonl"
    file.write_text((noise(1_000_000) + STEP) * 5 + noise(10))
    gate = install_replay(programs, "opencode", file, hold_before=10)
    run = plane.start_running(plane.add_project(), agent="opencode")
    log = plane.adapters.engine.log(run.id)
    plane.wait(lambda: log.size > 5_000_000 > LOOK_BYTES, "it has written all but one line")
    plane.wait(lambda: read_now(plane, run).input_tokens == 5, "all of it is read")
    open_gate(gate)
    assert plane.see_end(run).input_tokens == 5


def test_a_cut_in_the_log_takes_nothing_back_after_a_restart(
    tmp_path: Path, programs: Path
) -> None:
    file = tmp_path / "cut.jsonl"
    file.write_text(noise(600_000) + STEP * 50 + noise(10) + noise(100_000) * 12)
    gate = install_replay(programs, "opencode", file, hold_before=52)
    with real_plane(tmp_path, log_cap_mb=1) as plane:
        run = plane.start_running(plane.add_project(), agent="opencode")
        # its steps are in the part of the log that is dropped later
        plane.ears.wait_for_text(run.id, noise(10).encode())
        assert read_now(plane, run).input_tokens == 50
        assert plane.run(run.id).input_tokens == 50
        open_gate(gate)
        plane.ears.wait_for(run.id, "gone")
        second = RealPlane(tmp_path, log_cap_mb=1)
        try:
            ended = second.reap(run)
            assert b"step_finish" not in second.adapters.engine.log(run.id).read().content
            assert (ended.input_tokens, ended.cost_usd) == (50, 0.05)
            assert second.services.reporter.of(ended).input_tokens == 50
        finally:
            second.rest()
            second.stop()
