"""A hostile agent that prints and commits its key: no response shows it."""

from __future__ import annotations

import base64
import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.domain.secret_masks import dots
from tests.builders.repositories import run_git
from tests.drivers.servers.workshop import Workshop, open_workshop, problem

KEY = "sk-ant-api03-0123456789abcdefghijKLMNOPQRSTUVWXYZ-4711"
TOPIC = "hush-7f3k1a-topic"
# a stand-in for Claude Code: writes its stream events, and commits
CLAUDE = """
import json, os, pathlib, subprocess, sys, time
task = sys.stdin.read()
key = os.environ["ANTHROPIC_API_KEY"]
if "--help" in sys.argv or "--version" in sys.argv:
    print("2.1.197 (Claude Code)"); sys.exit()
def say(text):
    content = [{"type": "text", "text": text}]
    print(json.dumps({"type": "assistant", "message": {"content": content}}), flush=True)
say("begun\\n" + key)
half = json.dumps({"type": "assistant", "message": {"content": [{"type": "text", "text": key}]}})
at = half.index(key) + 9
sys.stdout.write(half[:at]); sys.stdout.flush(); time.sleep(0.3)
sys.stdout.write(half[at:] + "\\n"); sys.stdout.flush()
escaped = "".join(f"\\\\u{ord(c):04x}" for c in key)
print('{"type": "assistant", "message": {"content": [{"type": "text", "text": "%s"}]}}' % escaped)
if "please commit" in task:
    pathlib.Path("conf").mkdir()
    pathlib.Path("conf/app.env").write_text("DEBUG=1\\nKEY=" + key + "\\n")
    who = ["-c", "user.name=Agent", "-c", "user.email=agent@example.test"]
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", *who, "commit", "-qm", "Configure"], check=True)
say("last words: " + key)
print(json.dumps({"type": "result", "subtype": "success", "is_error": False, "result":
    "I used " + key, "session_id": "0b0c9a2e-0000-4000-8000-000000000000"}), flush=True)
"""
FORMS = (KEY, base64.b64encode(KEY.encode()).decode()[:-4], KEY.encode().hex())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("secrets")
    claude = folder / "bin" / "claude"
    claude.parent.mkdir()
    claude.write_text(f"#!{sys.executable} -I{CLAUDE}")
    claude.chmod(0o755)
    settings = {
        "PATH": f"{claude.parent}:/usr/local/bin:/usr/bin:/bin",
        "ANTHROPIC_API_KEY": KEY,
        "IS_SANDBOX": "1",
        "RUNYARD_NOTIFY_URLS": f"ntfy://127.0.0.1:9/{TOPIC}",
    }
    with open_workshop(folder, **settings) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def run(shop: Workshop) -> dict[str, Any]:
    """A run that printed its key in many forms and committed it."""
    project_id = str(shop.projects["shop"]["id"])
    number = shop.issue(project_id, f"please commit (the topic is {TOPIC})")
    started = shop.start(project_id, "please commit", issue=number, agent="claude")
    return shop.ended(started["id"])


def harmless(answer: httpx.Response) -> httpx.Response:
    """Check that a response is 200 and contains the key in no form; return it."""
    assert answer.status_code == 200, answer.text
    assert not [form for form in FORMS if form in answer.text]
    return answer


def test_the_log_is_masked_however_it_is_asked_for(shop: Workshop, run: dict[str, Any]) -> None:
    path = f"/runs/{run['id']}/log"
    whole = harmless(shop.api.get(path))
    assert whole.content.count(dots(len(KEY))) >= 3
    # byte by byte around the first one: no range reveals more
    at = whole.content.index(dots(len(KEY)))
    asked = (shop.api.get(path, params={"offset": at + one, "limit": 3}) for one in range(0, 60, 7))
    assert all(answer.content == whole.content[at + 7 * n :][:3] for n, answer in enumerate(asked))
    told = harmless(shop.api.get(path, params={"form": "readable"}))
    entries = [json.loads(line)["text"] for line in told.text.splitlines()]
    # every event could be parsed, also the escaped one
    assert sum("•••" in text for text in entries) >= 4
    assert not any('"type"' in text for text in entries)


@pytest.mark.parametrize("words", [KEY, KEY[:12], KEY[20:40]])
@pytest.mark.parametrize("form", ["raw", "readable"])
def test_no_search_finds_it(shop: Workshop, run: dict[str, Any], words: str, form: str) -> None:
    asked = {"q": words, "form": form}
    assert (
        harmless(shop.api.get(f"/runs/{run['id']}/log/search", params=asked)).json()["items"] == []
    )


def test_all_that_is_told_of_the_run_is_masked(shop: Workshop, run: dict[str, Any]) -> None:
    for part in ("", "/timeline", "/report", "/diff"):
        answer = harmless(shop.api.get(f"/runs/{run['id']}{part}"))
        assert part != "/report" or "•••" in answer.text
        assert part != "/diff" or "+KEY=•••" in answer.text
    for path in ("/runs", "/parked", "/audit"):
        harmless(shop.api.get(path))
    with zipfile.ZipFile(io.BytesIO(shop.api.get(f"/runs/{run['id']}/export").content)) as archive:
        for name in archive.namelist():
            text = archive.read(name).decode("utf-8", "replace")
            assert not [form for form in FORMS if form in text], name


def test_it_is_on_no_disk_but_in_its_own_commits(shop: Workshop, run: dict[str, Any]) -> None:
    folder = shop.server.data_dir / "runs" / "records" / run["id"]
    assert folder.is_dir()
    assert not any(KEY.encode() in one.read_bytes() for one in folder.iterdir() if one.is_file())
    assert KEY not in shop.server.log


def test_its_commits_stay_here_until_somebody_pushes_them_anyway(
    shop: Workshop, run: dict[str, Any]
) -> None:
    assert (run["status"], run["cause"], run["parked"]) == ("died", "secret_found", True)
    assert run["because"].startswith("not pushed: conf/app.env line 2 of commit ")
    assert run["because"].endswith(" contains a secret (ANTHROPIC_API_KEY)")
    origin = Path(str(shop.projects["shop"]["origin"]))
    assert run_git(origin, "branch", "--list", "afk/*") == ""
    refused = problem(shop.api.post(f"/runs/{run['id']}/deliver"))
    assert (refused["status"], refused["error"]) == (409, "secret_found")
    assert refused["detail"].startswith("Not pushed: conf/app.env line 2 of commit ")
    told = shop.wait("/parked", lambda kept: kept["items"][0]["can_deliver"])["items"]
    assert [one["needs_push_anyway"] for one in told] == [True]
    pushed = shop.api.post(f"/runs/{run['id']}/deliver", json={"push_anyway": True})
    assert pushed.status_code == 200, pushed.text
    assert run_git(origin, "branch", "--list", "afk/*") != ""
    number = pushed.json()["delivery"]["number"]
    change = f"/projects/{run['project_id']}/changes/{number}"
    assert "•••" in harmless(shop.api.get(f"{change}/diff")).text
    deeds = shop.api.get("/audit", params={"limit": 100}).json()["items"]
    (deed,) = [one for one in deeds if one["deed"] == "deliver" and one["object"] == run["id"]]
    assert "pushed anyway" in deed["after"]["because"]


def test_texts_that_a_person_edits_come_back_as_they_were_written(shop: Workshop) -> None:
    project_id = str(shop.projects["shop"]["id"])
    number = shop.issue(project_id, f"Our topic is {TOPIC}")
    told = shop.api.get(f"/projects/{project_id}/issues/{number}").json()
    assert told["title"] == f"Our topic is {TOPIC}"
