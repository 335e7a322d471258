"""What a server stands on: its data folder, which is its alone, and the address it serves."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.config import Settings


class CannotStart(Exception):
    """The server cannot start; the message is a sentence a person can act on."""


def address_of(settings: Settings) -> str:
    """The origin under which this server is reached."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def prepare_folders(settings: Settings) -> None:
    """Make what is missing of the data folder, closed to other users."""
    # whatever this process and its children make is for its user alone
    os.umask(0o077)
    for folder in (settings.data_root, settings.runs_root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data_root.chmod(0o700)


def refuse_open_bind(host: str) -> None:
    """Raise CannotStart for an address that other machines could reach."""
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise CannotStart(
            f"{host} can be reached from other machines, and nobody has a password yet: "
            "Runyard serves 127.0.0.1 only."
        )


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock; the kernel gives it back however this process ends."""
    # never closed: a thread of this process may still be at work when the rest has ended
    file = os.open(settings.data_root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise CannotStart(_other_server(settings.data_root)) from error
    yield


def _other_server(data_dir: Path) -> str:
    try:
        known = json.loads((data_dir / "server.json").read_text())
        where = f"pid {int(known['pid'])} at {known['url']}"
    except (OSError, ValueError, KeyError):
        where = "its pid is not known yet"
    return f"another Runyard already uses {data_dir}: {where}"


def listening_socket(settings: Settings) -> socket.socket:
    """The socket of the address to serve, bound before anything is begun. Raises CannotStart."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"{settings.host}:{settings.port} is not free ({error.strerror}): "
            "choose another with --port"
        ) from error
    return listener


@contextmanager
def known_address(settings: Settings) -> Iterator[None]:
    """Say in the data folder which server this is, for the command line and for a second one."""
    file = settings.data_root / "server.json"
    file.write_text(json.dumps({"pid": os.getpid(), "url": address_of(settings)}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
