"""A failed test is rerun as if it had never run before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.drivers.servers.forked_starts import ROOT, clean_environment

FILE = """
import pytest

events = []

@pytest.fixture(scope="module")
def server():
    events.append("up")
    yield set()
    events.append("down")

@pytest.fixture(scope="module")
def client(server):
    yield server
    events.append("client gone")

def add(projects, name):
    assert name not in projects
    projects.add(name)

def test_adds_one(client):
    add(client, "one")

def test_fails_once(client):
    add(client, "other")
    assert "down" in events

def test_shares_what_the_second_try_began(client):
    assert client == {"other"}
    assert events == ["up", "client gone", "down", "up"]
"""


def test_the_second_try_of_a_test_has_a_server_without_the_names_of_the_first(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_file.py").write_text(FILE)
    argv = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--reruns", "1", str(tmp_path)]
    done = subprocess.run(
        [*argv, "--rootdir", str(tmp_path), "-c", "/dev/null", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed, 1 rerun" in done.stdout
