"""Starts a supervisor, and explains why it could not start its agent."""

from __future__ import annotations

import errno
import json
import os
import select
import subprocess
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import IO, Any

from app.adapters import supervisor
from app.adapters.engine.processes import INSTANCE, RUN_ID, TableUnreadable
from app.adapters.engine.records import FIRST, read_started
from app.adapters.engine.run_groups import scope_of
from app.adapters.supervisor.daemon import GO
from app.adapters.supervisor.record_files import EXIT, GONE, STARTED
from app.domain.end_causes import limit_words
from app.domain.sandbox.network_rules import (
    PROXY_PORT,
    PROXY_VARIABLES,
    NetworkRules,
    proxy_environment,
)
from app.domain.secret_masks import Secret
from app.domain.words import Cause
from app.services.ports import LaunchFailed, LaunchOrder

PROMPT_FILE = "prompt.md"
ERRORS_FILE = "supervisor.err"
_RECORDS = (STARTED, EXIT, GONE)
_PROGRAM = Path(supervisor.__file__).with_name("__main__.py")
# test runs and NiceGUI servers set variables that keep a server started by an agent from serving
_NEVER_PASSED = ("PYTEST_", "NICEGUI_", "RUNYARD_")
# seconds that a start may take beyond the set-up command's time and its grace
_START_SECONDS = 10.0
# errors for a command that is missing or not executable
_UNUSABLE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC)
_PIECE_BYTES = 65536
_SILENT = "it ended without a word"
_SEE_DOCTOR = "`runyard doctor` says what this machine can do."
_ISOLATED = ("-I", "-S", "-X", "utf8")


def prompt_name(turn: int) -> str:
    """Return the name of the file with the prompt of a turn."""
    return PROMPT_FILE if turn == 1 else f"prompt.{turn}.md"


def agent_environment(order: LaunchOrder, instance: str, prompt_file: Path) -> dict[str, str]:
    """Return the order's environment plus the facts; the supervisor adds the deadline."""
    facts = {
        **order.facts,
        "RUN_ID": order.run_id,
        "INSTANCE": instance,
        "PROMPT_FILE": str(prompt_file),
    }
    passed = {
        name: value for name, value in order.env.items() if not name.startswith(_NEVER_PASSED)
    }
    if order.policy.has_own_network:
        # this machine's proxies cannot be reached from there
        passed = {name: value for name, value in passed.items() if name not in PROXY_VARIABLES}
    if order.policy.has_allowed_hosts:
        listed = NetworkRules.read((), order.listed_hosts).listed
        passed |= proxy_environment(listed)
    return passed | {f"RUNYARD_{name}": value for name, value in facts.items()}


def start_supervisor(
    python: str,
    folder: Path,
    order: LaunchOrder,
    env: Mapping[str, str],
    instance: str,
    *,
    proofs: Mapping[str, str],
    keep: Callable[[Mapping[str, Any]], None],
    wrap: Sequence[str] = (),
    secrets: Iterable[Secret] = (),
) -> dict[str, Any]:
    """Start the supervisor, wait until the agent is executed, and return its description.

    `keep` gets the supervisor's first description before anything of the run starts; if it raises,
    the supervisor ends. `wrap` is the sandbox command with its process 1, empty for none.
    `secrets` are masked in the log, `proofs` go into the last records. Raises LaunchFailed.
    """
    fields = {
        **_fields(order, instance, env),
        "wrap": list(wrap),
        "proofs": dict(proofs),
        "secrets": [secret.value for secret in secrets],
    }
    patience = order.launch_seconds + order.grace_seconds + _START_SECONDS
    heard = bytearray()
    argv = _command(python, instance, folder)
    with (
        open(folder / ERRORS_FILE, "wb") as errors,
        _executed(argv, errors, {RUN_ID: order.run_id, INSTANCE: instance}) as (orders, answers),
    ):
        _send(orders, json.dumps(fields).encode("ascii") + b"\n", patience)
        answer = _receive(answers, heard, patience)
        if "failed" not in answer:
            keep(answer)
            _send(orders, GO, patience)
            answer = _receive(answers, heard, patience)
    if "failed" in answer:
        raise LaunchFailed(_describe(answer, order), cause=_cause(answer, order))
    return answer


