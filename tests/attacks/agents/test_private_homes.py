"""Agents with a private home: tools and caches work, sign-ins are kept, the home stays closed.

Tools missing from this machine are skipped.
"""

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

from app.domain.sandbox.levels import SandboxLevel
from tests.drivers.sandboxes import ONE_USER, USERS, Trial, Tried, trial_of
from tests.fakes.registries import WHEEL, Registries, package_registries

PROJECT = "proj_1"
SIGN_IN = ".claude/.credentials.json"
CARGO, RUSTUP = Path("~/.cargo").expanduser(), Path("~/.rustup").expanduser()

pytestmark = [
    pytest.mark.skipif(
        shutil.which("bwrap") is None, reason="bubblewrap is not installed: nothing is sandboxed"
    ),
    pytest.mark.timeout(600),
]


both_users = pytest.mark.parametrize("trial", USERS, indirect=True)


@pytest.fixture(params=ONE_USER)
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    with trial_of(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def registries() -> Iterator[Registries]:
    with package_registries() as made:
        yield made


class Runs:
    """Successive runs of one project."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._count = 0

    def run(self, script: str, **asked: Any) -> Tried:
        self._count += 1
        return self.trial.run(
            script,
            SandboxLevel.SANDBOXED,
            run=f"run_{self._count}",
            project=PROJECT,
            budget=200,
            **asked,
        )

    def works(self, script: str, **asked: Any) -> str:
        """Run a script, assert that it exits 0, and return its log."""
        tried = self.run(f"set -e\n{script}", **asked)
        assert tried.code == 0, tried
        return tried.log


@pytest.fixture
def runs(trial: Trial) -> Runs:
    return Runs(trial)


def needs(tool: str) -> None:
    path = "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"
    if shutil.which(tool, path=path) is None:
        pytest.skip(f"{tool} is not among this machine's programs: it was not tried in a sandbox")


@pytest.mark.parametrize("home", ["/", "", "/usr", "nowhere"])
def test_a_user_whose_home_can_be_no_home_inside_has_a_private_one_all_the_same(
    runs: Runs, home: str
) -> None:
    runs.works('mkdir "$XDG_CACHE_HOME" && echo kept > "$HOME/note"', env={"HOME": home})
    assert runs.works('cat "$HOME/note"; ls /usr/bin/env', env={"HOME": home}).startswith("kept")


@both_users
def test_git_python_and_node_work_in_a_private_home(runs: Runs) -> None:
    needs("git")
    needs("python3")
    said = runs.works(
        "git init -q . && git config --global user.name A && git config --global user.email a@b\n"
        "echo x > file && git add file && git commit -qm 'The first' && git log --oneline\n"
        "python3 -c 'import sys, tempfile, pathlib; print(pathlib.Path.home()); "
        'tempfile.mkdtemp(); print("python", sys.version_info[0])\'\n'
        'if command -v node; then node -e \'console.log("node", require("os").homedir())\'; fi'
    )
    assert "The first" in said
    assert f"{runs.trial.home}\npython 3" in said
    if "bin/node" in said:
        assert f"node {runs.trial.home}" in said
    # git's global settings belong to the project, and carry over to its next run
    assert runs.works("git config --global user.name").strip() == "A"
    assert not (runs.trial.home / ".gitconfig").exists()


def test_pip_installs_for_its_user_and_the_second_run_takes_it_from_the_cache(
    runs: Runs, registries: Registries
) -> None:
    needs("pip3")
    install = (
        "python3 -m pip install --quiet --user --break-system-packages --force-reinstall "
        f"-i {registries.url}/pip/simple --trusted-host 127.0.0.1 yard-tool"
    )
    before = registries.fetched(WHEEL)
    assert "the tool of pip" in runs.works(f"{install}\nyard-tool")
    assert registries.fetched(WHEEL) == before + 1
    assert "the tool of pip" in runs.works(f"yard-tool\nrm -rf ~/.local\n{install}\nyard-tool")
    assert registries.fetched(WHEEL) == before + 1


def test_npm_installs_globally_and_the_second_run_needs_no_registry(
    runs: Runs, registries: Registries
) -> None:
    needs("npm")
    registry = f"--registry {registries.url}/npm/ --no-audit --no-fund --loglevel error"
    said = runs.works(f"npm install -g {registry} yard-tool\nyard-tool")
    assert "the tool of npm" in said
    again = (
        "yard-tool\nmkdir app && cd app && echo '{}' > package.json\n"
        "npm install --offline --no-audit --no-fund --registry "
        f"{registries.url}/npm/ yard-tool\nnpx --offline yard-tool"
    )
    assert runs.works(again).count("the tool of npm") == 2


@pytest.mark.soak
def test_go_builds_with_a_module_and_the_second_run_needs_no_proxy(
    runs: Runs, registries: Registries
) -> None:
    needs("go")
    program = (
        "mkdir app && cd app\n"
        "printf 'module app\\n\\ngo 1.20\\n\\nrequire example.com/yard v1.0.0\\n' > go.mod\n"
        'printf \'package main\\n\\nimport ("fmt"; "example.com/yard")\\n\\n'
        "func main() { fmt.Println(yard.Say()) }\\n' > main.go\n"
    )
    build = "export GOFLAGS=-mod=mod GOSUMDB=off GOTOOLCHAIN=local\ngo run ."
    proxy = f"export GOPROXY={registries.url}/go\n"
    assert "the module of go" in runs.works(f"{program}{proxy}{build}")
    off = "export GOPROXY=off\n"
    assert "the module of go" in runs.works(f"cd app && rm -f go.sum\n{off}{build}")


def test_cargo_of_the_home_folder_builds_once_the_project_names_it(runs: Runs) -> None:
    cargo = CARGO / "bin" / "cargo"
    if not (cargo.exists() and RUSTUP.is_dir()):
        pytest.skip("Rust is not in this user's home folder: cargo was not tried in a sandbox")
    can_read = [*runs.trial.prefix, "test", "-x", str(cargo)]
    if subprocess.run(can_read).returncode != 0:
        pytest.skip("the tests' Rust is not readable to a plain user: cargo was not tried as one")
    prepare = (
        "git init -q dep && cd dep && mkdir src\n"
        'printf \'[package]\\nname = "dep"\\nversion = "0.1.0"\\n\' > Cargo.toml\n'
        "echo 'pub fn say() -> &'\"'static\"' str { \"the crate of cargo\" }' > src/lib.rs\n"
        "git add . && git -c user.name=a -c user.email=a@b commit -qm x && cd ..\n"
        "mkdir -p app/src && cd app\n"
        'printf \'[package]\\nname = "app"\\nversion = "0.1.0"\\nedition = "2021"\\n'
        '[dependencies]\\ndep = { git = "file://%s/../dep" }\\n\' "$PWD" > Cargo.toml\n'
        "echo 'fn main() { println!(\"{}\", dep::say()) }' > src/main.rs\n"
    )
    asked = {"toolchains": [str(CARGO), str(RUSTUP)]}
    said = runs.works(f"{prepare}cargo run --quiet 2>&1\necho $CARGO_HOME", **asked)
    assert "the crate of cargo" in said
    assert f"{runs.trial.home}/.cache/cargo" in said
    again = "rm -rf dep app/target && cd app && cargo run --quiet --offline 2>&1"
    assert "the crate of cargo" in runs.works(again, **asked)
    # the toolchain itself is read-only
    assert runs.run(f"touch {CARGO}/planted", **asked).code != 0
    # and is absent for a project that does not name it
    assert runs.run(f"ls {CARGO}/bin").code != 0


def signed_in(trial: Trial) -> Path:
    """Write the user's own sign-in for claude."""
    file = trial.home / SIGN_IN
    soon = datetime.now(UTC) + timedelta(hours=1)
    account = {
        "accessToken": "sk-ant-oat01-a",
        "refreshToken": "sk-ant-ort01-a",
        "expiresAt": int(soon.timestamp() * 1000),
    }
    write(trial, file, json.dumps({"claudeAiOauth": account}))
    return file


def write(trial: Trial, file: Path, text: str, mode: int = 0o600) -> None:
    """Write a file that the user owns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    owner = trial.home.stat()
    for one in (file, *file.relative_to(trial.home).parents):
        os.chown(trial.home / one, owner.st_uid, owner.st_gid)


RENEWS = """
import json, os, pathlib, time
file = pathlib.Path.home() / ".claude" / ".credentials.json"
document = json.loads(file.read_text())
document["claudeAiOauth"].update(
    accessToken=document["claudeAiOauth"]["accessToken"] + "+",
    refreshToken="sk-ant-ort01-b", expiresAt=int(time.time() * 1000) + 9 * 3600 * 1000)
{hostile}
fresh = file.with_suffix(".new")
fresh.write_text(json.dumps(document))
fresh.replace(file)
print("had", document["claudeAiOauth"]["accessToken"])
print(sorted(os.listdir(pathlib.Path.home())), os.path.exists(pathlib.Path.home() / ".ssh"))
"""


def python(program: str) -> str:
    return f"python3 - <<'END'\n{program}\nEND"


@both_users
def test_a_sign_in_that_is_renewed_inside_is_the_users_own_afterwards(runs: Runs) -> None:
    file = signed_in(runs.trial)
    inode = file.stat()
    said = runs.works(python(RENEWS.format(hostile="")), agent="claude")
    assert "had sk-ant-oat01-a+" in said
    assert "False" in said
    mine = json.loads(file.read_text())["claudeAiOauth"]
    assert (mine["accessToken"], mine["refreshToken"]) == ("sk-ant-oat01-a+", "sk-ant-ort01-b")
    after = file.stat()
    assert (after.st_uid, after.st_mode) == (inode.st_uid, inode.st_mode)
    assert "had sk-ant-oat01-a++" in runs.works(python(RENEWS.format(hostile="")), agent="claude")


def test_at_contained_a_sign_in_is_the_users_own_from_the_start(runs: Runs) -> None:
    file = signed_in(runs.trial)
    tried = runs.trial.run(python(RENEWS.format(hostile="")), SandboxLevel.CONTAINED)
    assert tried.code == 0, tried
    assert json.loads(file.read_text())["claudeAiOauth"]["accessToken"] == "sk-ant-oat01-a+"


HOSTILE = {
    "a hook": 'document["claudeAiOauth"]["hooks"] = {"Stop": "evil"}',
    "an account of another kind": 'document["claudeAiOauth"]["accessToken"] = "sk-proj-evil"',
    "a program": 'document["claudeAiOauth"]["accessToken"] = {"command": "evil"}',
    "the far future": 'document["claudeAiOauth"]["expiresAt"] = 9 * 10**15',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_hostile_agent_adds_to_its_sign_in_does_not_reach_the_user(
    runs: Runs, name: str
) -> None:
    file = signed_in(runs.trial)
    before = file.read_bytes()
    tried = runs.run(python(RENEWS.format(hostile=HOSTILE[name])), agent="claude")
    assert tried.code == 0, tried
    assert len(tried.refused) == 1
    assert file.read_bytes() == before
    # and the next run gets the user's own sign-in again
    assert "sk-ant-oat01-a" in runs.works(f"cat ~/{SIGN_IN}", agent="claude")


TRAPS = {
    "links for folders": "rm -rf ~/.claude && ln -s $PWD ~/.claude && ln -s /etc ~/.local",
    "a pipe": f"rm -f ~/{SIGN_IN} && mkfifo ~/{SIGN_IN}",
    "a folder": f"rm -f ~/{SIGN_IN} && mkdir -p ~/{SIGN_IN}/deep",
    "a file without an end": f"truncate -s 8G ~/{SIGN_IN}",
    "deep JSON": f"python3 -c \"print('[' * 3000000)\" > ~/{SIGN_IN}",
    "a closed home": "chmod 0 ~/.claude ~",
    "a closed file": f"chmod 0 ~/{SIGN_IN}",
}


@pytest.mark.parametrize("name", TRAPS)
def test_traps_that_an_agent_leaves_in_its_home_do_not_hurt_the_next_run(
    runs: Runs, name: str
) -> None:
    signed_in(runs.trial)
    write(runs.trial, runs.trial.home / ".local/bin/claude", "#!/bin/sh\ncat ~/" + SIGN_IN, 0o755)
    runs.works(TRAPS[name], agent="claude")
    argv = [str(runs.trial.home / ".local/bin/claude")]
    # a change made a moment ago may be a write in progress, so the check waits for it
    tried = runs.run("", agent="claude", argv=argv, seconds_later=10)
    assert (tried.code, "sk-ant-oat01-a" in tried.log) == (0, True), tried


def test_an_agent_installed_in_the_home_folder_starts_and_sees_nothing_else_of_it(
    runs: Runs,
) -> None:
    place = runs.trial.home / ".local/share/claude/versions"
    write(runs.trial, place / "2.1.197", "#!/bin/sh\nls -A ~/.ssh ~; exit 0\n", 0o755)
    link = runs.trial.home / ".local/bin/claude"
    write(runs.trial, link, "")
    link.unlink()
    link.symlink_to(place / "2.1.197")
    path = f"{link.parent}:/usr/bin:/bin"
    tried = runs.run("", agent="claude", argv=["claude"], env={"PATH": path})
    assert tried.code == 0, tried
    assert "id_ed25519" not in tried.log


def test_two_runs_of_one_project_share_their_home(runs: Runs) -> None:
    runs.works("mkdir -p ~/.cache/x && echo kept > ~/.cache/x/y")
    assert runs.works("cat ~/.cache/x/y") == "kept\n"
    other = runs.trial.run("ls -A ~/.cache", SandboxLevel.SANDBOXED, run="run_o", project="proj_2")
    assert "x" not in other.log.split()
