"""Sandboxed runs with a private home, end to end: sign-ins, caches and toolchains."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.git.layout import mirror_path
from app.records.tables import Project, Run
from app.services.context import repository_of
from tests.drivers.planes import RealPlane, real_plane
from tests.fakes.agents.runs import until

NEEDS_BUBBLEWRAP = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed: no run was sandboxed"
)
pytestmark = NEEDS_BUBBLEWRAP
# as claude does: a new file replaces the old one
RENEWS = r"""#!/usr/bin/python3
import json, os, pathlib, subprocess, time
home = pathlib.Path.home()
file = home / ".claude" / ".credentials.json"
told = {"home": sorted(str(one.relative_to(home)) for one in home.rglob("*") if one.is_file())}
told["environment"] = {name: os.environ.get(name, "") for name in (
    "HOME", "TMPDIR", "IS_SANDBOX", "CLAUDE_CONFIG_DIR", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS", "XDG_CACHE_HOME")}
document = json.loads(file.read_text())
had = document["claudeAiOauth"]["accessToken"]
# not the token itself: no commit with one is delivered
told["had"] = had.rpartition("-")[2]
document["claudeAiOauth"].update(
    accessToken=had + "+", refreshToken="sk-ant-ort01-next",
    expiresAt=int(time.time() * 1000) + 9 * 3600 * 1000)
HOSTILE
fresh = file.with_suffix(".new")
fresh.write_text(json.dumps(document))
fresh.replace(file)
pathlib.Path("told").write_text(json.dumps(told))
subprocess.run("git add -A && git commit -qm Tell", shell=True, check=True)
"""


LIVES_ON = """#!/usr/bin/python3
import json, pathlib, time
home = pathlib.Path.home()
file = home / ".claude" / ".credentials.json"
document = json.loads(file.read_text())
document["claudeAiOauth"].update(
    accessToken="sk-ant-oat01-a+", expiresAt=int(time.time() * 1000) + 9 * 3600 * 1000)
file.write_text(json.dumps(document))
(home / "renewed").touch()
time.sleep(600)
"""


class Yard:
    """A plane, and the home of the person who started it."""

    def __init__(self, plane: RealPlane, home: Path) -> None:
        self.plane = plane
        self.home = home

    @property
    def sign_in(self) -> Path:
        return self.home / ".claude" / ".credentials.json"

    def project(self, line: str = "true", **settings: Any) -> Project:
        return self.plane.add_project(line, sandbox="sandboxed", **settings)

    def with_claude(self, hostile: str = "", program: str = RENEWS) -> Project:
        """Add a project whose agent is a fake claude in the person's home."""
        real = self.home / ".local" / "share" / "claude" / "versions" / "2.1.197"
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(program.replace("HOSTILE", hostile))
        real.chmod(0o755)
        link = self.home / ".local" / "bin" / "claude"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(real)
        project = self.project()
        self.plane.ledgers.projects.change(project.id, agent="claude", agent_command=None)
        return self.plane.project(project.id)

    def finish(self, project: Project) -> Run:
        """Finish a run and assert that it succeeded."""
        done = self.plane.finish(project)
        log = self.plane.adapters.engine.log(done.id).read().content.decode(errors="replace")
        assert done.status == "succeeded", f"{done.because}: {log[-3000:]}"
        return done

    def told(self, run: Run) -> str:
        """Return the content of the file `told` in the delivered commit."""
        repo = repository_of(self.plane.project(run.project_id))
        mirror = mirror_path(self.plane.settings.runs_root / "mirrors", repo)
        shown = ["git", "-C", str(mirror), "show", f"{run.head_sha}:told"]
        return subprocess.run(shown, capture_output=True, check=True, text=True).stdout


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    home = tmp_path / "me"
    (home / ".claude").mkdir(parents=True)
    soon = datetime.now(UTC) + timedelta(hours=1)
    account = {
        "accessToken": "sk-ant-oat01-a",
        "refreshToken": "sk-ant-ort01-a",
        "expiresAt": int(soon.timestamp() * 1000),
    }
    (home / ".claude" / ".credentials.json").write_text(json.dumps({"claudeAiOauth": account}))
    (home / ".ssh").mkdir()
    (home / ".ssh" / "id_ed25519").write_text("secret")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{home}/.local/bin:/usr/local/bin:/usr/bin:/bin")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/0/bus")
    with real_plane(tmp_path) as plane:
        yield Yard(plane, home)


def test_an_agent_in_the_users_home_is_signed_in_and_its_renewal_comes_back(yard: Yard) -> None:
    project = yard.with_claude()
    first = json.loads(yard.told(yard.finish(project)))
    assert first["had"] == "a"
    assert "id_ed25519" not in str(first["home"])
    environment = first["environment"]
    assert environment["HOME"] == str(yard.home)
    assert (environment["TMPDIR"], environment["IS_SANDBOX"]) == ("/tmp", "1")
    assert environment["XDG_CACHE_HOME"] == f"{yard.home}/.cache"
    for name in ("SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        assert environment[name] == ""
    mine = json.loads(yard.sign_in.read_text())["claudeAiOauth"]
    assert mine["accessToken"] == "sk-ant-oat01-a+"
    assert mine["refreshToken"] == "sk-ant-ort01-next"
    # the next run starts with it
    assert json.loads(yard.told(yard.finish(project)))["had"] == "a+"


def test_a_hostile_agent_changes_nothing_of_the_users_sign_in_and_its_run_says_so(
    yard: Yard,
) -> None:
    project = yard.with_claude(
        'document["hooks"] = {"Stop": "evil"}\n'
        'document["claudeAiOauth"]["apiKeyHelper"] = "/tmp/evil"'
    )
    before = yard.sign_in.read_bytes()
    done = yard.finish(project)
    assert yard.sign_in.read_bytes() == before
    assert [line for line in yard.plane.lines(done) if "was not taken back" in line]
    assert sorted(one.name for one in yard.sign_in.parent.iterdir()) == [".credentials.json"]


def test_a_renewal_comes_back_while_the_agent_is_still_at_work(yard: Yard) -> None:
    project = yard.with_claude(program=LIVES_ON)
    run = yard.plane.start_running(project)
    home = yard.plane.settings.runs_root / "homes" / project.id / "claude"
    until((home / "renewed").exists, "the agent has renewed its sign-in", 60)
    yard.plane.tick()
    mine = json.loads(yard.sign_in.read_text())["claudeAiOauth"]
    assert (yard.plane.run(run.id).status, mine["accessToken"]) == ("running", "sk-ant-oat01-a+")
    yard.plane.stop_run(run)


def test_archiving_a_project_deletes_its_private_homes(yard: Yard) -> None:
    project = yard.project("echo x > ~/left; echo y > y; git add y; git commit -qm y")
    yard.finish(project)
    homes = yard.plane.settings.runs_root / "homes"
    assert (homes / project.id / "script" / "left").read_text() == "x\n"
    assert not (yard.home / "left").exists()
    yard.plane.services.projects.archive(project.id, yard.plane.clock())
    yard.plane.rest()
    assert not (homes / project.id).exists()


def test_a_toolchain_of_the_home_works_once_the_project_names_it(yard: Yard) -> None:
    tool = yard.home / ".pyenv" / "shims" / "tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho of $PYENV_ROOT\n")
    tool.chmod(0o755)
    os.environ["PYENV_ROOT"] = str(yard.home / ".pyenv")
    try:
        line = "tool > told 2>&1; touch ~/.pyenv/x; git add -A; git commit -qm x"
        without = yard.finish(yard.project(line, name="without"))
        named = yard.finish(yard.project(line, name="named", toolchains=["~/.pyenv"]))
    finally:
        del os.environ["PYENV_ROOT"]
    assert "not found" in yard.told(without)
    assert yard.told(named) == f"of {yard.home}/.pyenv\n"
    assert not (yard.home / ".pyenv" / "x").exists()


def test_files_that_a_persons_commands_name_are_readable_and_those_of_an_issue_are_not(
    yard: Yard,
) -> None:
    script, key = yard.home / "scripts" / "agent.sh", yard.home / ".ssh" / "id_ed25519"
    script.parent.mkdir()
    script.write_text('cat "$1" > told 2>&1\nls ~/scripts >> told\ngit add -A\ngit commit -qm x\n')
    project = yard.project()
    command = ["/bin/sh", str(script), "{prompt}"]
    yard.plane.ledgers.projects.change(project.id, agent_command=command, prompt=None)
    done = yard.finish(yard.plane.project(project.id))
    assert "agent.sh" in yard.told(done)
    named = yard.project(name="named")
    command = ["/bin/sh", str(script), str(key)]
    yard.plane.ledgers.projects.change(named.id, agent_command=command)
    assert "secret" in yard.told(yard.finish(yard.plane.project(named.id)))
