"""Starting a supervisor, and what went wrong where it did not start its agent."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.adapters import supervisor
from app.adapters.engine.processes import INSTANCE, RUN_ID
from app.services.ports import LaunchFailed, LaunchOrder

PROMPT_FILE = "prompt.md"
_ERRORS_FILE = "supervisor.err"
_PROGRAM = Path(supervisor.__file__).with_name("__main__.py")
# what a test run or a NiceGUI server leaves in its environment stops other servers from serving
_NEVER_PASSED = ("PYTEST_", "NICEGUI_", "RUNYARD_")
LAUNCH_SECONDS = 20.0


def agent_environment(order: LaunchOrder, instance: str, prompt_file: Path) -> dict[str, str]:
    """The order's environment and the facts, nothing else."""
    deadline = datetime.now(UTC) + timedelta(seconds=order.budget_seconds)
    facts = {
        **order.facts,
        "RUN_ID": order.run_id,
        "INSTANCE": instance,
        "PROMPT_FILE": str(prompt_file),
        "DEADLINE": deadline.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    passed = {
        name: value for name, value in order.env.items() if not name.startswith(_NEVER_PASSED)
    }
    return passed | {f"RUNYARD_{name}": value for name, value in facts.items()}


def start_supervisor(
    python: str, folder: Path, order: LaunchOrder, env: Mapping[str, str], instance: str
) -> None:
    """Start the supervisor and wait until the agent was executed. Raises LaunchFailed."""
    text = json.dumps(
        {
            "run_id": order.run_id,
            "instance": instance,
            "argv": list(order.argv),
            "workdir": str(order.workdir),
            "env": dict(env),
            "budget_seconds": order.budget_seconds,
            "grace_seconds": order.grace_seconds,
            "log_cap_bytes": order.log_cap_bytes,
        }
    )
    errors = os.open(folder / _ERRORS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        answer = _ask(
            python, folder, text.encode(), errors, {RUN_ID: order.run_id, INSTANCE: instance}
        )
    finally:
        os.close(errors)
    if "failed" in answer:
        raise LaunchFailed(describe(answer["failed"], answer["errno"], order))


def _ask(python: str, folder: Path, order: bytes, errors: int, env: dict[str, str]) -> dict:
    # its own session, files and folder: nothing of this process ends or holds it
    with subprocess.Popen(
        [python, "-I", "-S", "-X", "utf8", str(_PROGRAM), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd="/",
        env=env,
        start_new_session=True,
    ) as process:
        try:
            answer, _ = process.communicate(order, timeout=LAUNCH_SECONDS)
        except subprocess.TimeoutExpired as slow:
            process.kill()
            raise LaunchFailed(f"The agent was not there after {LAUNCH_SECONDS:.0f} s.") from slow
    if not answer.endswith(b"\n"):
        raise LaunchFailed("The supervisor ended before the agent was there.")
    return json.loads(answer)


def describe(stage: str, number: int, order: LaunchOrder) -> str:
    """The sentence for a person, from where it failed and the error's number."""
    command, why = order.argv[0], os.strerror(number)
    if stage == "workdir":
        return f"The agent's working copy cannot be entered: {order.workdir} ({why})."
    if stage == "command" and number == errno.ENOENT:
        return f"The agent's command was not found: {command} (or what its first line names)."
    if stage == "command" and number in (errno.EACCES, errno.ENOEXEC, errno.EISDIR):
        return f"The agent's command cannot be executed: {command} ({why})."
    if stage == "command" and number == errno.E2BIG:
        return "The agent's command line and environment are too long for this machine."
    if stage == "fork":
        return f"This machine could not start another process ({why})."
    return f"The agent could not be started: {why}."
