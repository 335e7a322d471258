"""The sandbox policy of a project, read from its row."""

from __future__ import annotations

from app.domain.sandboxes import HostService, Limits, NetworkRule, SandboxPolicy, read_level
from app.records.tables import Project


def policy_of(project: Project) -> SandboxPolicy:
    """The policy in a project's row. Raises ValueError for a row that nobody could have chosen."""
    return SandboxPolicy(
        level=read_level(project.sandbox),
        network=NetworkRule(project.network),
        allowed_hosts=tuple(project.allowed_hosts),
        allow=tuple(HostService(name) for name in project.allow),
        toolchains=tuple(project.toolchains),
        limits=Limits(**project.limits),
    )
