"""Settings: doctor results appear live on every open page; limits and retention."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from nicegui.testing.user import User

from app.api.schemas import CopiesOut, LeavingOut, RetentionOut
from app.pages.shell.page_session import PageSession
from app.pages.system.settings import LOOKING, retention_html
from tests.pages.conftest import House, html_of, until


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without agents or credentials; returns the first folder of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CODEX_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return folder


def install_codex(folder: Path, told: str) -> None:
    """Install codex as npm does: a Node script. A shell script's sign-in would be unknown."""
    (folder / "node").unlink(missing_ok=True)
    (folder / "node").symlink_to(sys.executable)
    (folder / "codex").write_text(f"#!/usr/bin/env node\nprint({told!r})\n")
    (folder / "codex").chmod(0o755)


async def test_what_doctor_sees_shows_on_every_open_page(
    house: House, user: User, bin_folder: Path
) -> None:
    await user.open("/settings")
    assert LOOKING in html_of(user)
    await until(lambda: "This machine" in html_of(user))
    assert "No agent that Runyard knows was found" in html_of(user)
    assert "npm install -g @openai/codex" in html_of(user)
    other = await house.sign_in()
    await other.open("/settings")
    assert "This machine" in html_of(other), "what was seen before is shown at once"
    install_codex(bin_folder, "codex-cli 0.169.0 <b>--help</b>")
    user.find("Re-check").click()
    for person in (user, other):
        await until(lambda person=person: 'data-agent="codex"><div' in html_of(person))
        assert "Signed out" in html_of(person)
        assert "<code>codex login</code>" in html_of(person)
    assert "<b>--help" not in html_of(user)
    await until(lambda: user.find("Re-check").elements)


async def test_the_limits_come_with_their_origins(user: User) -> None:
    await user.open("/settings?tab=limits")
    assert "RUNYARD_RUN_QUOTA" in html_of(user)
    assert "default" in html_of(user)
    assert LOOKING not in html_of(user)


@dataclass
class Onlooker:
    """A stand-in for a visit, at a fixed time."""

    moment: datetime

    def now(self) -> datetime:
        return self.moment


@pytest.mark.parametrize(
    ("minutes", "when"), [(59, "from <time [^>]*>21:10</time>"), (60, "at the next cleanup")]
)
def test_what_goes_is_told_with_the_moment_from_which_it_does(minutes: int, when: str) -> None:
    goes_at = datetime(2026, 11, 21, 21, 10, tzinfo=UTC)
    now = goes_at - timedelta(minutes=60 - minutes)
    one = LeavingOut(
        run_id="run_c01k7vrn3p54or756o0dimp8l",
        ended_at=now,
        bytes=3000,
        because="age",
        goes_at=goes_at,
    )
    of_copies = dict.fromkeys(("kept", "unmeasured", "staying", "staying_bytes"), 0)
    going = {"bytes": 5, "leaving_copies": 2, "leaving_bytes": 5, "next_at": None}
    copies = CopiesOut(**of_copies, **going, looked_at=now, leaving=[one])
    logs = {"kept_runs": 3, "kept_bytes": 9000, "leaving_runs": 1, "leaving_bytes": 3000}
    kept = RetentionOut(
        keep_days=30, keep_gb=10, **logs, next_at=None, leaving=[one], copies=copies
    )
    html = retention_html(kept, cast(PageSession, Onlooker(now)))
    assert re.search(rf"To be deleted {when}: 1 log, 3.0 KB", html)
    assert re.search(rf"To be deleted {when}: 2 copies, 5 B", html)
    assert len(re.findall(rf"<td>{when}</td>", html)) == 2
