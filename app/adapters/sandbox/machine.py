"""The sandbox of this machine, by the first means that works when tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.adapters.sandbox import bubblewrap, landlock, namespaces
from app.adapters.sandbox.hidden import Hidden, OwnPlaces, places_of
from app.adapters.sandbox.home_files import make_point
from app.adapters.sandbox.layout import Does, Step, contained, home_inside, sandboxed
from app.adapters.sandbox.programs import needed
from app.domain.sandbox.levels import NONE_FORBIDDEN, Means, SandboxLevel, SandboxPolicy
from app.services.ports import Capability, Enclosure, SandboxUnavailable

INSTALL = "Install bubblewrap (Debian, Ubuntu: `apt install bubblewrap`)."
APPARMOR = (
    "AppArmor keeps programs from making user namespaces here: allow it for bwrap by a profile, "
    "or run `sysctl kernel.apparmor_restrict_unprivileged_userns=0`."
)
SWITCHED_OFF = (
    "User namespaces are switched off here: set user.max_user_namespaces (and, where it is there, "
    "kernel.unprivileged_userns_clone=1)."
)
CONTAINER = (
    "If this is a container, start it with --security-opt seccomp=unconfined and "
    "--security-opt systempaths=unconfined, or with --privileged."
)
# shown with the weakest means, which is used only if no other works
LANDLOCK = (
    "Contained by landlock, agents still see the names of Runyard's files and reach sockets such "
    "as Docker's, and they cannot create anything in the folders above Runyard's."
)
_APPARMOR_SETTING = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_SETTINGS = (
    Path("/proc/sys/user/max_user_namespaces"),
    Path("/proc/sys/kernel/unprivileged_userns_clone"),
)
_PROBE_SECONDS = 10.0
_FOLDERS = (Does.EMPTY_FOLDER, Does.FOLDER, Does.READ_ONLY)
# the trial hides a folder, as every start does: an old bubblewrap lacks some options
_TRIED = Hidden((Path("/tmp"),), ())  # noqa: S108
_EVERY_LEVEL = (SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED)
Wrap = Callable[[Sequence[Step], SandboxPolicy], list[str]]


def explain(
    means: Means | None, levels: Sequence[SandboxLevel], failures: Mapping[Means, str]
) -> tuple[str, str]:
    """Return why a level is not available, and the remedy; both empty if every level is."""
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
    return lines[-1].removesuffix(".") if lines else "it failed without an error message"


@dataclass(frozen=True)
class _Found:
    """The means that works, and the function that builds its command line."""

    capability: Capability
    wrap: Wrap


class MachineSandbox:
    """The sandbox of this machine, by the first of `means` that works."""

    def __init__(
        self,
        own: OwnPlaces,
        environment: Mapping[str, str],
        means: Collection[Means] = tuple(Means),
        *,
        allows_none: bool = True,
    ) -> None:
        self._own = own
        self._identities = own.identities()
        self._means = means
        self._allows_none = allows_none
        self._environment = environment
        self._lock = threading.Lock()
        self._found: _Found | None = None

    def probe(self, *, again: bool = False) -> Capability:
        """Return what this machine can do, found by trying it; cached unless `again`."""
        return replace(self._inspect(again=again).capability, allows_none=self._allows_none)

    def wrap(self, enclosure: Enclosure, policy: SandboxPolicy) -> list[str]:
        """Return the arguments to put before a command to sandbox it. Raises SandboxUnavailable."""
        if policy.level is SandboxLevel.NONE:
            if not self._allows_none:
                raise SandboxUnavailable(NONE_FORBIDDEN)
            return []
        found = self._inspect()
        if not found.capability.can(policy.level):
            # a means may have been installed since
            found = self._inspect(again=True)
        if not found.capability.can(policy.level):
            raise SandboxUnavailable(f"{found.capability.because} {found.capability.remedy}")
        return found.wrap(self._steps(enclosure, policy), policy)

    def _steps(self, enclosure: Enclosure, policy: SandboxPolicy) -> list[Step]:
        self._must_be_in_place()
        hidden = self._own.hidden(policy.allow, self._environment)
        if policy.level is SandboxLevel.CONTAINED:
            return contained(enclosure, hidden, needed())
        home = home_inside(self._environment)
        named = [Path(name) for name in policy.toolchains]
        steps = sandboxed(
            enclosure,
            hidden,
            needed(),
            home=home,
            toolchains=enclosure.tools if enclosure.home else named,
            allowed=places_of(policy.allow, self._environment),
        )
        if enclosure.home:
            _make_points(enclosure.home, home, steps)
        return steps

    def _must_be_in_place(self) -> None:
        """Check that no agent has moved Runyard's own folders, which would expose their files.

        Raises SandboxUnavailable.
        """
        now = self._own.identities()
        for place, was in self._identities.items():
            if now.get(place) != was:
                raise SandboxUnavailable(
                    f"{place} was moved or replaced since Runyard was started, so that agents "
                    "could see what it holds. Put it back, or restart Runyard."
                )

    def _inspect(self, *, again: bool = False) -> _Found:
        with self._lock:
            if self._found is None or again:
                self._found = self._try_all()
            return self._found

    def _try_all(self) -> _Found:
        failures: dict[Means, str] = {}
        if Means.LANDLOCK in self._means and (problem := landlock.shortcoming()):
            failures[Means.LANDLOCK] = problem
        for means, levels, wrap in self._candidates():
            failure = _try(wrap)
            if failure is None:
                because, remedy = explain(means, levels, failures)
                return _Found(Capability(means, levels, because, remedy), wrap)
            failures[means] = failure
        because, remedy = explain(None, (), failures)
        return _Found(Capability(None, (), because, remedy), lambda *_: [])

    def _candidates(self) -> list[tuple[Means, Sequence[SandboxLevel], Wrap]]:
        found: list[tuple[Means, Sequence[SandboxLevel], Wrap]] = []
        by_name = {Means.BUBBLEWRAP: bubblewrap.EXECUTABLE, Means.NAMESPACES: namespaces.EXECUTABLE}
        paths = {one: shutil.which(name) for one, name in by_name.items() if one in self._means}
        if path := paths.get(Means.BUBBLEWRAP):
            found.append((Means.BUBBLEWRAP, _EVERY_LEVEL, _by_bubblewrap(path)))
        if path := paths.get(Means.NAMESPACES):
            for with_users in (False, True):
                wrap = _by_namespaces(path, with_users=with_users)
                found.append((Means.NAMESPACES, (SandboxLevel.CONTAINED,), wrap))
        if Means.LANDLOCK in self._means and not landlock.shortcoming():
            found.append((Means.LANDLOCK, (SandboxLevel.CONTAINED,), _by_landlock))
        return found


def _make_points(private: Path, home: Path, steps: Sequence[Step]) -> None:
    """Create real mount points in the private home: a link there would redirect the mount.

    Raises SandboxUnavailable.
    """
    for step in steps:
        if home not in step.place.parents:
            continue
        is_folder = step.does in _FOLDERS or (bool(step.source) and os.path.isdir(step.source))
        try:
            make_point(private, step.place.relative_to(home), is_folder=is_folder)
        except OSError as problem:
            because = f"Could not prepare the agent's private home: {problem.strerror}."
            raise SandboxUnavailable(because) from problem


def _by_landlock(steps: Sequence[Step], policy: SandboxPolicy) -> list[str]:
    return landlock.arguments(steps)


def _by_bubblewrap(path: str) -> Wrap:
    def wrap(steps: Sequence[Step], policy: SandboxPolicy) -> list[str]:
        is_contained = policy.level is SandboxLevel.CONTAINED
        base = bubblewrap.MACHINE if is_contained else bubblewrap.NOTHING
        network = bubblewrap.OWN_NETWORK if policy.has_own_network else ()
        return bubblewrap.arguments(path, (*base, *network), steps)

    return wrap


def _by_namespaces(path: str, *, with_users: bool) -> Wrap:
    def wrap(steps: Sequence[Step], policy: SandboxPolicy) -> list[str]:
        return namespaces.arguments(path, steps, with_users=with_users)

    return wrap


def _try(wrap: Wrap) -> str | None:
    """Run `true` inside; return its error output if it failed, else None."""
    nothing = contained(Enclosure("probe", Path("/")), _TRIED, ())
    policy = SandboxPolicy(level=SandboxLevel.CONTAINED)
    command = [*wrap(nothing, policy), shutil.which("true") or "/bin/true"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip()