def is_as_before_start(folder: Path) -> bool:
    """Return True if a run's folder holds no more than it does before a supervisor starts."""
    try:
        return set(os.listdir(folder)) <= {PROMPT_FILE, ERRORS_FILE}
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False  # replaced by a file: not untouched


def make_folder(folder: Path, order: LaunchOrder) -> None:
    """Create the folder of a run's records, and write the prompt of a turn. Raises LaunchFailed."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        step = order.step
        endings = (step.suffix, FIRST) if step.is_first else (step.suffix,)
        if any(os.path.lexists(folder / f"{STARTED}{ending}") for ending in endings):
            raise LaunchFailed("This run was started before.")
        if step.check is not None:
            return
        if not step.is_first:
            _number_first_turn(folder)
        no_links = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        file = os.open(folder / prompt_name(step.turn), no_links, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", errors="replace") as prompt:
            prompt.write(order.prompt)
    except OSError as problem:
        raise LaunchFailed(
            f"The run's folder could not be written: {problem.strerror}."
        ) from problem


def _number_first_turn(folder: Path) -> None:
    """Give the first turn's records its number, since there is a second turn. Raises OSError."""
    for name in _RECORDS:
        if os.path.lexists(folder / name):
            os.rename(folder / name, folder / f"{name}{FIRST}")


def forget_step(folder: Path, order: LaunchOrder, instance: str) -> None:
    """Remove the records of a step unless it began. Raises RecordUnreadable."""
    ending = order.step.suffix
    started = read_started(folder, order.run_id, instance, ending)
    if started is not None and started.agent is not None:
        return
    for name in _RECORDS:
        with suppress(FileNotFoundError, NotADirectoryError):
            (folder / f"{name}{ending}").unlink()


def refuse_unusable(order: LaunchOrder, env: Mapping[str, str]) -> None:
    """Raise LaunchFailed for a command or an environment that no process can have."""
    texts = [*order.argv, *order.setup, *env, *env.values(), str(order.workdir)]
    if not order.argv or not order.argv[0]:
        raise LaunchFailed("The agent has no command.")
    try:
        is_unusable = any(b"\0" in os.fsencode(text) for text in texts)
    except UnicodeEncodeError:
        is_unusable = True
    if is_unusable or any(not name or "=" in name for name in env):
        raise LaunchFailed("The agent's command or environment holds a character it cannot hold.")


def forget_supervisor(folder: Path, carriers: Callable[[], Collection[object]]) -> None:
    """Remove what a supervisor wrote that was killed before it was told to begin.

    Nothing of the run was started then, but a `started` record without a last one would mean for
    ever that something may be left. `carriers` returns the processes with the run's marks.
    """
    with suppress(TableUnreadable, OSError):
        if not carriers():
            for name in {*os.listdir(folder)} - {PROMPT_FILE, ERRORS_FILE}:
                (folder / name).unlink()


