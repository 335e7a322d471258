"""The environment an engine gives an agent, and the output it keeps, with real processes."""

from __future__ import annotations

import json
import re
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.end_causes import ExitReason
from app.domain.sandbox.levels import SandboxLevel
from app.services.ports import LaunchFailed
from tests.drivers.gates import Gate
from tests.fakes.agents.runs import (
    RUN,
    Ears,
    KeepingEngine,
    order,
    run_to_end,
    script,
    shell,
    until,
)

CUT = re.compile("\n\\[… ([\\d,]+) bytes cut …\\]\n".encode())
ENV_LIKE_OURS = {"RUNYARD_DATABASE_URL": "canary", "NICEGUI_X": "canary", "PYTEST_X": "canary"}


def tell(engine: KeepingEngine, ears: Ears, workdir: Path, *args: str, **other: Any) -> Any:
    run_to_end(engine, ears, workdir, script("tells", *args), **other)
    return json.loads(engine.log(RUN).read().content)


def test_the_agent_gets_its_environment_and_nothing_of_ours(
    engine: KeepingEngine, ears: Ears, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNYARD_SESSION_SECRET", "canary")
    monkeypatch.setenv("ANY_TOKEN", "canary")
    env = {"PATH": "/usr/bin:/bin", "WANTED": "yes é", **ENV_LIKE_OURS}
    told = tell(engine, ears, workdir, env=env, facts={"BRANCH": "afk/7", "ISSUE": "7"})
    found = told["env"]
    deadline = datetime.fromisoformat(found.pop("RUNYARD_DEADLINE"))
    assert abs(deadline - datetime.now(UTC) - timedelta(seconds=60)) < timedelta(seconds=20)
    assert Path(found.pop("RUNYARD_PROMPT_FILE")) == engine.prompt_file(RUN)
    found.pop("LC_CTYPE", None)  # set by Python itself
    assert found == {
        "PATH": "/usr/bin:/bin",
        "WANTED": "yes é",
        "RUNYARD_RUN_ID": RUN,
        "RUNYARD_INSTANCE": engine._instance,
        "RUNYARD_BRANCH": "afk/7",
        "RUNYARD_ISSUE": "7",
    }


def test_no_secret_is_in_the_run_folder_or_with_the_supervisor(
    engine: KeepingEngine, workdir: Path, tmp_path: Path
) -> None:
    env = {"PATH": "/bin", "TOKEN": "canary-in-env"}
    mark = engine.start(order(RUN, workdir, script("stubborn"), env=env))
    held = [path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    held += [Path(f"/proc/{mark.pid}/{name}").read_bytes() for name in ("environ", "cmdline")]
    assert not any(b"canary" in text for text in held)


def test_a_supervisor_is_known_by_its_arguments_where_its_environment_is_closed(
    engine: KeepingEngine, workdir: Path, tmp_path: Path
) -> None:
    mark = engine.start(order(RUN, workdir, script("stubborn")))
    words = Path(f"/proc/{mark.pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert words[-2:] == [engine._instance.encode(), bytes(tmp_path / "runs" / RUN)]


def test_a_prompt_of_any_length_can_be_the_agents_input_and_is_in_no_process_list(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    prompt = "Mend it.\n" * 50_000
    told = tell(engine, ears, workdir, prompt=prompt, reads_prompt=True)
    assert told["stdin"] == prompt
    assert (told["argv"], told["files"]) == ([], [0, 1, 2])


@pytest.mark.parametrize("engine", [(None, SandboxLevel.NONE)], indirect=True)
def test_a_prompt_that_is_a_link_by_now_is_not_followed(
    engine: KeepingEngine, workdir: Path, tmp_path: Path
) -> None:
    replace = f"rm {engine.prompt_file(RUN)}; ln -s /etc/passwd {engine.prompt_file(RUN)}"
    setup = ["/bin/sh", "-c", replace]
    with pytest.raises(LaunchFailed, match="prompt could not be read"):
        engine.start(order(RUN, workdir, script("tells"), setup=setup, reads_prompt=True))


def test_the_agent_stands_alone(engine: KeepingEngine, ears: Ears, workdir: Path) -> None:
    told = tell(engine, ears, workdir)
    assert told["workdir"] == str(workdir)
    assert (told["stdin"], told["stdin_is_device"]) == ("", True)
    assert told["files"] == [0, 1, 2]
    assert told["leads_session"]
    assert told["core"] == [0, 0]
    assert told["oom"] == 800
    # the Python that reports this ignores SIGPIPE and SIGXFSZ itself
    assert told["ignored"] & ~(1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_the_prompt_is_in_its_file_for_the_agent_only(
    engine: KeepingEngine, ears: Ears, workdir: Path
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
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    told = tell(engine, ears, workdir, *HOSTILE_VALUES)
    assert told["argv"] == HOSTILE_VALUES
    assert list(workdir.iterdir()) == []


def test_bytes_of_the_log_are_kept_as_they_were(
    engine: KeepingEngine, ears: Ears, workdir: Path
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
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path
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
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    written = 3_200_000
    argv = script("floods", written)
    engine.start(order(RUN, workdir, argv, log_cap_bytes=100_000))
    engine.follow(RUN)
    log, position, cut, kept = engine.log(RUN), 0, 0, 0
    while position < written:
        piece = log.read(position, 50_000)
        dropped = CUT.findall(piece.content)
        markers = sum(len(f"\n[… {text.decode()} bytes cut …]\n".encode()) for text in dropped)
        cut += sum(int(text.replace(b",", b"")) for text in dropped)
        kept += len(piece.content) - markers
        position = piece.next_offset
        until(lambda: log.size > position or engine.see(RUN).tree_gone, "more output")  # noqa: B023
    assert position == written == cut + kept


FAILED_SETUPS = [
    (shell("exit 3"), "setup command exited 3"),
    (shell("kill -9 $$"), "setup command was killed by signal 9"),
    (["nothing-of-this-name"], "command was not found: nothing-of-this-name"),
    (shell("sleep 60"), "setup command took longer than 0 s"),
]


@pytest.mark.parametrize(("setup", "sentence"), FAILED_SETUPS)
def test_a_failed_setup_command_fails_the_launch(
    engine: KeepingEngine, workdir: Path, setup: list[str], sentence: str
) -> None:
    with pytest.raises(LaunchFailed, match=sentence):
        engine.start(order(RUN, workdir, shell("touch ran"), setup=setup, launch_seconds=0.4))
    assert until(lambda: engine.see(RUN).tree_gone, "the end")
    assert engine.owned() == set()
    assert list(workdir.iterdir()) == []


def test_the_setup_command_runs_before_the_agent_in_its_place(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    setup = shell('echo "$RUNYARD_RUN_ID" > made; echo setting up')
    sight = run_to_end(engine, ears, workdir, shell("cat made; exit 6"), setup=setup)
    assert engine.log(RUN).read().content == f"setting up\n{RUN}\n".encode()
    assert sight.exit is not None
    assert sight.exit.code == 6


def test_a_run_in_its_setup_is_alive_and_has_no_mark_until_its_agent_is_there(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    gate = Gate(workdir)
    the_order = order(RUN, workdir, script("stubborn"), setup=shell(gate.wait))
    launching = threading.Thread(target=engine.start, args=(the_order,))
    launching.start()
    gate.await_arrival()
    engine.follow(RUN)
    sight = engine.see(RUN)
    assert (sight.alive, sight.mark, sight.exit, sight.tree_gone) == (True, None, None, False)
    gate.open()
    ears.wait_for(RUN, "started")
    mark = engine.see(RUN).mark
    assert mark is not None
    launching.join()
    assert engine.end(RUN)
    # a record remains, because the agent had started
    assert engine.see(RUN).mark == mark


def test_a_setup_that_failed_leaves_no_mark(engine: KeepingEngine, workdir: Path) -> None:
    with pytest.raises(LaunchFailed):
        engine.start(order(RUN, workdir, shell("touch ran"), setup=shell("exit 1")))
    sight = engine.see(RUN)
    assert (sight.mark, sight.exit and sight.exit.reason) == (None, ExitReason.NOT_SPAWNED)
