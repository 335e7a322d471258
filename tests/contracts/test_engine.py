"""What every engine owes its callers, with real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.engine.local import LocalEngine
from app.domain.rules import ExitReason
from app.services.ports import LaunchFailed
from tests.agents_for_tests.runs import Ears, is_living, order, script, shell, until

RUN = "run_c0001"
CUT = re.compile("\n\\[… ([\\d,]+) bytes cut …\\]\n".encode())
ENV_LIKE_OURS = {"RUNYARD_DATABASE_URL": "canary", "NICEGUI_X": "canary", "PYTEST_X": "canary"}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(tmp_path / "runs", instance=uuid.uuid4().hex)
    yield engine
    assert all(engine.kill(run_id) for run_id in engine.owned())
    engine.close()


@pytest.fixture
def ears(engine: LocalEngine) -> Ears:
    return Ears(engine)


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    return folder


def run_to_end(engine: LocalEngine, ears: Ears, workdir: Path, argv: list[str], **other: Any):
    engine.launch(order(RUN, workdir, argv, **other))
    engine.watch(RUN)
    ears.wait_for(RUN, "gone")
    return engine.look(RUN)


def tell(engine: LocalEngine, ears: Ears, workdir: Path, *args: str, **other: Any) -> Any:
    run_to_end(engine, ears, workdir, script("tells", *args), **other)
    return json.loads(engine.log(RUN).read().content)


@pytest.mark.parametrize(
    ("text", "code", "signum"),
    [("exit 0", 0, None), ("exit 3", 3, None), ("kill -9 $$", None, 9), ("kill $$", None, 15)],
)
def test_an_end_is_told_with_its_code_or_signal(
    engine: LocalEngine, ears: Ears, workdir: Path, text: str, code: int, signum: int
) -> None:
    sight = run_to_end(engine, ears, workdir, shell(text))
    assert sight.exit is not None
    assert (sight.exit.code, sight.exit.signal) == (code, signum)
    assert sight.exit.reason is ExitReason.EXITED
    assert abs(datetime.now(UTC) - sight.exit.at) < timedelta(seconds=30)
    assert (sight.alive, sight.tree_gone, sight.host_restarted) == (False, True, False)


def test_the_log_the_exit_and_the_gone_are_told_in_that_order(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell("echo done"))
    heard = ears.of(RUN)
    assert heard[0] == "log"
    assert heard.index("log") < heard.index("exit") < heard.index("gone")
    assert heard[-1] == "gone"


def test_what_happened_before_the_watch_is_told_too(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    engine.launch(order(RUN, workdir, shell("echo done")))
    until(lambda: engine.look(RUN).tree_gone, "the end")
    engine.watch(RUN)
    ears.wait_for(RUN, "gone")
    assert ears.of(RUN)[:2] == ["log", "exit"]


def test_a_run_not_watched_any_more_is_not_told_of(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    engine.launch(order(RUN, workdir, script("stubborn")))
    engine.launch(order("run_c0002", workdir, shell("read x < go || :")))
    ears.wait_for_text(RUN, b"ready")
    engine.unwatch(RUN)
    engine.watch("run_c0002")
    ears.wait_for("run_c0002", "gone")
    before = ears.of(RUN)
    assert engine.kill(RUN)
    assert ears.of(RUN) == before
    assert "gone" not in before


def test_a_living_agent_is_seen_alive_and_not_ended(engine: LocalEngine, workdir: Path) -> None:
    mark = engine.launch(order(RUN, workdir, script("stubborn")))
    sight = engine.look(RUN)
    assert (sight.alive, sight.exit, sight.tree_gone) == (True, None, False)
    assert sight.mark == mark
    assert engine.owned() == {RUN}


def test_the_budget_ends_a_run_with_the_reason_deadline(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    sight = run_to_end(engine, ears, workdir, shell("sleep 60"), budget_seconds=0.2)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.signal) == (ExitReason.DEADLINE, signal.SIGTERM)
    assert sight.tree_gone


def test_a_kill_is_proved_and_recorded_as_stopped(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    engine.launch(order(RUN, workdir, shell("echo ready; sleep 60 & wait")))
    ears.wait_for_text(RUN, b"ready")
    assert engine.kill(RUN)
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert sight.exit.reason is ExitReason.STOPPED
    assert (sight.alive, sight.tree_gone) == (False, True)
    assert engine.owned() == set()
    assert engine.kill(RUN)


def test_an_agent_may_use_its_grace_to_end_well(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    text = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.02; done"
    engine.launch(order(RUN, workdir, shell(text), grace_seconds=5))
    ears.wait_for_text(RUN, b"ready")
    assert engine.kill(RUN)
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.code) == (ExitReason.STOPPED, 4)
    assert engine.log(RUN).read().content.endswith(b"bye\n")


def test_killing_what_never_was_is_proved_at_once(engine: LocalEngine) -> None:
    assert engine.kill("run_c9999")
    assert engine.look("run_c9999").tree_gone
    assert engine.log("run_c9999").read().content == b""


def test_an_id_that_is_a_path_is_refused(engine: LocalEngine) -> None:
    for run_id in ("../etc", "", "a/b", "run_\n", "RUN"):
        with pytest.raises(ValueError, match="not a run id"):
            engine.look(run_id)


def test_a_run_is_not_started_twice(engine: LocalEngine, workdir: Path) -> None:
    mark = engine.launch(order(RUN, workdir, script("stubborn")))
    with pytest.raises(LaunchFailed, match="started before"):
        engine.launch(order(RUN, workdir, script("stubborn")))
    assert engine.look(RUN).mark == mark


def test_another_engine_on_the_same_folder_adopts_the_run(
    engine: LocalEngine, workdir: Path, tmp_path: Path
) -> None:
    (go := tmp_path / "go").touch()
    go.unlink()
    os.mkfifo(go)
    instance = engine._instance
    mark = engine.launch(order(RUN, workdir, shell(f"echo one; read x < {go}; echo two; exit 5")))
    engine.close()
    later = LocalEngine(tmp_path / "runs", instance=instance)
    later_ears = Ears(later)
    later.watch(RUN)
    assert later.look(RUN).mark == mark
    assert later.owned() == {RUN}
    go.write_text("now\n")
    later_ears.wait_for(RUN, "gone")
    sight = later.look(RUN)
    assert sight.exit is not None
    assert sight.exit.code == 5
    assert later.log(RUN).read().content == b"one\ntwo\n"
    later.close()


def test_only_processes_of_this_instance_are_owned(
    engine: LocalEngine, workdir: Path, tmp_path: Path
) -> None:
    engine.launch(order(RUN, workdir, script("stubborn")))
    other = LocalEngine(tmp_path / "runs", instance="another")
    assert other.owned() == set()
    assert other.kill(RUN)
    assert engine.look(RUN).alive


def test_the_agent_gets_its_environment_and_nothing_of_ours(
    engine: LocalEngine, ears: Ears, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNYARD_SESSION_SECRET", "canary")
    monkeypatch.setenv("ANY_TOKEN", "canary")
    env = {"PATH": "/usr/bin:/bin", "WANTED": "yes é", **ENV_LIKE_OURS}
    told = tell(engine, ears, workdir, env=env, facts={"BRANCH": "afk/7", "ISSUE": "7"})
    found = told["env"]
    deadline = datetime.fromisoformat(found.pop("RUNYARD_DEADLINE"))
    assert abs(deadline - datetime.now(UTC) - timedelta(seconds=60)) < timedelta(seconds=20)
    assert Path(found.pop("RUNYARD_PROMPT_FILE")) == engine.prompt_file(RUN)
    found.pop("LC_CTYPE", None)  # python's own
    assert found == {
        "PATH": "/usr/bin:/bin",
        "WANTED": "yes é",
        "RUNYARD_RUN_ID": RUN,
        "RUNYARD_INSTANCE": engine._instance,
        "RUNYARD_BRANCH": "afk/7",
        "RUNYARD_ISSUE": "7",
    }


def test_no_secret_is_in_the_run_folder_or_with_the_supervisor(
    engine: LocalEngine, workdir: Path, tmp_path: Path
) -> None:
    env = {"PATH": "/bin", "TOKEN": "canary-in-env"}
    mark = engine.launch(order(RUN, workdir, script("stubborn"), env=env))
    held = [path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    held += [Path(f"/proc/{mark.pid}/{name}").read_bytes() for name in ("environ", "cmdline")]
    assert not any(b"canary" in text for text in held)


def test_the_agent_stands_alone(engine: LocalEngine, ears: Ears, workdir: Path) -> None:
    told = tell(engine, ears, workdir)
    assert told["workdir"] == str(workdir)
    assert (told["stdin"], told["stdin_is_device"]) == ("", True)
    assert told["files"] == [0, 1, 2]
    assert told["leads_session"]
    assert told["core"] == [0, 0]
    assert told["oom"] == 800
    # SIGPIPE and SIGXFSZ are ignored by the python that tells this
    assert told["ignored"] & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_the_prompt_is_in_its_file_for_the_agent_only(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    prompt = "Grüße\n$(rm -rf /)\n"
    run_to_end(engine, ears, workdir, shell('cat "$RUNYARD_PROMPT_FILE"'), prompt=prompt)
    assert engine.log(RUN).read().content.decode() == prompt
    assert engine.prompt_file(RUN).stat().st_mode & 0o777 == 0o600
    assert engine.prompt_file(RUN).parent.stat().st_mode & 0o777 == 0o700


HOSTILE_VALUES = [
    "$(touch canary)",
    "`touch canary`",
    "; touch canary",
    "| touch canary",
    "\n touch canary",
    "--flag=x y",
    "-",
    "",
    "'\"\\",
    "${IFS}",
    "*",
    "%s%n",
    "é\u202e\U0001f600",
]


def test_a37_every_value_reaches_the_agent_unchanged(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    told = tell(engine, ears, workdir, *HOSTILE_VALUES)
    assert told["argv"] == HOSTILE_VALUES
    assert list(workdir.iterdir()) == []


def test_bytes_of_the_log_are_kept_as_they_were(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell(r"printf '\377\000\033[31m\303' ; echo err >&2"))
    log = engine.log(RUN)
    assert log.read().content == b"\xff\x00\x1b[31m\xc3err\n"
    assert (log.size, log.is_cut) == (12, False)
    assert log.read(-4).content == b"err\n"
    piece = log.read(2, 5)
    assert (piece.content, piece.next_offset) == (b"\x1b[31m", 7)
    assert log.read(99).content == b""


def test_a_log_over_its_cap_keeps_its_first_and_last_parts(
    engine: LocalEngine, ears: Ears, workdir: Path, tmp_path: Path
) -> None:
    cap, written = 64_000, 1_600_000
    run_to_end(engine, ears, workdir, script("floods", written), log_cap_bytes=cap)
    log = engine.log(RUN)
    whole = log.read().content
    head, cut, tail = CUT.split(whole)
    assert (log.size, log.is_cut) == (written, True)
    assert head.startswith(b"000000000000000\n")
    assert tail.endswith(b"%015d\n" % (written // 16 - 1))
    assert int(cut.replace(b",", b"")) + len(head) + len(tail) == written
    assert cap * 0.8 <= len(head) + len(tail) <= cap
    files = [
        path for path in (tmp_path / "runs" / RUN).iterdir() if path.name[:4] in ("log", "tail")
    ]
    assert sum(path.stat().st_size for path in files) <= cap


def test_a_log_is_followed_by_positions_over_every_rotation(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    written = 3_200_000
    argv = script("floods", written)
    engine.launch(order(RUN, workdir, argv, log_cap_bytes=100_000))
    engine.watch(RUN)
    log, position, cut, kept = engine.log(RUN), 0, 0, 0
    while position < written:
        piece = log.read(position, 50_000)
        dropped = CUT.findall(piece.content)
        markers = sum(len(f"\n[… {text.decode()} bytes cut …]\n".encode()) for text in dropped)
        cut += sum(int(text.replace(b",", b"")) for text in dropped)
        kept += len(piece.content) - markers
        position = piece.next_offset
        until(lambda: log.size > position or engine.look(RUN).tree_gone, "more output")  # noqa: B023
    assert position == written == cut + kept


FAILED_SETUPS = [
    (shell("exit 3"), "setup command exited 3"),
    (shell("kill -9 $$"), "setup command was killed by signal 9"),
    (["nothing-of-this-name"], "command was not found: nothing-of-this-name"),
    (shell("sleep 60"), "setup command took longer than 0 s"),
]


@pytest.mark.parametrize(("setup", "sentence"), FAILED_SETUPS)
def test_a_failed_setup_command_fails_the_launch(
    engine: LocalEngine, workdir: Path, setup: list[str], sentence: str
) -> None:
    with pytest.raises(LaunchFailed, match=sentence):
        engine.launch(order(RUN, workdir, shell("touch ran"), setup=setup, launch_seconds=0.4))
    assert until(lambda: engine.look(RUN).tree_gone, "the end")
    assert engine.owned() == set()
    assert list(workdir.iterdir()) == []


def test_the_setup_command_runs_before_the_agent_in_its_place(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    setup = shell('echo "$RUNYARD_RUN_ID" > made; echo setting up')
    sight = run_to_end(engine, ears, workdir, shell("cat made; exit 6"), setup=setup)
    assert engine.log(RUN).read().content == f"setting up\n{RUN}\n".encode()
    assert sight.exit is not None
    assert sight.exit.code == 6


def test_what_the_agent_leaves_behind_ends_with_it(
    engine: LocalEngine, ears: Ears, workdir: Path
) -> None:
    sight = run_to_end(engine, ears, workdir, script("leaves_daemon", workdir / "pid"))
    assert sight.exit is not None
    assert (sight.exit.code, sight.tree_gone) == (0, True)
    assert not is_living(int((workdir / "pid").read_text()))