def _fields(order: LaunchOrder, instance: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Return the launch order as the JSON fields the supervisor reads."""
    return {
        "run_id": order.run_id,
        "instance": instance,
        "ending": order.step.suffix,
        "label": order.step.label,
        "argv": list(order.argv),
        "input": prompt_name(order.step.turn) if order.reads_prompt else None,
        "setup": list(order.setup),
        "network": _network(order),
        "limits": asdict(order.policy.limits),
        "scope": scope_of(order.policy.limits, env.get("XDG_RUNTIME_DIR")),
        "workdir": str(order.workdir),
        "env": dict(env),
        "budget_seconds": order.budget_seconds,
        "grace_seconds": order.grace_seconds,
        "launch_seconds": order.launch_seconds,
        "log_cap_bytes": order.log_cap_bytes,
    }


def _network(order: LaunchOrder) -> dict[str, Any] | None:
    """Return the port and hosts for the sandbox's proxy; None for no proxy."""
    if not order.policy.has_allowed_hosts:
        return None
    hosts = {"known": list(order.known_hosts), "listed": list(order.listed_hosts)}
    return {"port": PROXY_PORT, **hosts}


def _command(python: str, instance: str, folder: Path) -> list[str]:
    # its environment cannot be read even by its own user, so the marks are in argv too
    return [python, *_ISOLATED, str(_PROGRAM), instance, str(folder)]


@contextmanager
def _executed(
    argv: list[str], errors: IO[bytes], env: dict[str, str]
) -> Generator[tuple[int, int]]:
    """Start a supervisor and yield its pipes; without GO it ends on exit, an error kills it."""
    # its own session, files and folder: it depends on nothing of this process
    with subprocess.Popen(
        argv,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd="/",
        env=env,
        start_new_session=True,
    ) as process:
        try:
            orders, answers = (one.fileno() for one in (process.stdin, process.stdout) if one)
            os.set_blocking(orders, False)
            yield orders, answers
        except BaseException:
            process.kill()  # it may not even have read its order
            raise


def _send(orders: int, text: bytes, patience: float) -> None:
    """Write to a supervisor, ignoring that it ended. Raises LaunchFailed if it does not read."""
    until = monotonic() + patience
    with suppress(BrokenPipeError):
        while text:
            _await(orders, select.POLLOUT, until, patience)
            text = text[os.write(orders, text) :]


def _receive(answers: int, heard: bytearray, patience: float) -> dict[str, Any]:
    """Read one line of a supervisor's answers; `heard` buffers the bytes after it.

    Raises LaunchFailed.
    """
    until = monotonic() + patience
    while b"\n" not in heard:
        _await(answers, select.POLLIN, until, patience)
        if not (piece := os.read(answers, _PIECE_BYTES)):
            raise LaunchFailed("The supervisor exited before the agent started.")
        heard += piece
    # a supervisor stopped before GO answers unasked, so more than one line may be here
    line, _, heard[:] = heard.partition(b"\n")
    return json.loads(line)


def _await(way: int, what: int, until: float, patience: float) -> None:
    waiting = select.poll()
    waiting.register(way, what)
    if not waiting.poll(max(0.0, until - monotonic()) * 1000):
        raise LaunchFailed(f"The agent was not there after {patience:.0f} s.")


def _cause(answer: dict[str, Any], order: LaunchOrder) -> Cause | None:
    number = answer.get("errno")
    if answer["failed"] == "sandbox":
        return Cause.SANDBOX_UNAVAILABLE
    if answer.get("reason") == "disk_full" or number in (errno.ENOSPC, errno.EDQUOT):
        return Cause.DISK_FULL
    is_agent = answer["failed"] == "command" and answer.get("command") == order.argv[0]
    return Cause.AGENT_MISSING if is_agent and number in _UNUSABLE else None


def _describe(answer: dict[str, Any], order: LaunchOrder) -> str:
    """Return the failure as a sentence for users."""
    stage, number = answer["failed"], answer.get("errno") or 0
    why, command = os.strerror(number), answer.get("command")
    if stage == "setup":
        return _describe_setup(answer, order)
    if stage == "sandbox":
        words = str(answer.get("words") or (why if number else _SILENT)).splitlines()[-1]
        return f"The agent's sandbox could not be made: {words.removesuffix('.')}. {_SEE_DOCTOR}"
    if stage == "command" and number == errno.ENOENT:
        return f"The command was not found: {command} (or the interpreter in its first line)."
    if stage == "command" and number == errno.E2BIG:
        return "The agent's command line and environment are too long for this machine."
    sentences = {
        "workdir": f"The agent's working copy cannot be entered: {order.workdir} ({why}).",
        "command": f"The command cannot be executed: {command} ({why}).",
        "prompt": f"The agent's prompt could not be read ({why}).",
        "limits": f"The run's limits could not be set ({why}).",
        "stopped": "It was stopped before its agent was started.",
        "fork": f"This machine could not start another process ({why}).",
    }
    return sentences.get(stage, f"The agent could not be started ({why}).")


def _describe_setup(answer: dict[str, Any], order: LaunchOrder) -> str:
    if answer["reason"] == "deadline":
        return f"The project's setup command took longer than {order.launch_seconds:.0f} s."
    if answer["reason"] == "stopped":
        return "The project's setup command was stopped."
    if answer.get("limit") and (words := limit_words(answer["reason"], answer["limit"])):
        return f"The project's setup command was ended: {words}."
    if answer["reason"] == "out_of_memory":
        return "The machine ran out of memory and ended the project's setup command."
    if answer["reason"] == "disk_full":
        return "The disk is full, and the project's setup command failed."
    code = answer["code"]
    how = f"exited {code}" if code >= 0 else f"was killed by signal {-code}"
    return f"The project's setup command {how}; its output is in the run's log."
