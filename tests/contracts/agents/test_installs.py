"""Programs and toolchains from a home folder are visible in the sandbox; the home itself is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.adapters.agents.installs import Install, find_install
from app.adapters.agents.toolchains import toolchain_environment, toolchain_folders


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "me"
    (made / ".local" / "bin").mkdir(parents=True)
    return made


def program(file: Path, first: str = "\x7fELF") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{first}\n")
    file.chmod(0o755)
    return file


def found(name: str, home: Path, *folders: str) -> tuple[set[str], dict[str, str]]:
    path = os.pathsep.join([*(str(home / folder) for folder in folders), "/usr/bin"])
    install: Install = find_install([name], {"HOME": str(home), "PATH": path})
    places = {str(place.relative_to(home)) for place in install.places}
    return places, {str(link.relative_to(home)): to for link, to in install.links.items()}


def test_claudes_own_installer(home: Path) -> None:
    real = program(home / ".local" / "share" / "claude" / "versions" / "2.1.197")
    (home / ".local" / "bin" / "claude").symlink_to(real)
    places, links = found("claude", home, ".local/bin")
    assert places == {".local/share/claude/versions"}
    assert links == {".local/bin/claude": str(real)}


def test_npm_below_nvm(home: Path) -> None:
    node = home / ".nvm" / "versions" / "node" / "v22.1.0"
    script = program(node / "lib/node_modules/@openai/codex/bin/codex.js", "#!/usr/bin/env node")
    program(node / "bin" / "node")
    (node / "bin" / "codex").symlink_to(os.path.relpath(script, node / "bin"))
    assert found("codex", home, ".nvm/versions/node/v22.1.0/bin") == ({".nvm"}, {})


def test_npm_with_a_prefix_of_the_home(home: Path) -> None:
    for prefix, place in ((".npm-global", ".npm-global"), (".local", ".local/lib/node_modules")):
        script = program(home / prefix / "lib/node_modules/gemini/index.js", "#!/usr/bin/node")
        link = home / prefix / "bin" / "gemini"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(script, link.parent))
        places, links = found("gemini", home, f"{prefix}/bin")
        assert places == {place}
        assert bool(links) is (prefix == ".local")


def test_pipx_and_uv(home: Path) -> None:
    for tool in ("pipx/venvs", "uv/tools"):
        folder = home / ".local" / "share" / tool / "aider-chat"
        python = program(home / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3.12")
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(python)
        real = program(folder / "bin" / "aider", f"#!{folder}/bin/python")
        link = home / ".local" / "bin" / "aider"
        link.unlink(missing_ok=True)
        link.symlink_to(real)
        places, links = found("aider", home, ".local/bin")
        assert places == {f".local/share/{tool.partition('/')[0]}", ".pyenv"}
        assert set(links) == {".local/bin/aider"}


def test_a_virtual_environment_and_a_users_own_packages(home: Path) -> None:
    (home / "work" / "venv").mkdir(parents=True)
    (home / "work" / "venv" / "pyvenv.cfg").write_text("")
    program(home / "work" / "venv" / "bin" / "aider", "#!/usr/bin/python3")
    assert found("aider", home, "work/venv/bin")[0] == {"work/venv"}
    (home / ".local" / "lib" / "python3.11").mkdir(parents=True)
    program(home / ".local" / "bin" / "aider", "#!/usr/bin/python3")
    assert found("aider", home, ".local/bin")[0] == {".local/lib", ".local/bin/aider"}


def test_a_shim_of_pyenv_needs_all_of_it(home: Path) -> None:
    program(home / ".pyenv" / "shims" / "aider", "#!/usr/bin/env bash")
    assert found("aider", home, ".pyenv/shims") == ({".pyenv"}, {})


def test_what_lies_beside_other_things_is_seen_alone(home: Path) -> None:
    program(home / "agent.sh", "#!/bin/sh")
    assert found(str(home / "agent.sh"), home)[0] == {"agent.sh"}
    program(home / ".local" / "bin" / "droid")
    assert found("droid", home, ".local/bin")[0] == {".local/bin/droid"}
    program(home / ".cargo" / "bin" / "tool")
    assert found("tool", home, ".cargo/bin")[0] == {".cargo/bin/tool"}
    program(home / "scripts" / "agent.py", "#!/usr/bin/env python3")
    assert found(str(home / "scripts" / "agent.py"), home)[0] == {"scripts/agent.py"}
    # the sign-in in the same folder is not part of the install
    program(home / ".config" / "agent")
    assert found(str(home / ".config" / "agent"), home)[0] == {".config/agent"}


def test_cursors_installer_with_its_own_node(home: Path) -> None:
    folder = home / ".local" / "share" / "cursor-agent" / "versions" / "2026.11.01"
    real = program(folder / "cursor-agent", "#!/usr/bin/env bash")
    program(folder / "node")
    (home / ".local" / "bin" / "cursor-agent").symlink_to(real)
    places, _ = found("cursor-agent", home, ".local/bin")
    assert places == {str(folder.relative_to(home))}


def test_programs_of_the_system_and_those_that_are_not_there_need_nothing(home: Path) -> None:
    assert find_install(["sh"], {"HOME": str(home), "PATH": "/usr/bin:/bin"}) == Install((), {})
    assert find_install(["no-such"], {"HOME": str(home), "PATH": "/bin"}) == Install((), {})
    assert find_install(["", "/", str(home)], {"HOME": str(home), "PATH": "/bin"}) == Install(
        (), {}
    )


def test_links_in_a_circle_end(home: Path) -> None:
    (home / "a").symlink_to("b")
    (home / "b").symlink_to("a")
    assert found(str(home / "a"), home)[0] == set()


def test_named_toolchains_bring_their_programs_and_variables_along(home: Path) -> None:
    for folder in (".pyenv/shims", ".pyenv/bin", ".cargo/bin", "go/bin", "jdk/bin"):
        (home / folder).mkdir(parents=True)
    environment = {
        "PATH": f"{home}/.cargo/bin:/usr/bin",
        "PYENV_ROOT": f"{home}/.pyenv",
        "JAVA_HOME": f"{home}/jdk",
        "NVM_DIR": f"{home}/.nvm",
    }
    folders = toolchain_folders(["~/.pyenv", f"{home}/.cargo/", "~/go"], home)
    told = toolchain_environment(folders, environment, home)
    path = told["PATH"].split(":")
    assert path[:3] == [f"{home}/.pyenv/bin", f"{home}/.pyenv/shims", f"{home}/go/bin"]
    assert path[3:5] == [f"{home}/.cargo/bin", "/usr/bin"]
    assert told["PYENV_ROOT"] == f"{home}/.pyenv"
    assert {"NVM_DIR", "JAVA_HOME"}.isdisjoint(told)
    # folders that are written to are in the private home
    assert told["CARGO_HOME"] == f"{home}/.cache/cargo"
    assert told["GOPATH"] == f"{home}/.cache/go"


def test_nvm_brings_the_version_that_its_user_chose(home: Path) -> None:
    for version in ("v9.0.0", "v20.1.0", "v22.10.0"):
        (home / ".nvm" / "versions" / "node" / version / "bin").mkdir(parents=True)
    folders = toolchain_folders(["~/.nvm"], home)
    environment = {"PATH": "/usr/bin", "NVM_DIR": f"{home}/.nvm"}

    def first() -> str:
        told = toolchain_environment(folders, environment, home)
        assert "NPM_CONFIG_PREFIX" not in told
        return told["PATH"].split(":")[0].removeprefix(f"{home}/.nvm/versions/node/")

    assert first() == "v22.10.0/bin"
    (home / ".nvm" / "alias").mkdir()
    (home / ".nvm" / "alias" / "default").write_text("20\n")
    assert first() == "v20.1.0/bin"


def test_a_whole_home_is_no_toolchain(home: Path) -> None:
    assert toolchain_folders(["~", str(home), str(home.parent), "/", "relative"], home) == []
