"""Server startup: the data folder, the lock on it, and the address to serve."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import structlog

from app.api.http.site import Site
from app.config import Settings, default_data_dir
from app.folder_locks import SERVER_LOCK, holder_of_open

log = structlog.get_logger()
# addresses to which browsers resolve names below .localhost
BROWSERS_OWN = ("127.0.0.1", "localhost", "::1")
# where a server that other machines can reach also listens
HERE = "127.0.0.1"
EVERY_IPV6 = "::"
EVERY_ADDRESS = ("", "0.0.0.0", EVERY_IPV6)  # noqa: S104  (compared, not bound)
ADDRESS_ROOM = 1024
LEFT_BEHIND_SECONDS, LOCK_AGAIN_SECONDS = 1.0, 0.02
_PAGE_NAME = re.compile(r"[0-9a-f]{12}\.localhost")


class CannotStart(Exception):
    """The server cannot start; the message is a sentence that the user can act on."""


def address_of(settings: Settings) -> str:
    """Return the origin at which programs on this machine reach this server."""
    host = HERE if is_open(settings.host) else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def link_address_of(settings: Settings) -> str:
    """Return the origin of links for people."""
    return settings.public_url or address_of(settings)


def page_address_of(settings: Settings) -> str:
    """Return the origin of the pages."""
    return settings.public_url or f"http://{page_name_of(settings)}:{settings.port}"


def site_of(settings: Settings) -> Site:
    """Return the addresses under which a server with these settings answers."""
    return Site(
        settings.port,
        page_name_of(settings),
        frozenset({address_of(settings).removeprefix("http://")}),
        settings.public_url,
        settings.trusted_proxies,
    )


def page_name_of(settings: Settings) -> str:
    """Return the host name of the pages, which nothing else on this machine uses.

    Browsers resolve names below `.localhost` to this machine by themselves; for those that do not,
    set RUNYARD_PAGE_HOST. The name is kept in the data folder, since cookies are bound to it.
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
    """Create the data and runs folders if missing, closed to other users."""
    # files made by this process and its children are private to its user
    os.umask(0o077)
    for folder in (settings.data_root, settings.runs_root):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.data_root.chmod(0o700)


def login_command(settings: Settings) -> str:
    """Return the command that prints a sign-in link, as it can be typed on this machine."""
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


def is_open(host: str) -> bool:
    """Return True for an address that other machines could reach."""
    try:
        return host != "localhost" and not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def refuse_open_bind(settings: Settings, can_sign_in: Callable[[Settings], bool]) -> None:
    """Raise CannotStart for an address that other machines could reach, if nothing protects it.

    `can_sign_in` tells if somebody could sign in from there. Nothing is made or changed before.
    """
    if not is_open(settings.host):
        return
    reached = f"{settings.host or 'Every address'} can be reached from other machines"
    if settings.public_url is None:
        raise CannotStart(
            f"{reached}: that needs RUNYARD_PUBLIC_URL, the https address of a proxy in front, and "
            "somebody with a way to sign in. Runyard serves 127.0.0.1 without them."
        )
    if not can_sign_in(settings):
        raise CannotStart(
            f"{reached}, and nobody has a way to sign in yet: start Runyard at 127.0.0.1 first, "
            "and invite somebody."
        )


def warn_of_unnamed_proxy(settings: Settings) -> None:
    """Log that everybody will seem to come from the proxy's address, if no setting names it."""
    if settings.has_unnamed_proxy:
        log.warning(
            "proxies_not_named",
            because="RUNYARD_PUBLIC_URL is set, and everybody has the address of the proxy",
            advice="Set RUNYARD_TRUSTED_PROXIES to the proxy's address, such as 127.0.0.1.",
        )


@contextmanager
def only_server(settings: Settings) -> Generator[None]:
    """Hold the data folder's lock until this process ends, however it ends. Raises CannotStart."""
    # never closed: a thread may still be at work when the rest of this process has ended
    file = os.open(settings.data_root / SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(file)
        # a second kind of lock, whose holder the command line can ask the kernel for
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise CannotStart(_other_server(settings.data_root)) from error
    yield


def _lock(file: int) -> None:
    """Take the lock of this file. Raises OSError if another server holds it."""
    until = monotonic() + LEFT_BEHIND_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # without such a holder it was left behind: a server was killed while it started a
            # program, which has the lock until it is executed
            if holder_of_open(file) is not None or monotonic() >= until:
                raise
            sleep(LOCK_AGAIN_SECONDS)
        else:
            return


def _other_server(data_dir: Path) -> str:
    try:
        known = json.loads((data_dir / "server.json").read_text())
        where = f"pid {int(known['pid'])} at {known['url']}"
    except (OSError, ValueError, KeyError):
        where = "its pid is not known yet"
    return f"another Runyard already uses {data_dir}: {where}"


@contextmanager
def bound_sockets(settings: Settings) -> Generator[list[socket.socket]]:
    """Bind the sockets to serve, before anything starts. Raises CannotStart.

    One address that other machines can reach is joined by one that programs on this machine reach.
    """
    hosts = [settings.host]
    if is_open(settings.host) and settings.host not in EVERY_ADDRESS:
        hosts.append(HERE)
    with ExitStack() as bound:
        yield [bound.enter_context(_bound_socket(host, settings.port)) for host in hosts]


def _bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == EVERY_IPV6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CannotStart(
            f"{host}:{port} is not free ({error.strerror}): choose another with --port"
        ) from error
    return listener


@contextmanager
def known_address(settings: Settings, page_url: str) -> Generator[None]:
    """Publish this server's pid and addresses in the data folder, for the CLI and other servers.

    The file's space stays allocated when the server has ended, so that a full disk does not matter.
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
        log.warning(
            "address_file_not_written", file=file, because=problem, advice="Set RUNYARD_URL."
        )
    try:
        yield
    finally:
        with suppress(OSError):
            file.replace(kept)
