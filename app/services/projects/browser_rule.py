"""The actions that need a browser, as the token proves nothing while agents can read it.

An agent at the level `none` reads the data folder as its user does, the token in it too, and can
ask for anything in any project (docs/decisions/browser-for-deeds-at-none.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.domain.sandbox.levels import HOLDING
from app.records.projects.project_ledger import ProjectLedger
from app.records.tables import Run

# what runs as code on this machine, and what surrounds it
GUARDED = frozenset(
    {
        *("agent", "agent_command", "setup_command", "checks", "owner_hooks"),
        *("sandbox", "network", "allowed_hosts", "allow", "toolchains", "limits"),
    }
)


class BrowserRule:
    """Whether a browser's session is asked for, and who may make a link that begins one.

    `begun_runs` are those whose agents may be alive, whatever their projects say by now. `asking`
    tells the process on this machine that asks for a link, as the kernel names it, and
    `is_of_a_run` whether a process belongs to a run.
    """

    def __init__(
        self,
        projects: ProjectLedger,
        begun_runs: Callable[[], Iterable[Run]],
        asking: Callable[[], int | None],
        is_of_a_run: Callable[[int], bool],
    ) -> None:
        self._projects = projects
        self._begun_runs = begun_runs
        self._asking = asking
        self._is_of_a_run = is_of_a_run

    def holds(self) -> bool:
        """True while a project that is not archived is at the level `none`, or an agent runs so."""
        return self._projects.is_any_unsandboxed() or any(map(_is_loose, self._begun_runs()))

    def lets_link_be_made(self) -> bool:
        """True where the token may make a sign-in link.

        While the rule holds, only for a process that can be seen and is no run's.
        """
        pid = self._asking()
        # first: a person can sign in while a database does not say how things stand
        if pid is not None and not self._is_of_a_run(pid):
            return True
        return not self.holds()


def _is_loose(run: Run) -> bool:
    """True where nothing holds an agent in, nor did when it was started by an older version."""
    return run.started_at is not None and run.provenance.get("sandbox") not in HOLDING
