"""An open run page: live announcements, a silent agent, Stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import expect

from tests.builders.scenes import Puppet, add_project, start_run, stop_here, wait_until_released
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import picture
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import OpenPage

DROP = "() => window.socket.io.engine.close()"
ANNOUNCED = """() => {
  window.announced = [];
  const region = document.querySelector("[role=status][aria-live=polite]");
  new MutationObserver(() => window.announced.push(region.textContent.trim()))
    .observe(region, {subtree: true, childList: true, characterData: true});
}"""


def test_a_silent_agent_is_told_apart_from_a_lost_link_and_then_stopped(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    page, puppet = sign_in(), Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="silent")
    run_id = start_run(server, project, task="Say little")
    page.goto(f"{server.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-log")).to_contain_text("ready")
    page.evaluate(ANNOUNCED)
    quiet, badge = page.get_by_test_id("run-quiet"), page.get_by_test_id("live-badge")
    expect(quiet.locator(".quiet")).to_be_hidden()
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=11, seconds=20))
    expect(quiet).to_have_text("No output for 11 min")
    expect(quiet.locator(".quiet")).to_be_visible()
    expect(badge).to_have_text("Live")
    picture(page, "run-quiet")
    assert barriers(page) == []
    page.evaluate(DROP)
    expect(badge).to_have_text("Reconnecting…")
    expect(quiet.locator(".quiet")).to_be_hidden()
    expect(badge).to_have_text("Live")
    page.clock.set_fixed_time(datetime.now(UTC))
    puppet.tell("say here again")
    expect(page.get_by_test_id("run-log")).to_contain_text("here again")
    expect(quiet.locator(".quiet")).to_be_hidden()

    stop_here(page)
    expect(page.get_by_test_id("run-status")).to_contain_text("Stopped")
    expect(badge).to_contain_text("Synced at")
    expect(page.get_by_test_id("stop-run")).to_be_hidden()
    said = page.evaluate("window.announced")
    for words in ("Reconnecting…", "Live", "Say little: Stopped"):
        assert any(words in one for one in said), said
    picture(page, "run-stopped")
    assert barriers(page) == []
    wait_until_released(server, run_id)
