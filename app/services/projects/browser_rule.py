"""Actions that need a browser session, because the token proves nothing if agents can read it.

An agent at the level `none` can read its user's data folder, including the token, and so request
anything in any project (docs/decisions/browser-for-deeds-at-none.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.domain.sandbox.levels import HOLDING
from app.records.projects.project_ledger import ProjectLedger
from app.records.tables import Run

# settings that run as code on this machine, those of the sandbox around it, and where work goes
GUARDED = frozenset(
    {
        *("agent", "allowed_agents", "agent_command", "setup_command", "checks", "owner_hooks"),
        *("sandbox", "network", "allowed_hosts", "allow", "toolchains", "limits"),
        "origin",
    }
)


class BrowserRule:
    """Decides when a browser session is required, and which callers may create a sign-in link.

    `begun_runs` returns runs whose agents may be alive, even if their projects' level has changed.
    `asking` returns the pid of the local process that requests a link, as the kernel reports it;
    `is_of_a_run` checks if a pid belongs to a run.
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
        """Return True while an unarchived project or a live agent is at the level `none`."""
        return self._projects.is_any_unsandboxed() or any(map(_is_loose, self._begun_runs()))

    def lets_link_be_made(self) -> bool:
        """Return True if the token may create a sign-in link.

        While the rule holds, only for a process that is visible and belongs to no run.
        """
        pid = self._asking()
        # checked first, so that a person can sign in while the database is silent
        if pid is not None and not self._is_of_a_run(pid):
            return True
        return not self.holds()


def _is_loose(run: Run) -> bool:
    """Return True for a started run without a sandbox, also if an older version started it."""
    return run.started_at is not None and run.provenance.get("sandbox") not in HOLDING
