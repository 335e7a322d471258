"""An agent's report on its run's page."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nicegui.testing.user import User

from app.domain.agents.reports import EntryKind
from app.domain.text.ansi import PLAIN
from app.pages.runs.terminal import entries_html
from app.state.runs.entry_log import EntryLine
from tests.builders.run_scenes import WAITS, add_project, start, until_status
from tests.fakes.agents.replays import STREAMS, find_replays_in, install_replay, open_gate
from tests.pages.conftest import House, html_of, until

IN_ALL = "5 tool calls · edited 2 files · 62 k tokens · $0.38"
SESSION = "588898eb-ae05-43cc-8aff-699c2ec0bbc0"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    find_replays_in(folder, monkeypatch)
    return folder


async def test_what_the_agent_reports_is_shown_while_it_works_and_in_the_end(
    house: House, user: User, tmp_path: Path, programs: Path
) -> None:
    gate = install_replay(programs, "claude", STREAMS / "claude.jsonl", hold_before=6)
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1", agent="claude")
    await user.open(f"/runs/{run.id}")
    await until(lambda: "3 tool calls · edited 2 files · 16 k tokens" in html_of(user))
    assert "<b>Working</b>" in html_of(user)
    assert "What the agent did" not in html_of(user)
    await asyncio.to_thread(open_gate, gate)
    await until_status(house, run.id, "succeeded")
    await until(lambda: IN_ALL in html_of(user) and "<b>Worked</b>" in html_of(user))
    await until(lambda: "<b>Working</b>" not in html_of(user))
    assert "Expired coupons are refused at checkout.\n142 tests pass." in html_of(user)
    user.find(marker="tab-details").click()
    await until(lambda: f"claude --resume {SESSION}" in html_of(user))

    later = await house.sign_in()
    await later.open(f"/runs/{run.id}")
    assert IN_ALL in html_of(later)
    assert "142 tests pass." in html_of(later)
    assert (await house.api_of(user).run(run.id)).usage.cost_usd == 0.3812


async def test_the_log_of_an_agent_with_events_is_readable_and_raw_at_a_press(
    house: House, user: User, tmp_path: Path, programs: Path
) -> None:
    gate = install_replay(programs, "claude", STREAMS / "claude.jsonl", hold_before=6)
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1", agent="claude")
    await user.open(f"/runs/{run.id}")
    read = '<div class="ln e-tool"><b>▸ Read</b> /copy/src/coupons/validate.py\n</div>'
    await until(lambda: read in html_of(user))
    assert "{&quot;type&quot;" not in html_of(user)
    assert "<b>▸ Bash</b> pytest -q" not in html_of(user)
    user.find(marker="log-raw").click()
    await until(lambda: "{&quot;type&quot;:&quot;system&quot;" in html_of(user))
    assert read not in html_of(user)
    await asyncio.to_thread(open_gate, gate)
    await until_status(house, run.id, "succeeded")
    await until(lambda: "&quot;total_cost_usd&quot;" in html_of(user))
    user.find(marker="log-readable").click()
    await until(lambda: "<b>▸ Bash</b> pytest -q" in html_of(user))
    # the supervisor noted when each line arrived
    assert '</time><div class="ln e-tool"><b>▸ Read</b>' in html_of(user)
    assert '<div class="ln e-end">Done · 62 k tokens · $0.38\n</div>' in html_of(user)
    assert "{&quot;type&quot;" not in html_of(user)


async def test_readable_entries_come_live_and_a_log_without_events_has_no_switch(
    house: House, user: User, tmp_path: Path, programs: Path
) -> None:
    gate = install_replay(programs, "codex", STREAMS / "codex.jsonl", hold_before=6)
    project = await add_project(house, user, tmp_path, WAITS, max_concurrency=2)
    run = await start(house, user, project, "k1", agent="codex")
    await user.open(f"/runs/{run.id}")
    await until(lambda: "<b>▸ Run</b> pytest -q" in html_of(user))
    assert "The boundary is mended." not in html_of(user)
    await asyncio.to_thread(open_gate, gate)
    await until(lambda: '<div class="ln e-said">The boundary is mended.\n' in html_of(user))
    assert '<div class="ln e-failed">✗ exit 1 · 1 failed' in html_of(user)
    await until_status(house, run.id, "succeeded")
    plain = await start(house, user, project, "k2")
    await user.open(f"/runs/{plain.id}")
    await until(lambda: '<div class="ln">waiting\n</div>' in html_of(user))
    await user.should_not_see(marker="log-raw")
    await house.api_of(user).stop(plain.id)


async def test_a_run_that_waits_for_its_agents_usage_limit_says_how_long_it_will_be(
    house: House, user: User, tmp_path: Path, programs: Path
) -> None:
    install_replay(programs, "claude", STREAMS / "claude_limited.jsonl", code=1, delivers=False)
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1", agent="claude")
    await until_status(house, run.id, "limited")
    await user.open(f"/runs/{run.id}")
    await until(lambda: "It resumes by itself in <time data-until=" in html_of(user))


async def test_hostile_last_words_are_text(
    house: House, user: User, tmp_path: Path, programs: Path
) -> None:
    words = r"<script>alert(1)</script><img src=x onerror=alert(1)> \u202e"
    file = tmp_path / "hostile.jsonl"
    file.write_text(f'{{"type":"result","result":"{words}","session_id":"x; rm -rf /"}}\n')
    install_replay(programs, "claude", file)
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1", agent="claude")
    await until_status(house, run.id, "succeeded")
    await user.open(f"/runs/{run.id}")
    assert "What the agent did" in html_of(user)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html_of(user)
    assert "<script" not in html_of(user)
    assert "<img" not in html_of(user)
    assert "\u202e" not in html_of(user).split("What the agent did")[1].split("</pre>")[0]
    assert "Continue by hand" not in html_of(user)


def test_hostile_entries_are_text() -> None:
    kinds = list(EntryKind)
    words = "<img src=x onerror=alert(1)>\x1b]52;c;eA==\x07\u202e"
    html, style = entries_html([EntryLine(words, 0, kind, "<b>") for kind in kinds])
    assert style == PLAIN
    assert "<img" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert html.count("&lt;b&gt;") == html.count("&lt;img src=x") == len(kinds)


def test_the_first_line_of_an_entry_has_its_time() -> None:
    moment = datetime(2026, 11, 24, 7, 25, 9, tzinfo=UTC)
    lines = [EntryLine("one", 0, EntryKind.SAID, "", moment, one) for one in (True, False)]
    first, second, _ = entries_html(lines)[0].split("</div></div>")
    assert first.startswith('<div class="timed"><time data-at="2026-11-24T07:25:09.000Z"')
    assert first.endswith('>07:25:09</time><div class="ln e-said">one\n')
    assert second == '<div class="timed"><div class="ln e-said">one\n'


def test_no_color_outlives_its_line() -> None:
    red, _ = entries_html([EntryLine("\x1b[31mred", 0, EntryKind.TEXT)] * 2)
    assert red.count('<div class="ln e-text"><span class="k1">red</span>') == 2
