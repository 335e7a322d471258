"""The settings and the minimal environment of every git call."""

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
    # git trusts these indexes unchecked, and an agent's object folder could carry them
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
# for credential helpers and proxies; only for calls that use the network
_KEPT_FOR_NETWORK = (
    *("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    *("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
# where a user may have placed their config
_CONFIG_PLACES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")
_PROTOCOL = {
    OriginKind.PATH: "file",
    OriginKind.HTTPS: "https",
    OriginKind.HTTP: "http",
    OriginKind.SSH: "ssh",
}


class UnsafeArgument(ValueError):
    """A name, id, sha or address that must not be passed to git."""


@dataclass(frozen=True)
class Identity:
    """The author of Runyard's commits, and the user's `credential.*` settings in order."""

    name: str = "Runyard"
    email: str = "runyard@localhost"
    credentials: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def local_environment(git_dir: Path | None, work_tree: Path | None) -> dict[str, str]:
    """Return the environment of a call without network; no `git_dir` means no repository."""
    env = {**_kept(_KEPT), **_FIXED, "GIT_ALLOW_PROTOCOL": ""}
    env["GIT_DIR"] = str(git_dir) if git_dir else _NOTHING
    return env | ({"GIT_WORK_TREE": str(work_tree)} if work_tree else {})


def personal_environment(identity: Identity) -> dict[str, str]:
    """Return the variables for author and committer of our commits."""
    names = {f"GIT_{role}_NAME": identity.name for role in ("AUTHOR", "COMMITTER")}
    return names | {f"GIT_{role}_EMAIL": identity.email for role in ("AUTHOR", "COMMITTER")}


def network_environment(
    origin: str, identity: Identity, sign_in: Sequence[tuple[str, str]] = ()
) -> dict[str, str]:
    """Return the extra variables of a call to `origin`. Raises UnsafeArgument.

    `sign_in` are the settings by which Runyard's own token gets there.
    """
    kind = origin_kind(origin)
    # without encryption only where a forge on this machine is known
    if kind is None or (kind is OriginKind.HTTP and not sign_in):
        raise UnsafeArgument("This address is not one that git may be given.")
    env = {**_kept(_KEPT_FOR_NETWORK), "GIT_ALLOW_PROTOCOL": _PROTOCOL[kind]}
    # by environment, because a helper's text may hold a secret and argv shows in `ps`
    return env | settings_by_environment(
        [("credential.helper", ""), *identity.credentials, *sign_in]
    )


def open_environment() -> dict[str, str]:
    """Return the environment for reading the user's own config, and no repository's."""
    kept = (*_KEPT, *_KEPT_FOR_NETWORK, *_CONFIG_PLACES)
    return {**_kept(kept), "LC_ALL": "C", "GIT_DIR": _NOTHING}


def personal_config() -> list[str]:
    """Return the `env` arguments that give a git program its owner's config again."""
    own = _kept(_CONFIG_PLACES)
    hidden = [word for name in _CONFIG_PLACES if name not in own for word in ("-u", name)]
    return [*hidden, *(f"{name}={value}" for name, value in own.items())]


def _kept(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def settings_by_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return variables that give git these settings, overriding those of any file."""
    env = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return env
