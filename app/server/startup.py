"""What a server stands on: its data folder, which is its alone, and the address it serves."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import logging
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.config import Settings, default_data_dir
from app.folder_locks import SERVER_LOCK

log = logging.getLogger(__name__)
# where a browser looks for what is below .localhost
BROWSERS_OWN = ("127.0.0.1", "localhost", "::1")
ADDRESS_ROOM = 1024
_PAGE_NAME = re.compile(r"[0-9a-f]{12}\.localhost")


class CannotStart(Exception):
    """The server cannot start; the message is a sentence a person can act on."""


def address_of(settings: Settings) -> str:
    """The origin under which this server is reached."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def page_address_of(settings: Settings) -> str:
    """The origin of the pages."""
    return f"http://{page_name_of(settings)}:{settings.port}"


def page_name_of(settings: Settings) -> str:
    """The host name of the pages, which nothing else on this machine has.

    Browsers find every name below `.localhost` on this machine by themselves; those that do not
    have RUNYARD_PAGE_HOST. The name is kept in the data folder, since cookies are bound to it.
    """
    if settings.page_host:
        return settings.page_host
    if settings.host not in BROWSERS_OWN:
        return address_of(settings).removeprefix("http://").rpartition(":")[0]
    file = settings.data_root / "page-host"
    with suppress(FileNotFoundError):
        kept = file.read_text().strip()
        if _PAGE_NAME.fullmatch(kept):
            return kept
    name = f"{os.urandom(6).hex()}.localhost"
    draft = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    draft.touch(0o600)
    draft.write_text(name + "\n")
    os.replace(draft, file)
    return name


def prepare_folders(settings: Settings) -> None:
    """Make what is missing of the data folder, closed to other users."""
    # whatever this process and its children make is for its user alone
    os.umask(0o077)
    for folder in (settings.data_root, settings.runs_root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data_root.chmod(0o700)


def login_command(settings: Settings) -> str:
    """The command that prints a sign-in link of this server, as it can be typed on this machine."""
    script = Path(sys.executable).with_name("runyard")
    found = shutil.which("runyard")
    if found is not None and script.exists() and os.path.samefile(found, script):
        words = ["runyard"]
    elif script.exists():
        words = [str(script)]
    else:
        words = [sys.executable, str(Path(__file__).resolve().parents[2] / "main.py")]
    words.append("login-link")
    if settings.data_root != default_data_dir():
        words += ["--data-dir", str(settings.data_root)]
    return shlex.join(words)


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
    file = os.open(settings.data_root / SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # the kernel names the holder of this kind to the command line, which must know
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
def known_address(settings: Settings, page_url: str) -> Iterator[None]:
    """Say in the data folder which server this is, for the command line and for a second one.

    The room for it stays taken when the server has ended, so that a full disk cannot refuse it.
    """
    file, kept = settings.data_root / "server.json", settings.data_root / ".server.json"
    known = {"pid": os.getpid(), "url": address_of(settings), "page_url": page_url}
    try:
        opened = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "w") as written:
            written.write(json.dumps(known).ljust(ADDRESS_ROOM))
            written.truncate()
        kept.replace(file)
    except OSError as problem:
        log.warning("%s was not written, the command line needs RUNYARD_URL: %s", file, problem)
    try:
        yield
    finally:
        with suppress(OSError):
            file.replace(kept)
