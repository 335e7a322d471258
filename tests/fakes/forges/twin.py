"""A Forgejo or Gitea with state: its API as recorded, and its repositories over git's protocol."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.forges.desk import Text
from tests.fakes.forges.git_side import GitSide
from tests.fakes.forges.history import PAGE as HISTORY_PAGE
from tests.fakes.forges.hosted import Hosted
from tests.fakes.forges.people import Person, Token, stamp

Query = dict[str, list[str]]
Made = tuple[int, Any]
PAGE = 50
EVERYTHING = ("write:repository", "write:issue", "read:user")


class ForgeTwin:
    """A forge on loopback that people and tokens use; `before` may answer in its place."""

    def __init__(self, folder: Path, kind: str = "gitea") -> None:
        self.kind = kind
        self.hosted: dict[str, Hosted] = {}
        self.tokens: dict[str, Token] = {}
        self.asked: list[tuple[str, str]] = []
        # what happens in place of an answer: None leaves it to the twin
        self.before: Callable[[str, str], Made | None] | None = None
        # called once a write was made, when its answer is on its way
        self.after: Callable[[str, str], None] | None = None
        self.guard = threading.RLock()
        self.git = GitSide(folder)
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Of", (self.handler(),), {"twin": self})
        )
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))

    def handler(self) -> type[Handler]:
        """Return what answers its calls."""
        return Handler

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    # --- what people do ------------------------------------------------------------------------

    def add_token(self, token: str, login: str = "bot", *scopes: str) -> str:
        """Let a person use the forge by a token with these scopes, all that are needed if none."""
        self.tokens[token] = Token(login, scopes or EVERYTHING)
        return token

    def add_repository(self, name: str, *, writers: tuple[str, ...] = ("bot",)) -> Hosted:
        """Create `owner/name` with one commit on main and the label ready-for-agent."""
        with self.guard:
            place = self.git.create(name)
            made = Hosted(name, len(self.hosted) + 1, self.url, place, self.git, writers)
            made.add_label("ready-for-agent")
            made.desk.kind = self.kind
            self.hosted[name] = made
            return made

    def calls(self, method: str, ending: str) -> int:
        """Return how often a path with this ending was asked."""
        return sum(one == method and path.endswith(ending) for one, path in self.asked)

    # --- answers -------------------------------------------------------------------------------

    def answer(self, method: str, path: str, query: Query, body: Any, token: str) -> Made:
        """Return status and JSON of an API call."""
        self.asked.append((method, path))
        if self.before is not None and (made := self.before(method, path)) is not None:
            return made
        with self.guard:
            made = self._answer(method, path, query, body, token)
        if self.after is not None and method != "GET":
            self.after(method, path)
        return made

    def _answer(self, method: str, path: str, query: Query, body: Any, token: str) -> Made:
        if path == "/version":
            suffix = "+gitea-1.22.0" if self.kind == "forgejo" else ""
            return 200, {"version": f"8.0.0{suffix}" if suffix else "1.27.0"}
        known = self.tokens.get(token)
        if token and known is None:
            return 401, {"message": "invalid username, password or token"}
        if path == "/user":
            if known is None:
                return 401, {"message": "token is required"}
            lacking = self._lacks(known, "read:user")
            return lacking or (200, Person(known.login).row())
        if path == "/user/repos":
            return 200, [one.row(known.login if known else "") for one in self.hosted.values()]
        match = re.fullmatch(r"/repos/([^/]+)/([^/]+)(/.*)?", path)
        if match is None:
            return 404, None
        login = known.login if known else ""
        below = unquote(match[3] or "")
        scope = "issue" if re.match(r"/(issues|labels)", below) else "repository"
        needed = f"{'read' if method == 'GET' else 'write'}:{scope}"
        lacking = self._lacks(known, needed) if known else None
        if lacking:
            return lacking
        return self._of_repository(method, f"{match[1]}/{match[2]}", below, query, body, login)

    def _of_repository(
        self, method: str, name: str, below: str, query: Query, body: Any, login: str
    ) -> Made:
        hosted = self.hosted.get(name)
        if hosted is None:
            return 404, {"message": "not found"}
        if hosted.renamed_to:
            status = 307 if self.kind == "forgejo" else 301
            return status, f"/api/v1/repos/{hosted.renamed_to}{below}"
        return hosted.answer(method, below, query, body, login)

    def _lacks(self, token: Token, needed: str) -> Made | None:
        kind, _, area = needed.partition(":")
        has = {f"write:{area}"} | ({f"read:{area}"} if kind == "read" else set())
        if has & set(token.scopes):
            return None
        said = "token does not have at least one of required scope(s)"
        if self.kind == "forgejo":
            return 403, {"message": f"{said}: [{needed}]"}
        owned = ",".join(token.scopes)
        return 403, {"message": f"{said}, required=[{needed}], token scope={owned}"}


class Handler(BaseHTTPRequestHandler):
    """Answers the calls of one connection."""

    protocol_version = "HTTP/1.1"
    # headers and body are two packets: the second one would wait 40 ms for a word about the first
    disable_nagle_algorithm = True
    twin: ForgeTwin

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not parts.path.startswith("/api/v1/"):
            if page := HISTORY_PAGE.fullmatch(parts.path):
                self._serve_history(page[1], int(page[2]))
            else:
                self._serve_git(parts.path, parts.query, raw)
            return
        said = self.headers.get("Authorization", "")
        token = said.removeprefix("token ").strip() if said.startswith("token ") else ""
        query = parse_qs(parts.query)
        body = json.loads(raw) if raw else {}
        path = parts.path.removeprefix("/api/v1")
        status, found = self.twin.answer(self.command, path, query, body, token)
        if status == 0:  # the line is cut
            self.close_connection = True
            return
        self._write(status, found, query, parts.path)

    def _write(self, status: int, found: Any, query: Query, path: str) -> None:
        headers: dict[str, str] = {"Date": stamp(for_headers=True)}
        if isinstance(found, str) and status in (301, 307):
            headers["Location"], content = found, b"<a>Moved</a>"
            headers["Content-Type"] = "text/html; charset=utf-8"
        elif isinstance(found, Text):
            content = found.encode()
            headers["Content-Type"] = "text/plain; charset=utf-8"
        elif isinstance(found, bytes):
            content = found
            headers["Content-Type"] = "text/html; charset=utf-8"
        elif isinstance(found, list) and self.command == "GET":
            content = json.dumps(self._page(found, query, path, headers)).encode()
            headers["Content-Type"] = "application/json;charset=utf-8"
        else:
            content = b"" if found is None else json.dumps(found).encode()
            if content:
                headers["Content-Type"] = "application/json;charset=utf-8"
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _page(self, rows: list[Any], query: Query, path: str, headers: Any) -> list[Any]:
        """Return the page asked for, at most 50 entries whatever limit was asked."""
        limit = min(int(query.get("limit", ["30"])[0]), PAGE)
        page = int(query.get("page", ["1"])[0])
        headers["X-Total-Count"] = str(len(rows))
        if page * limit < len(rows):
            kept = "".join(f"&{name}={value[0]}" for name, value in query.items() if name != "page")
            # its links may name another host than the one that was asked
            link = f"http://forge.test{path}?page={page + 1}{kept}"
            headers["Link"] = f'<{link}>; rel="next"'
        return rows[(page - 1) * limit : page * limit]

    def _serve_history(self, name: str, number: int) -> None:
        self.twin.asked.append(("GET", f"/{name}/issues/{number}/content-history/overview"))
        status, found = self.twin.hosted[name].history.overview(number)
        self._write(status, found, {}, "")

    def _serve_git(self, path: str, query: str, raw: bytes) -> None:
        signed_in = self.headers.get("Authorization", "")
        token = self.twin.git.token_of(signed_in)
        known = self.twin.tokens.get(token)
        needed = "write:repository" if "receive-pack" in path + query else ""
        if known is None:
            self._refuse_git(401)
        elif needed and needed not in known.scopes:
            self._refuse_git(403)
        else:
            self._answer_git(path, query, raw)

    def _answer_git(self, path: str, query: str, raw: bytes) -> None:
        sent = dict(self.headers.items())
        status, headers, content = self.twin.git.serve(self.command, path, query, sent, raw)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse_git(self, status: int) -> None:
        self.send_response_only(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="Gitea"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve
