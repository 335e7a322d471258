"""Importing Runyard has no side effects, and no committed file names a machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.drivers.source_tree import ROOT

# Run in a child process: imports every module and reports side effects of app/'s own code.
WATCH = """
import importlib, pathlib, sys, threading
root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root))
WATCHED = {"subprocess.Popen", "os.mkdir", "os.rename", "os.remove", "os.fork", "os.exec",
           "os.posix_spawn", "os.system", "sqlite3.connect", "socket.connect", "socket.bind",
           "_thread.start_new_thread", "tempfile.mkdtemp", "tempfile.mkstemp"}

def own_line():
    frame = sys._getframe(2)
    while frame:
        path = frame.f_code.co_filename
        if path.startswith(str(root / "app")):
            return f"{pathlib.Path(path).relative_to(root)}:{frame.f_lineno}"
        if frame.f_code.co_name == "<module>" and not path.startswith("<frozen"):
            return None  # a library's own import
        frame = frame.f_back

def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if (writes or event in WATCHED) and (line := own_line()):
        print(f"{line}: {event} {args[:1]!r} at import; do it when Runyard starts")

sys.addaudithook(watch)
for path in sorted((root / "app").rglob("*.py")):
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    if ".migrations." not in name and not name.endswith("__main__"):
        routes = len(sys.modules["nicegui"].app.routes) if "nicegui" in sys.modules else None
        importlib.import_module(name)
        if routes is not None and len(sys.modules["nicegui"].app.routes) != routes:
            print(f"{path.relative_to(root)}:1: adds a route at import; do it in a function")
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        print(f"app: the thread {thread.name} runs after importing; start it when Runyard starts")
"""
# Never in a committed file: folders of one machine, and addresses of package indexes.
MACHINE = re.compile(
    r"(^|[^A-Za-z0-9_.])/(?:work|farm|root)/|index-url[ =]|\"resolved\": *\"http"
    r"|(pypi|pythonhosted|npmjs|crates)\.(org|io|com)(?![\w-])|proxy\.golang\.org"
    r"|https?://[^ ]+/simple(/| |$)"
)


def _run_alone(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = {"HOME": str(folder), "TMPDIR": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-B", "-c", code, *arguments],
        cwd=folder,
        env=keep | home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_importing_any_module_starts_and_writes_nothing(tmp_path: Path) -> None:
    done = _run_alone(WATCH, tmp_path, str(ROOT))
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [], "importing created files; do that when Runyard starts"


def test_the_command_line_loads_neither_pages_nor_database(tmp_path: Path) -> None:
    code = (
        "import sys, importlib, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "for path in sorted(pathlib.Path(sys.argv[1], 'app', 'cli').rglob('*.py')):\n"
        "    name = '.'.join(path.relative_to(sys.argv[1]).with_suffix('').parts)\n"
        "    importlib.import_module(name)\n"
        "print(*({'nicegui', 'sqlalchemy', 'sqlmodel', 'fastapi'} & set(sys.modules)))"
    )
    done = _run_alone(code, tmp_path, str(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "app/cli loads these at import: import them in a function"


def test_a_start_loads_nothing_that_a_server_never_uses_and_who_asks_later_gets_it(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from app.server.patches.unused_imports import UNUSED, hiding\n"
        "with hiding(*UNUSED): import app.server.application\n"
        "print(*({*UNUSED, 'alembic', 'apprise'} & set(sys.modules)))\n"
        "import aiohttp, redis, requests, rich, httpx._main\n"
        "import app.adapters.counters.redis_windows, apprise"
    )
    done = _run_alone(code, tmp_path, str(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "each start waits for these: import them where they are used"


def test_the_start_of_an_agent_loads_nothing_of_python_that_is_slow_to_load(tmp_path: Path) -> None:
    code = (
        "import sys, importlib; sys.path.append(sys.argv[1])\n"
        "for name in ('supervision', 'enclosure', 'enter', 'init', 'landlock'):\n"
        "    importlib.import_module('app.adapters.supervisor.' + name)\n"
        "slow = {'typing', 'dataclasses', 'pathlib', 'subprocess', 'threading', 'inspect'}\n"
        "print(*(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "each start waits for these: use them where they are needed"


def test_no_committed_file_names_a_machine_or_an_index() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    problems = [
        f"{name}:{number}: {line.strip()[:100]} — leave the address or folder out"
        for name in filter(None, listed.stdout.split("\0"))
        for number, line in enumerate(_lines(ROOT / name), 1)
        if not name.endswith(".svg") and MACHINE.search(line)
    ]
    assert not problems, "\n" + "\n".join(problems)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        return []
