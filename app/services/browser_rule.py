"""What a person has to do in a browser, as the token alone proves nobody while agents can read it.

An agent at the level `none` reads the data folder as its user does, the token in it too, and can
ask for anything in any project (docs/decisions/browser-for-deeds-at-none.md).
"""

from __future__ import annotations

from collections.abc import Callable

from app.records.project_ledger import ProjectLedger

# what runs as code on this machine, and what surrounds it
GUARDED = frozenset(
    {
        *("agent", "agent_command", "setup_command", "checks", "owner_hooks"),
        *("sandbox", "network", "allowed_hosts", "allow", "toolchains", "limits"),
    }
)


class BrowserRule:
    """Whether a browser's session is asked for, and who may make a link that begins one.

    `asking` tells the process on this machine that asks for a link, as the kernel names it, and
    `is_of_a_run` whether a process belongs to a run.
    """

    def __init__(
        self,
        projects: ProjectLedger,
        asking: Callable[[], int | None],
        is_of_a_run: Callable[[int], bool],
    ) -> None:
        self._projects = projects
        self._asking = asking
        self._is_of_a_run = is_of_a_run

    def holds(self) -> bool:
        """True while a project that is not archived is at the level `none`."""
        return self._projects.is_any_unsandboxed()

    def lets_link_be_made(self) -> bool:
        """True where the token may make a sign-in link.

        While the rule holds, only for a process that can be seen and is no run's.
        """
        if not self.holds():
            return True
        pid = self._asking()
        return pid is not None and not self._is_of_a_run(pid)
