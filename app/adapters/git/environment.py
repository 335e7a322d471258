"""What every git call is told and shown: our settings and a small environment, nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.domain.names import OriginKind, origin_kind

_NOTHING = os.devnull

SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    # indexes that an agent's object folder could carry and that would be believed unchecked
    "core.commitGraph=false",
    "core.multiPackIndex=false",
    "pack.useBitmaps=false",
    "core.quotePath=false",
    "core.bigFileThreshold=32m",
    "core.filesRefLockTimeout=5000",
    "core.packedRefsTimeout=5000",
    "safe.bareRepository=explicit",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
_SSH = (
    "ssh -oBatchMode=yes -oConnectTimeout=15 -oServerAliveInterval=15 -oForwardAgent=no"
    " -oPermitLocalCommand=no -oClearAllForwardings=yes"
)
_FIXED = {
    "LANG": "C",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": _NOTHING,
    "GIT_CONFIG_GLOBAL": _NOTHING,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CEILING_DIRECTORIES": "/",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "false",
    "GIT_SSH_COMMAND": _SSH,
    "GIT_SSH_VARIANT": "ssh",
}
_KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK")
# what credential helpers and proxies need, given to calls that leave this machine
_KEPT_FOR_NETWORK = (
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
# where a person may have put their config
_CONFIG_PLACES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_PROTOCOL = {OriginKind.PATH: "file", OriginKind.HTTPS: "https", OriginKind.SSH: "ssh"}


class UnsafeArgument(ValueError):
    """A name, id, sha or address that must never reach git."""


@dataclass(frozen=True)
class Identity:
    """Who Runyard commits as, and the person's own `credential.*` settings in their order."""

    name: str = "Runyard"
    email: str = "runyard@localhost"
    credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def local_environment(git_dir: Path | None, work_tree: Path | None) -> dict[str, str]:
    """The environment of a call that talks to nobody; without `git_dir` git finds no repository."""
    env = {**_kept(_KEPT), **_FIXED, "GIT_ALLOW_PROTOCOL": ""}
    env["GIT_DIR"] = str(git_dir) if git_dir else _NOTHING
    return env | ({"GIT_WORK_TREE": str(work_tree)} if work_tree else {})


def personal_environment(identity: Identity) -> dict[str, str]:
    """Author and committer of the commits we make."""
    names = {f"GIT_{role}_NAME": identity.name for role in ("AUTHOR", "COMMITTER")}
    return names | {f"GIT_{role}_EMAIL": identity.email for role in ("AUTHOR", "COMMITTER")}


def network_environment(origin: str, identity: Identity) -> dict[str, str]:
    """What a call to `origin` gets on top; raises UnsafeArgument for an address we refuse."""
    kind = origin_kind(origin)
    if kind is None:
        raise UnsafeArgument("This address is not one that git may be given.")
    env = {**_kept(_KEPT_FOR_NETWORK), "GIT_ALLOW_PROTOCOL": _PROTOCOL[kind]}
    # by environment, so that no helper's text shows in the process list
    return env | settings_by_environment([("credential.helper", ""), *identity.credentials])


def open_environment() -> dict[str, str]:
    """The environment in which the person's own config is read, and no repository's."""
    kept = (*_KEPT, *_KEPT_FOR_NETWORK, *_CONFIG_PLACES)
    return {**_kept(kept), "LC_ALL": "C", "GIT_DIR": _NOTHING}


def personal_config() -> list[str]:
    """Words for `env` that give back to a git program the config its owner has."""
    own = _kept(_CONFIG_PLACES)
    hidden = [word for name in _CONFIG_PLACES if name not in own for word in ("-u", name)]
    return [*hidden, *(f"{name}={value}" for name, value in own.items())]


def _kept(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def settings_by_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The environment that gives git these settings, stronger than those of any file."""
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return env
