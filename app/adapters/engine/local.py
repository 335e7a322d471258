"""Runs agents as processes of this machine, each under a supervisor that outlives Runyard."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from app.adapters.engine import records
from app.adapters.engine.kept_records import (
    CheckedRecords,
    KnownProcesses,
    has_begun,
    is_told_begun,
    new_proofs,
    read_checked_records,
    read_known,
)
from app.adapters.engine.launch import (
    agent_environment,
    forget_step,
    forget_supervisor,
    is_as_before_start,
    make_folder,
    prompt_name,
    refuse_unusable,
    start_supervisor,
)
from app.adapters.engine.processes import ProcessTable, TableUnreadable, ask_to_end, open_process
from app.adapters.engine.refusals import read_refusals
from app.adapters.engine.run_groups import is_tree_empty
from app.adapters.engine.run_log import RunLog
from app.adapters.engine.watcher import Watcher
from app.adapters.sandbox.programs import command_of
from app.adapters.supervisor.kernel import boot_clock, read_boot_id
from app.domain.sandbox.levels import Means, NetworkRule, SandboxLevel, SandboxPolicy
from app.domain.secret_masks import Secret, mask_of
from app.domain.words import Cause
from app.services.ports import (
    Enclosure,
    Kept,
    Launched,
    LaunchFailed,
    LaunchOrder,
    NotYet,
    Observation,
    ProcessMark,
    Refusal,
    Sandbox,
    SandboxUnavailable,
    ended,
    is_ended,
)

_RUN_ID = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)
# seconds a supervisor may need beyond its grace, for the kill and the last records
_KILL_MARGIN_SECONDS = 5.0
_DEFAULT_GRACE_SECONDS = 10.0


class LocalEngine:
    """The engine of this machine, with one folder per run in `root`.

    `instance` is the mark in the environment of every process; processes without it are never
    touched. `secrets` are masked in every log, when written and when read.
    """

    def __init__(
        self,
        root: Path,
        *,
        instance: str,
        sandbox: Sandbox | None = None,
        python: str = sys.executable,
        boot_id: Callable[[], str] = read_boot_id,
        table: ProcessTable | None = None,
        secrets: Callable[[], tuple[Secret, ...]] = tuple,
    ) -> None:
        self._root = root.absolute()
        # created only here: if it is missing later, its disk may be unmounted
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._instance = instance
        self._sandbox = sandbox
        self._python = python
        self._boot_id = boot_id
        self._secrets = secrets
        self._table = table or ProcessTable(instance)
        self._watcher = Watcher(self._folder)

    def launch(self, order: LaunchOrder, keep: Callable[[Kept], None]) -> Launched:
        """Start the agent and wait until it runs. Raises LaunchFailed, NotYet for a later step."""
        folder, step = self._folder(order.run_id), order.step
        if not step.is_first:
            self._forget_attempt(folder, order)
        make_folder(folder, order)
        prompt = self.prompt_file(order.run_id, step.turn)
        env = agent_environment(order, self._instance, prompt)
        proofs, seal = new_proofs()
        ours = {"seal": seal, "landlocked": self._means(order.policy) is Means.LANDLOCK}
        ours |= {"turn": step.turn, "check": step.check}
        kept: Kept | None = None

        def keep_first(told: Mapping[str, Any]) -> None:
            nonlocal kept
            kept = _known({**told, **ours}, order, before=order.launch_seconds).as_kept()
            keep(kept)

        try:
            refuse_unusable(order, env)
            told = start_supervisor(
                self._python,
                folder,
                order,
                env,
                self._instance,
                proofs=proofs,
                keep=keep_first,
                wrap=self._wrap(order, prompt),
                secrets=self._secrets(),
            )
        except BaseException:
            is_gone = self.kill(order.run_id, kept)
            if kept is None and not is_gone and step.is_first:
                forget_supervisor(folder, partial(self._table.carriers, order.run_id))
            elif kept is not None and is_gone:
                # a killed supervisor writes no last record, so the row keeps the proof
                with suppress(Exception):
                    keep(ended(kept))
            raise
        known = _known({**told, **ours, "begun": True}, order)
        sandbox_facts = self._sandbox_facts(order, str(told.get("limits", "")))
        return Launched(known.supervisor, known.as_kept(), sandbox_facts)

    def _forget_attempt(self, folder: Path, order: LaunchOrder) -> None:
        """Remove what is left of a later step that was never told to begin. Raises NotYet."""
        try:
            self._table.end(order.run_id, None)
            if self._table.carriers(order.run_id):
                raise NotYet("processes of the step before it are still there")
            forget_step(folder, order, self._instance)
        except (TableUnreadable, records.RecordUnreadable) as unreadable:
            raise NotYet("the process table or its records could not be read") from unreadable

    def _sandbox_facts(self, order: LaunchOrder, limits: str) -> dict[str, str]:
        """Return the sandbox, network and limits for the run's provenance."""
        policy = order.policy
        is_sandboxed = policy.level is SandboxLevel.SANDBOXED
        return {
            "sandbox": policy.level,
            "sandbox_means": self._means(policy) or "",
            # the other levels do not restrict the network
            "network": policy.network if is_sandboxed else NetworkRule.ALL,
            # level `none` blocks nothing, so there is nothing to allow
            "allow": "" if policy.level is SandboxLevel.NONE else ", ".join(policy.allow),
            "limits": limits,
        }

    def _means(self, policy: SandboxPolicy) -> Means | None:
        if self._sandbox is None or policy.level is SandboxLevel.NONE:
            return None
        return self._sandbox.probe().means

    def prompt_file(self, run_id: str, turn: int = 1) -> Path:
        """Return the path of the file with the prompt of a turn."""
        return self._folder(run_id) / prompt_name(turn)

    def inspect(self, run_id: str, kept: Kept | None) -> Observation:
        """Inspect the run's records and processes; what cannot be read is unknown, not gone."""
        try:
            if is_ended(kept):
                return self._inspect_past(run_id, read_known(kept))
            return self._inspect(run_id, read_known(kept))
        except (TableUnreadable, records.RecordUnreadable, OSError):
            return Observation(None, None, None, tree_gone=False)

    def _inspect(self, run_id: str, known: KnownProcesses | None) -> Observation:
        known = known or self._known_by_record(run_id)
        if known is None:
            return self._find_unrecorded(run_id)
        if known.supervisor.boot_id != self._boot_id():
            checked = self._checked_records(run_id, known)
            return Observation(
                *(False, checked.exit, known.supervisor if is_told_begun(known, checked) else None),
                tree_gone=True,
                host_restarted=True,
                log_from=checked.log_from,
            )
        try:
            # before the records: those of a dead supervisor are complete
            alive = self._table.is_alive(known.supervisor)
            checked = self._checked_records(run_id, known)
            return Observation(
                alive,
                None if alive and self._is_untrue(checked) else checked.exit,
                known.supervisor if self._is_begun(known, checked, alive) else None,
                tree_gone=self._is_tree_gone(run_id, known, checked, alive),
                overrun=boot_clock() - known.until if known.until is not None else None,
                has_untrue_records=bool(checked.untrue),
                log_from=checked.log_from,
            )
        except TableUnreadable:
            checked = self._checked_records(run_id, known)
            mark = known.supervisor if is_told_begun(known, checked) else None
            return Observation(None, checked.exit, mark, tree_gone=False)

    def _inspect_past(self, run_id: str, known: KnownProcesses | None) -> Observation:
        """Return the state of a run whose end was proved earlier."""
        known = known or self._known_by_record(run_id)
        if known is None:
            return Observation(False, records.read_exit(self._folder(run_id)), None, tree_gone=True)
        checked = self._checked_records(run_id, known)
        return Observation(
            *(False, checked.exit, known.supervisor if has_begun(known, checked) else None),
            tree_gone=True,
            has_untrue_records=bool(checked.untrue),
            log_from=checked.log_from,
        )

    def _find_unrecorded(self, run_id: str) -> Observation:
        """Inspect a run without known processes: it never started, or its records are lost."""
        exit_record = records.read_exit(self._folder(run_id))
        try:
            found = self._table.find_supervisor(run_id, self._boot_id())
            if found is not None:
                mark = found if self._table.has_descendants(found) else None
                return Observation(True, exit_record, mark, tree_gone=False)
        except TableUnreadable:
            return Observation(None, exit_record, None, tree_gone=False)
        is_untouched = self._root.is_dir() and is_as_before_start(self._folder(run_id))
        return Observation(
            False, exit_record, None, tree_gone=is_untouched, is_untouched=is_untouched
        )

    def _is_begun(self, known: KnownProcesses, checked: CheckedRecords, alive: bool) -> bool:
        if alive and not checked.is_started and not known.has_begun:
            return self._table.has_descendants(known.supervisor)
        return has_begun(known, checked)

    def kill(self, run_id: str, kept: Kept | None) -> bool:
        """Kill the whole tree (TERM, grace, KILL); False if its end could not be proved."""
        try:
            return is_ended(kept) or self._kill(run_id, read_known(kept))
        except (TableUnreadable, records.RecordUnreadable, OSError):
            return False

    def _kill(self, run_id: str, known: KnownProcesses | None) -> bool:
        known = known or self._known_by_record(run_id, patiently=True)
        boot_id = self._boot_id()
        if known is not None and known.supervisor.boot_id != boot_id:
            return True
        grace = known.grace_seconds if known else _DEFAULT_GRACE_SECONDS
        mark = known.supervisor if known else self._table.find_supervisor(run_id, boot_id)
        if mark is not None and not self._is_theirs(mark, run_id):
            mark = None
        if mark is not None:
            ask_to_end(mark, patience=grace + _KILL_MARGIN_SECONDS)
        if self._table.end(run_id, mark):
            return True
        return self._inspect(run_id, known).tree_gone

    def log(self, run_id: str) -> RunLog:
        """Return the run's log, which is empty if there is none."""
        return RunLog(self._folder(run_id), lambda: mask_of(self._secrets()))

    def refusals(self, run_id: str) -> list[Refusal]:
        """List the hosts that the run's proxy refused, each once, in order."""
        return read_refusals(self._folder(run_id))

    def watch(self, run_id: str, kept: Kept | None) -> None:
        """Start reporting this run's changes to the listener set by `listen`."""
        known = read_known(kept)
        ending = known.step.suffix if known else ""
        self._watcher.watch(run_id, partial(self._open_supervisor, run_id, known), ending)

    def unwatch(self, run_id: str) -> None:
        """Stop reporting this run's changes."""
        self._watcher.unwatch(run_id)

    def listen(self, on_change: Callable[[str, str], None]) -> None:
        """Set the callback for `(run_id, what)`.

        `what` is `started`, `exit`, `gone`, `log` or `refused`.
        """
        self._watcher.listen(on_change)

    def owned(self) -> set[str]:
        """Return the run ids of all processes with this instance's mark; empty if unreadable."""
        try:
            return {run_id for run_id in self._table.run_ids() if _RUN_ID.fullmatch(run_id)}
        except TableUnreadable:
            return set()

    def close(self) -> None:
        """Stop watching; the runs continue."""
        self._watcher.close()

    def _folder(self, run_id: str) -> Path:
        if not _RUN_ID.fullmatch(run_id):
            raise ValueError("not a run id")
        return self._root / run_id

    def _started(self, run_id: str) -> records.Started | None:
        return records.read_started(self._folder(run_id), run_id, self._instance)

    def _started_if_readable(self, run_id: str) -> tuple[records.Started | None, bool]:
        """Return the `started` record, None if missing, and whether it could be read."""
        try:
            return self._started(run_id), True
        except records.RecordUnreadable:
            return None, False

    def _wrap(self, order: LaunchOrder, prompt: Path) -> list[str]:
        """Return the command of the run's sandbox, empty for none. Raises LaunchFailed."""
        if order.policy.level is SandboxLevel.NONE:
            return []
        if self._sandbox is None:
            because = "This server has no sandbox to start agents in."
            raise LaunchFailed(because, cause=Cause.SANDBOX_UNAVAILABLE)
        private_home = order.private_home
        enclosure = Enclosure(
            order.run_id,
            order.workdir,
            [*order.readable, prompt],
            home=private_home.home if private_home else None,
            tools=private_home.readable if private_home else (),
        )
        try:
            around = self._sandbox.wrap(enclosure, order.policy)
        except SandboxUnavailable as reason:
            raise LaunchFailed(str(reason), cause=Cause.SANDBOX_UNAVAILABLE) from reason
        return [*around, *command_of("init")]

    def _checked_records(self, run_id: str, known: KnownProcesses) -> CheckedRecords:
        return read_checked_records(self._folder(run_id), run_id, self._instance, known)

    def _known_by_record(self, run_id: str, *, patiently: bool = False) -> KnownProcesses | None:
        """Read the `started` record of a run whose row has no facts, as from an older Runyard.

        Its process must carry the run's marks or be dead. Unless `patiently`, raises
        RecordUnreadable.
        """
        started, is_readable = self._started_if_readable(run_id)
        if not is_readable and not patiently:
            raise records.RecordUnreadable
        if started is None:
            return None
        mark = started.supervisor
        is_here = mark.boot_id == self._boot_id() and self._table.is_alive(mark)
        if is_here and not self._is_theirs(mark, run_id):
            return None
        return KnownProcesses(mark, started.grace_seconds)

    def _is_theirs(self, mark: ProcessMark, run_id: str) -> bool:
        return self._table.is_supervisor(mark, run_id, str(self._folder(run_id)))

    def _is_untrue(self, checked: CheckedRecords) -> bool:
        """Return True if the agent is alive: an exit record is then forged."""
        return checked.agent is not None and self._table.is_alive(checked.agent)

    def _is_tree_gone(
        self, run_id: str, known: KnownProcesses, checked: CheckedRecords, alive: bool
    ) -> bool:
        """Return True if nothing of the run is left; a dead supervisor alone proves nothing."""
        if alive:
            # the last record is written and the supervisor is about to exit
            return checked.has_gone and not self._table.has_descendants(known.supervisor)
        if known.init is not None and not self._table.is_alive(known.init):
            return True  # the kernel kills everything in a pid namespace along with its init
        if known.is_landlocked and is_tree_empty(self._instance, run_id):
            return True
        return checked.has_gone and not self._table.carriers(run_id)

    def _open_supervisor(self, run_id: str, known: KnownProcesses | None) -> int | None:
        try:
            known = known or self._known_by_record(run_id, patiently=True)
            boot_id = self._boot_id()
            if known is not None and known.supervisor.boot_id != boot_id:
                return None
            mark = known.supervisor if known else self._table.find_supervisor(run_id, boot_id)
        except (TableUnreadable, OSError):
            return None
        return open_process(mark) if mark is not None else None


def _known(told: Mapping[str, Any], order: LaunchOrder, *, before: float = 0.0) -> KnownProcesses:
    """Parse a supervisor's description, sent up to `before` seconds before the agent starts.

    Raises LaunchFailed.
    """
    until = boot_clock() + before + order.budget_seconds + order.grace_seconds
    known = read_known({**told, "until": until})
    if known is None:
        raise LaunchFailed("The supervisor did not identify itself.")
    return known
