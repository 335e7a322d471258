"""The connection to the server: its address, our token, and the meaning of its answers."""

from __future__ import annotations

import os
import re
import shlex
import weakref
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from app import __version__
from app.api.client import calls, system_calls
from app.api.client.protocol import (
    CORRELATION,
    Call,
    change_page,
    new_correlation_id,
    problem_in,
    sentence_in,
)
from app.cli.client.running_server import known_server
from app.cli.client.saved_login import SavedLogin, saved_login
from app.domain.ids import is_run_id
from app.folder_locks import asking_for_link

if TYPE_CHECKING:
    import httpx

AGENT = f"runyard-cli/{__version__}"  # the server counts its runs as started by hand
READ_SECONDS = 30.0
CONNECT_SECONDS = 5.0
SERVE = "runyard serve"
STRANGER = (
    "The token that was sent is not this server's: look at RUNYARD_TOKEN and RUNYARD_URL, "
    "or name the server's folder with --data-dir."
)
ENDED = "Your sign-in to this server has ended: sign in again with: runyard login {url}"
UNSIGNED = (
    "No token was sent, as this is not the server of your data folder: set RUNYARD_TOKEN, "
    "or name the server's folder with --data-dir."
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


_ENDING = re.compile(r"[0-9A-Za-z_-]{6,80}", re.ASCII)
_LOOKED_AT = 20
_NAMED_AT_MOST = 5


def _headers(token: str | None) -> dict[str, str]:
    own = {"User-Agent": AGENT}
    return own | {"Authorization": f"Bearer {token}"} if token else own


class Refused(Exception):
    """The server refused, or the thing does not exist; the message is a sentence."""

    def __init__(self, sentence: str, *, correlation_id: str = "", status: int = 0) -> None:
        super().__init__(sentence)
        self.correlation_id = correlation_id
        self.status = status


class Misused(typer.BadParameter):
    """The command line or the environment is invalid; the message is a sentence."""

    def format_message(self) -> str:
        """Return the sentence unchanged."""
        return self.message


class Unreachable(Exception):
    """The server did not answer; `delivered` is True if the request may have arrived."""

    def __init__(self, url: str, start: str = SERVE, *, delivered: bool = False) -> None:
        how = f"; start it with: {start}" if start else ""
        super().__init__(f"server not reachable at {url}{how}")
        self.delivered = delivered


@dataclass(frozen=True)
class Server:
    """A running Runyard as the command line sees it."""

    url: str
    token: str | None
    start: str = SERVE  # the command that would start it, empty for one elsewhere
    is_saved_login: bool = False
    patience: float = READ_SECONDS

    @cached_property
    def http(self) -> httpx.Client:
        """The HTTP client, opened at the first call and closed with this object."""
        import ssl  # a tenth of a start, which a command that sends nothing need not pay

        httpx = _httpx()
        parts = urlsplit(self.url)
        client = httpx.Client(
            base_url=self.url,
            headers=_headers(self.token),
            timeout=httpx.Timeout(self.patience, connect=min(self.patience, CONNECT_SECONDS)),
            # No proxy to our own machine: it would see the token.
            trust_env=parts.hostname not in LOOPBACK,
            # Loading the certificates is slow, and plain http does not use them.
            verify=parts.scheme == "https" or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )
        weakref.finalize(self, client.close)
        return client

    def is_ready(self) -> bool:
        """Return True if the server can do its work. Raises Unreachable."""
        httpx = _httpx()
        try:
            return self.http.get("/readyz").is_success
        except httpx.TransportError as error:
            raise Unreachable(self.url, self.start) from error

    def send(self, call: Call[Any]) -> httpx.Response:
        """Send a call. Raises Refused or Unreachable."""
        httpx, correlation_id = _httpx(), new_correlation_id()
        try:
            answer = self.http.request(**call.request(correlation_id, {}))
        except httpx.TransportError as error:
            arrived = _may_have_arrived(error)
            raise Unreachable(self.url, self.start, delivered=arrived) from error
        if not answer.is_success:
            raise self._refusal(answer, correlation_id)
        return answer

    def ask(self, call: Call[Any]) -> Any:
        """Send a call and return the JSON of its answer. Raises Refused or Unreachable."""
        return read_json(self.send(call), self.url)

    @contextmanager
    def stream(
        self, call: Call[Any], headers: Mapping[str, str] | None = None
    ) -> Generator[httpx.Response]:
        """Open an answer whose body is streamed. Raises Refused or Unreachable."""
        httpx, correlation_id = _httpx(), new_correlation_id()
        try:
            with self.http.stream(**call.request(correlation_id, headers or {})) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refusal(answer, correlation_id)
                yield answer
        except httpx.TransportError as error:
            raise Unreachable(self.url, self.start, delivered=True) from error

    def _refusal(self, answer: httpx.Response, correlation_id: str) -> Refused:
        status = answer.status_code
        problem = problem_in(answer.content, f"The server at {self.url} answered {status}.")
        own = [str(problem["own_limit"])] if problem.get("own_limit") else []
        unknown = [self._unknown()] if status == 401 else []
        lines = [sentence_in(problem), *_errors(problem), *_way_out(problem, self.url)]
        return Refused(
            "\n".join([*lines, *own, *unknown]),
            correlation_id=answer.headers.get(CORRELATION, correlation_id),
            status=status,
        )

    def _unknown(self) -> str:
        """Return what to do about a token that the server does not know."""
        if self.is_saved_login:
            return ENDED.format(url=self.url)
        return STRANGER if self.token else UNSIGNED


def connect(data_dir: Path | None, *, is_own: bool = False) -> Server:
    """Return the server that the command line, the environment or the data folder names.

    A folder named on the command line wins over the environment, and the environment over a saved
    sign-in, which `is_own` leaves out. A token is sent to its own server only: that of a sign-in to
    its address, and the folder's to the server that holds the folder's lock. Raises Misused,
    Unreachable.
    """
    folder = data_folder(data_dir)
    if login := None if is_own else login_in_use(data_dir):
        return server_of(login)
    url_given, token_given = os.environ.get("RUNYARD_URL"), os.environ.get("RUNYARD_TOKEN")
    start = f"{SERVE} --data-dir {shlex.quote(str(data_dir))}" if data_dir else SERVE
    known = known_server(folder)
    running = known.url if known and known.is_serving else None
    url = None if data_dir or not url_given else server_url(url_given, "RUNYARD_URL")
    if url is None and running is None:
        raise Unreachable(known.url if known else _default_url(), start)
    url = url or str(running)
    own = _token(folder) if url == running else None
    token = (own or token_given) if data_dir else (token_given or own)
    if token and not (token.isascii() and token.isprintable()):
        raise Misused("The token contains characters that no token has.")
    return Server(url, token, start)


def server_of(login: SavedLogin) -> Server:
    """Return the server of a saved sign-in."""
    return Server(login.url, login.token, start="", is_saved_login=True)


def login_in_use(data_dir: Path | None) -> SavedLogin | None:
    """Return the saved sign-in, None if there is none or something else names the server."""
    is_named = data_dir or os.environ.get("RUNYARD_URL") or os.environ.get("RUNYARD_TOKEN")
    return None if is_named else saved_login(data_folder(None))


def data_folder(data_dir: Path | None) -> Path:
    """Return the data folder: from the command line, the environment, or the user's default."""
    chosen = data_dir or os.environ.get("RUNYARD_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("runyard", appauthor=False))


def new_link(server: Server, folder: Path) -> str:
    """Request a one-time link from a data folder's server, which can see which process asks."""
    with asking_for_link(folder):
        return str(server.ask(system_calls.login_link())["url"])


def read_json(answer: httpx.Response, url: str) -> Any:
    """Return an answer's JSON. Raises Refused if it has none: then no Runyard sent it."""
    try:
        return answer.json()
    except ValueError as error:
        raise Refused(f"The server at {url} is not Runyard.") from error


def _httpx() -> Any:
    from app.server.patches.unused_imports import hiding

    with hiding("httpx._main"):
        import httpx

    return httpx


def _may_have_arrived(error: Exception) -> bool:
    httpx = _httpx()
    return not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


def _way_out(body: Mapping[str, Any], url: str) -> list[str]:
    """Return the page where a person can do this, or the page of the change that blocks it."""
    if isinstance(page := body.get("page"), str):
        return [page]
    change = change_page(body)
    return [f"{url}{change}"] if change else []


def _errors(body: Mapping[str, Any]) -> list[str]:
    errors = body.get("errors")
    found = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    lines = [f"{item.get('field', '?')}: {item.get('message', '')}" for item in found]
    return [line for line in lines if str(body.get("detail")) not in line]


def server_url(url: str, named: str) -> str:
    """Return the address of a server as it is used. Raises Misused, which calls it `named`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable:
        raise Misused(f"{named} is not the address of a server: {url}")
    return url.rstrip("/")


def _default_url() -> str:
    port = os.environ.get("RUNYARD_PORT") or "8080"
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Misused(f"RUNYARD_PORT is no port: {port}")
    return f"http://127.0.0.1:{port}"


def _token(folder: Path) -> str | None:
    try:
        return (folder / "token").read_text().strip() or None
    except (OSError, ValueError):
        return None


def find_run(server: Server, typed: str) -> str:
    """Return the full id of the run with this id or ending of an id. Raises Refused, Misused."""
    ending = typed.strip().removeprefix("…").removeprefix("...")
    if is_run_id(ending):
        return ending
    if not _ENDING.fullmatch(ending):
        raise Misused("Give a run's whole id, or at least its last 6 characters.")
    page = server.ask(calls.runs(q=ending, limit=_LOOKED_AT))
    ids = [str(run["id"]) for run in page["items"] if str(run["id"]).endswith(ending)]
    if not ids:
        raise Refused(f"There is no run whose id ends in {ending}.")
    if len(ids) > 1:
        named = ", ".join(ids[:_NAMED_AT_MOST]) + (", …" if len(ids) > _NAMED_AT_MOST else "")
        raise Refused(f"Several runs end in {ending}: {named}")
    return ids[0]


def find_project(server: Server, typed: str) -> dict[str, Any]:
    """Return the project with this id or exact name. Raises Refused."""
    projects = server.ask(calls.projects())["items"]
    for field in ("id", "name"):
        for project in projects:
            if project.get(field) == typed:
                return project
    raise Refused(f"There is no project {typed}. {_instead(typed, projects)}")


def find_project_id(server: Server, typed: str) -> str:
    """Return the id of a project. Raises Refused.

    Inside a run, its own is known: the token of a run lists no projects.
    """
    own, url = os.environ.get("RUNYARD_PROJECT_ID"), os.environ.get("RUNYARD_URL")
    if own and server.url == url and typed in (own, os.environ.get("RUNYARD_PROJECT")):
        return own
    return str(find_project(server, typed)["id"])


def only_project(server: Server) -> dict[str, Any]:
    """Return the only project. Raises Refused if there is none, Misused if there are several."""
    projects = server.ask(calls.projects(include_archived=False))["items"]
    there = [project for project in projects if not project.get("archived_at")]
    if not there:
        raise Refused(_instead("", projects))
    if len(there) > 1:
        how = "Name the project: with --project, or as `project` in a line of the file."
        raise Misused(f"{how} {_instead('', projects)}")
    return dict(there[0])


def _instead(typed: str, projects: list[dict[str, Any]]) -> str:
    """Suggest similar names, else some names, else how to register a first project."""
    names = [str(one["name"]) for one in projects if not one.get("archived_at")]
    by_lower = {name.lower(): name for name in names}
    near = [by_lower[one] for one in get_close_matches(typed.lower(), by_lower, 3)]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    if not names:
        return "There are none yet: register one with: runyard projects add PATH_OR_URL"
    more = ", …" if len(names) > _NAMED_AT_MOST else "."
    return f"The projects are: {', '.join(names[:_NAMED_AT_MOST])}{more}"
