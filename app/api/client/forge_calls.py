"""The calls of forges; see `app/api/client/calls.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.api.client.protocol import Call, only_given

if TYPE_CHECKING:
    from app.api import schemas


def _of(forge: str, below: str = "") -> str:
    return f"/forges/{quote(forge, safe='')}{below}"


def forges() -> Call[list[schemas.ForgeOut]]:
    """Return all forges."""
    return Call("GET", "/forges", "Forges", takes_items=True)


def add_forge(
    url: str,
    token: str | None,
    *,
    kind: str | None = None,
    name: str | None = None,
    app: Mapping[str, str] | None = None,
) -> Call[schemas.ForgeOut]:
    """Keep a forge with its token, or with a GitHub App: its `id` and a `private_key`."""
    body = only_given({"url": url, "token": token, "app": app, "kind": kind, "name": name})
    return Call("POST", "/forges", "ForgeOut", body=body)


def change_forge(
    forge: str,
    *,
    name: str | None = None,
    token: str | None = None,
    app: Mapping[str, str] | None = None,
) -> Call[schemas.ForgeOut]:
    """Rename a forge, or change its token or App."""
    body = only_given({"name": name, "token": token, "app": app})
    return Call("PATCH", _of(forge), "ForgeOut", body=body)


def check_forge(forge: str) -> Call[schemas.ForgeOut]:
    """Ask a forge again what its token may do."""
    return Call("POST", _of(forge, "/check"), "ForgeOut")


def hook(forge: str, install: Sequence[str] = ()) -> Call[schemas.HookOut]:
    """Return where a forge shall send its hooks, after installing them in these repositories."""
    return Call("POST", _of(forge, "/hook"), "HookOut", body={"install": list(install)})


def rotate_secrets() -> Call[schemas.SealedAnew]:
    """Encrypt every stored secret with a new key."""
    return Call("POST", "/secrets/rotate", "SealedAnew")


def remove_forge(forge: str) -> Call[schemas.ForgeOut]:
    """Remove a forge that no project uses."""
    return Call("DELETE", _of(forge), "ForgeOut")


def hosted(forge: str) -> Call[list[schemas.HostedOut]]:
    """Return the repositories that a forge's token sees."""
    return Call("GET", _of(forge, "/repositories"), "HostedRepositories", takes_items=True)


def forge_at(origin: str) -> Call[schemas.ForgeAtOut]:
    """Return the forge of a repository's address."""
    return Call("GET", "/origins/forge", "ForgeAtOut", params={"origin": origin})
