"""The remedies for a machine that cannot sandbox agents."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.domain.sandboxes import Means, SandboxLevel

INSTALL = "Install bubblewrap (Debian, Ubuntu: apt install bubblewrap)."
APPARMOR = (
    "AppArmor keeps programs from making user namespaces here: allow it for bwrap by a profile, "
    "or set kernel.apparmor_restrict_unprivileged_userns=0."
)
SWITCHED_OFF = (
    "User namespaces are switched off here: set user.max_user_namespaces (and, where it is there, "
    "kernel.unprivileged_userns_clone=1)."
)
CONTAINER = (
    "If this is a container, start it with --security-opt seccomp=unconfined and "
    "--security-opt systempaths=unconfined, or with --privileged."
)
# what is said of the weakest means, which is taken where no other works
LANDLOCK = (
    "Contained by landlock, agents still see the names of Runyard's files and reach sockets such "
    "as Docker's, and they cannot create anything in the folders above Runyard's."
)
_APPARMOR_SETTING = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_SETTINGS = (
    Path("/proc/sys/user/max_user_namespaces"),
    Path("/proc/sys/kernel/unprivileged_userns_clone"),
)


def explain(
    means: Means | None, levels: Sequence[SandboxLevel], failures: Mapping[Means, str]
) -> tuple[str, str]:
    """Why a level is not available, and what helps; empty where every level can."""
    if means is Means.BUBBLEWRAP:
        return "", ""
    words = failures.get(Means.BUBBLEWRAP)
    if means is not None:
        found = _last_line(words) if words else "bubblewrap is not installed"
        remedy = _remedy(words) if words else INSTALL
        because = f"The level sandboxed is not available on this machine: {found}."
        return f"{because} {LANDLOCK}" if means is Means.LANDLOCK else because, remedy
    words = words or failures.get(Means.NAMESPACES)
    found = _last_line(words) if words else "neither bubblewrap nor unshare is installed"
    because = f"Agents cannot be contained on this machine: {found}."
    if Means.LANDLOCK in failures:
        because += f" Nor by landlock: {_last_line(failures[Means.LANDLOCK])}."
    return because, _remedy(words)


def _remedy(words: str | None) -> str:
    if words is None:
        return INSTALL
    if _says(_APPARMOR_SETTING, "1") and os.geteuid() != 0:
        return APPARMOR
    if any(_says(setting, "0") for setting in _SETTINGS) and os.geteuid() != 0:
        return SWITCHED_OFF
    return CONTAINER


def _says(setting: Path, value: str) -> bool:
    try:
        return setting.read_text().strip() == value
    except OSError:
        return False


def _last_line(words: str) -> str:
    lines = words.splitlines()
    return lines[-1].removesuffix(".") if lines else "it did not work, and did not say why"
