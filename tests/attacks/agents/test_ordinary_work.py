"""The everyday work of agents succeeds at every level as it does without a sandbox."""

from __future__ import annotations

import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import pytest

from app.domain.sandbox.levels import Means, SandboxLevel
from tests.drivers.sandboxes import PLAIN, ROOT, trial_of, users_and_ways
from tests.fakes.registries import package_registries

PATIENCE = 60.0
# leaves a server running, prints its port, and exits after one request
DEV_SERVER = """
cat > serve.py <<'END'
import functools, http.server, os, socket
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
if os.fork() == 0:
    os.setsid()
    server.serve_forever()
with socket.create_connection(("127.0.0.1", int(os.environ["TELL"]))) as person:
    person.sendall(b"%d\\n" % server.server_port)
    person.recv(1)
END
echo 'work in progress' > page.txt
python3 serve.py
"""

SANDBOXED = (PLAIN, Means.BUBBLEWRAP, SandboxLevel.SANDBOXED)


@users_and_ways((ROOT, Means.BUBBLEWRAP, SandboxLevel.CONTAINED), SANDBOXED)
def test_git_python_pip_and_node_work(user: str, means: Means | None, level: SandboxLevel) -> None:
    for tool in ("git", "python3", "pip3"):
        if shutil.which(tool, path="/usr/local/bin:/usr/bin:/bin") is None:
            pytest.skip(f"{tool} is not among this machine's programs: it was not tried")
    with trial_of(user) as trial, package_registries() as registries:
        script = f"""set -e
            git init -q . && echo x > file && git add file
            git -c user.name=A -c user.email=a@b commit -qm 'The first' && git log --oneline
            python3 -c 'import sqlite3, ssl, tempfile; tempfile.mkdtemp(); print("python works")'
            python3 -m pip install --quiet --target deps --disable-pip-version-check \
                -i {registries.url}/pip/simple --trusted-host 127.0.0.1 yard-tool
            PYTHONPATH=deps python3 -c 'import yard_tool; yard_tool.main()'
            if command -v node > /dev/null; then node -e 'console.log("node works")'
            else echo 'node works not, as it is not there'; fi
        """
        tried = trial.run(script, level, means)
    assert tried.code == 0, tried
    for said in ("The first", "python works", "the tool of pip", "node works"):
        assert said in tried.log


@users_and_ways((ROOT, Means.NAMESPACES, SandboxLevel.CONTAINED), SANDBOXED)
def test_a_dev_server_is_reached_from_this_machine_and_gone_with_its_run(
    user: str, means: Means | None, level: SandboxLevel
) -> None:
    with (
        trial_of(user) as trial,
        socket.create_server(("127.0.0.1", 0)) as ear,
        ThreadPoolExecutor(1) as person,
    ):
        seen = person.submit(_look, ear)
        env = {"TELL": str(ear.getsockname()[1])}
        tried = trial.run(DEV_SERVER, level, means, env=env, grace=1)
        port, body = seen.result(PATIENCE)
    assert (tried.code, tried.is_gone) == (0, True), tried
    assert body == "work in progress\n"
    with pytest.raises(ConnectionRefusedError):
        _get(port)


def _look(ear: socket.socket) -> tuple[int, str]:
    """Open the page whose port an agent reports, as a person would; return port and page text."""
    ear.settimeout(PATIENCE)
    agent, _ = ear.accept()
    with agent:
        agent.settimeout(PATIENCE)
        port = int(agent.makefile().readline())
        return port, _get(port)


def _get(port: int) -> str:
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/page.txt")
        return connection.getresponse().read().decode()
