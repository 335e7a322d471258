"""A GitHub with state on loopback, at the addresses of a GitHub Enterprise Server."""

from __future__ import annotations

import base64
import email.utils
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from tests.fakes.forges.github import description, schedules
from tests.fakes.forges.github.hosted import GithubHosted
from tests.fakes.forges.github.rows import NOT_FOUND, invalid, said
from tests.fakes.forges.people import Person, Token
from tests.fakes.forges.twin import ForgeTwin, Handler

API = "/api/v3"
# what a token needs for a path; a classic one has "repo" for all
_AREAS = (
    (r"/repos/[^/]+/[^/]+/pulls", "pull_requests"),
    (r"/repos/[^/]+/[^/]+/issues", "issues"),
    (r"/repos/[^/]+/[^/]+/git/refs", "contents"),
)
# writes that name nothing are refused after the permission for them
_EMPTY = re.compile(r"/repos/[^/]+/[^/]+/(pulls|issues|git/refs)")
EVERYTHING = ("contents", "issues", "pull_requests")
CI = ("checks", "statuses")


class GithubApp:
    """An App that is installed at some accounts."""

    def __init__(self, app_id: str, slug: str, key: RSAPublicKey, owners: tuple[str, ...]) -> None:
        self.id, self.slug, self.key = app_id, slug, key
        self.owners = list(owners)
        self.permissions = dict.fromkeys(EVERYTHING, "write") | dict.fromkeys(CI, "read")
        # what its installations have accepted, if that is less
        self.accepted: dict[str, str] | None = None
        self.lent = 0


@contextmanager
def github_with_shop(folder: Path) -> Iterator[GithubTwin]:
    """Run a GitHub with the repository acme/shop, to which the bot's token may write."""
    with GithubTwin(folder) as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_repository("acme/shop")
        yield twin
        twin.before = None


class GithubTwin(ForgeTwin):
    """A GitHub that people, tokens and Apps use; its every answer is held against GitHub's own.

    `invalid` is what was asked or answered otherwise than described.
    """

    def __init__(self, folder: Path, kind: str = "github") -> None:
        super().__init__(folder, kind)
        self.invalid: list[str] = []
        self.apps: dict[str, GithubApp] = {}
        # when tokens that were lent to an App end, and whose they are
        self.ends: dict[str, datetime] = {}
        self.owners: dict[str, str] = {}
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        # requests that count: all but those that found nothing new
        self.limit, self.counted = 5000, 0
        # False: what did not change is told without its links
        self.links_kept = True
        # the errors by which GraphQL says that its budget is spent, and when it gets a new one
        self.graphql_spent: list[dict[str, str]] = []
        self.graphql_reset = 0
        # headers of the answer that `before` gives
        self.headers: dict[str, str] = {}

    def handler(self) -> type[Handler]:
        """Return what answers its calls."""
        return _GithubHandler

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        assert not self.invalid, self.invalid

    # --- what people do ------------------------------------------------------------------------

    def add_token(self, token: str, login: str = "bot", *scopes: str) -> str:
        """Let a person use it by a classic token, or by a fine-grained `github_pat_…`."""
        everything = EVERYTHING if token.startswith("github_pat_") else ("repo",)
        self.tokens[token] = Token(login, scopes or everything)
        return token

    def add_repository(self, name: str, *, writers: tuple[str, ...] = ("bot",)) -> GithubHosted:
        """Create `owner/name` with one commit on main and the label ready-for-agent."""
        with self.guard:
            place = self.git.create(name)
            number = len(self.hosted) + 1
            made = GithubHosted(name, number, self.url, place, self.git, writers)
            made.add_label("ready-for-agent")
            self.hosted[name] = made
            return made

    def add_app(self, app_id: str, key: RSAPublicKey, *owners: str) -> GithubApp:
        """Register an App, installed at these accounts."""
        self.apps[app_id] = GithubApp(app_id, f"app-{app_id}", key, owners)
        return self.apps[app_id]

    def is_over(self, token: str) -> bool:
        """Return True for a token of an App whose hour is over."""
        until = self.ends.get(token)
        return until is not None and until < self.now()

    def scopes_told(self, token: str) -> dict[str, str]:
        """Return the header by which GitHub names a classic token's scopes."""
        known = self.tokens.get(token)
        is_classic = known is not None and not token.startswith(("github_pat_", "ghs_"))
        return {"X-OAuth-Scopes": ", ".join(known.scopes)} if known and is_classic else {}

    # --- answers -------------------------------------------------------------------------------

    def _answer(self, method: str, path: str, query: Any, body: Any, token: str) -> Any:
        made = self._say(method, path, query, body, token)
        is_trial = method == "POST" and body == {} and _EMPTY.fullmatch(path)
        if made[0] != 301 and not path.endswith("/graphql") and not is_trial:
            named = self._named(path)
            found = description.faults(method, named, query, body, made[0], made[1])
            self.invalid += found
        return made

    def _say(self, method: str, path: str, query: Any, body: Any, token: str) -> Any:
        if path == "/meta":
            given = {"verifiable_password_authentication": True, "installed_version": "3.19.0"}
            return 200, description.filled("api-overview", given)
        if (app := self._app_of(token)) is not None:
            return self._of_app(app, method, path)
        known = self.tokens.get(token)
        if known is None or self.is_over(token):
            return said(401, "Bad credentials")
        if path == "/graphql":
            return self._graphql(body, known.login)
        if path == "/user":
            row = self.somebody(known.login)
            return 200, description.filled_answer("GET", "/user", 200, row)
        if path == "/user/repos":
            return 200, [self._home(one, known.login) for one in self.hosted.values()]
        if path == "/installation/repositories":
            rows = [
                self._home(one, known.login)
                for name, one in self.hosted.items()
                if name.startswith(f"{self.owners[token]}/")
            ]
            return 200, {"total_count": len(rows), "repositories": rows}
        lacking = self._lacking(known, token, method, path)
        if lacking is None and method == "POST" and body == {} and _EMPTY.fullmatch(path):
            return invalid(field="title", code="missing_field")
        return lacking or self._of_place(method, self._named(path), query, body, known.login)

    def _home(self, hosted: Any, login: str) -> Any:
        return hosted.home_row(login, "repository")

    def somebody(self, login: str) -> dict[str, Any]:
        """Return somebody as GitHub shows them."""
        return {"login": login, "id": Person(login).row()["id"], "type": "User"}

    def _named(self, path: str) -> str:
        """Return a path by the repository's name; links give its number."""
        match = re.match(r"/repositories/(\d+)", path)
        if match is None:
            return path
        name = next(one.name for one in self.hosted.values() if one.id == int(match[1]))
        return f"/repos/{name}{path[match.end() :]}"

    def _of_place(self, method: str, path: str, query: Any, body: Any, login: str) -> Any:
        match = re.fullmatch(r"/repos/([^/]+)/([^/]+)(/.*)?", path)
        hosted = self.hosted.get(f"{match[1]}/{match[2]}") if match else None
        if match is None or hosted is None:
            return NOT_FOUND
        below = unquote(match[3] or "")
        if hosted.renamed_to:
            return 301, f"{API}/repositories/{self.hosted[hosted.renamed_to].id}{below}"
        return hosted.answer(method, below, query, body, login)

    def _lacking(self, known: Token, token: str, method: str, path: str) -> Any:
        area = next((one for pattern, one in _AREAS if re.match(pattern, path)), "metadata")
        if token.startswith("github_pat_") or token in self.ends:
            if self.owners.get(token, "") not in ("", path.split("/")[2:3][0]):
                return NOT_FOUND
            if area == "metadata" or area in known.scopes:
                return None
            level = "read" if method == "GET" else "write"
            self.headers = {"X-Accepted-GitHub-Permissions": f"{area}={level}"}
            return said(403, "Resource not accessible by personal access token")
        return None if "repo" in known.scopes else NOT_FOUND

    def _graphql(self, body: Any, login: str) -> Any:
        given = body["variables"]
        if self.graphql_spent:
            self.headers = {"X-RateLimit-Resource": "graphql", "X-RateLimit-Remaining": "12"}
            self.headers["X-RateLimit-Reset"] = str(self.graphql_reset)
            return 200, {"errors": self.graphql_spent}
        if "n0" in given:
            return 200, self._looked_at(given)
        if "owner" in given:
            hosted = self.hosted.get(f"{given['owner']}/{given['name']}")
            if not isinstance(hosted, GithubHosted):
                return 200, {"data": {"repository": None}, "errors": [{"message": "Not there"}]}
            number = given["number"]
            if "lastEditedAt" in body["query"]:
                told: Any = {"issue": hosted.edits(number)}
            elif "headRefOid" in body["query"]:
                told = {"pullRequest": schedules.standing(hosted, number)}
            else:
                # a page holds two, so that there are pages
                rows, begin = hosted.github_desk.threads(number), int(given["after"] or 0)
                page = {"hasNextPage": begin + 2 < len(rows), "endCursor": str(begin + 2)}
                threads = {"nodes": rows[begin : begin + 2], "pageInfo": page}
                told = {"pullRequest": {"reviewThreads": threads}}
            return 200, {"data": {"repository": told}}
        return 200, self._mutated(body["query"], given, login)

    def _mutated(self, query: str, given: Any, login: str) -> dict[str, Any]:
        name = re.search(r"\{ (\w+)\(input", query)
        for hosted in self.hosted.values():
            for row in hosted.pulls.values():
                if given["id"] != f"PR_{row['id']}" or name is None:
                    continue
                refusal = None
                if name[1] in ("convertPullRequestToDraft", "markPullRequestReadyForReview"):
                    row["draft"] = name[1] == "convertPullRequestToDraft"
                elif isinstance(hosted, GithubHosted):
                    refusal = schedules.order(hosted, row, name[1], given, login)
                if refusal is not None:
                    errors = [{"type": "UNPROCESSABLE", "message": refusal}]
                    return {"data": {name[1]: None}, "errors": errors}
                return {"data": {name[1]: {"clientMutationId": None}}}
        return {"data": None, "errors": [{"message": "Could not resolve to a node"}]}

    def _looked_at(self, given: dict[str, str]) -> dict[str, Any]:
        """Return what tells whether something changed in some repositories of an owner."""
        data: dict[str, Any] = {}
        for alias, name in given.items():
            if alias != "owner":
                hosted = self.hosted.get(f"{given['owner']}/{name}")
                while hosted is not None and hosted.renamed_to:
                    hosted = self.hosted.get(hosted.renamed_to)
                data[alias] = hosted.look() if isinstance(hosted, GithubHosted) else None
        lost = [{"type": "NOT_FOUND", "path": [one]} for one in data if data[one] is None]
        return {"data": data, **({"errors": lost} if lost else {})}

    # --- Apps ----------------------------------------------------------------------------------

    def _app_of(self, token: str) -> GithubApp | None:
        """Return the App that signed a claim, None if it is none or not its."""
        parts = token.split(".")
        if len(parts) != 3:
            return None
        raw = [base64.urlsafe_b64decode(one + "=" * (-len(one) % 4)) for one in parts]
        claim = json.loads(raw[1])
        app = self.apps.get(claim["iss"])
        now = self.now().timestamp()
        if app is None or not claim["iat"] <= now <= claim["exp"] <= now + 600:
            return None
        try:
            app.key.verify(raw[2], ".".join(parts[:2]).encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return None
        return app

    def _of_app(self, app: GithubApp, method: str, path: str) -> Any:
        if path == "/app":
            given = {"slug": app.slug, "permissions": app.permissions, "id": 1}
            return 200, description.filled("integration", given)
        if path == "/app/installations":
            rows = [
                {
                    "id": number,
                    "account": self.somebody(owner),
                    "permissions": app.accepted or app.permissions,
                    "repository_selection": "all",
                }
                for number, owner in enumerate(app.owners, 1)
            ]
            return 200, description.filled_answer("GET", path, 200, rows)
        match = re.fullmatch(r"/app/installations/(\d+)/access_tokens", path)
        if match is None or method != "POST":
            return said(401, "A JSON web token is not good for this")
        app.lent += 1
        token, until = f"ghs_{app.id}lent{app.lent:08}", self.now() + timedelta(hours=1)
        self.tokens[token] = Token(f"{app.slug}[bot]", EVERYTHING)
        self.ends[token] = until
        self.owners[token] = app.owners[int(match[1]) - 1]
        given = {"token": token, "expires_at": f"{until:%FT%TZ}", "permissions": app.permissions}
        return 201, description.filled("installation-token", given)


class _GithubHandler(Handler):
    twin: GithubTwin  # pyright: ignore[reportIncompatibleVariableOverride]

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        is_graphql = parts.path == "/api/graphql"
        if not is_graphql and not parts.path.startswith(("/api/v3/", "/api/v1/")):
            self._serve_git(parts.path, parts.query, raw)
            return
        path = "/graphql" if is_graphql else parts.path.removeprefix(API)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        query = parse_qs(parts.query)
        body = json.loads(raw) if raw else {}
        if parts.path.startswith("/api/v1/"):
            status, found = NOT_FOUND
        else:
            status, found = self.twin.answer(self.command, path, query, body, token)
        if status == 0:  # the line is cut
            self.close_connection = True
            return
        self._write(status, found, query, path)

    def _write(self, status: int, found: Any, query: Any, path: str) -> None:
        date = email.utils.format_datetime(self.twin.now(), usegmt=True)
        headers = {"Date": date, "X-GitHub-Request-Id": "1"} | self.twin.headers
        self.twin.headers = {}
        kind = "application/json; charset=utf-8"
        if status == 301:
            headers["Location"], found = f"{self.twin.url}{found}", {"message": "Moved Permanently"}
        if isinstance(found, list) and self.command == "GET":
            found = self._page_of(found, query, path, headers)
        if isinstance(found, bytes):
            content, kind = found, "text/html"
        else:
            content = json.dumps(found).encode()
        signed = self.headers.get("Authorization", "")
        headers |= self.twin.scopes_told(signed.removeprefix("Bearer "))
        if status == 200 and self.command == "GET":
            # of the body alone: a next page does not change it
            told = hashlib.sha256(content + signed.encode()).hexdigest()
            headers["ETag"] = f'W/"{told}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                status, content = 304, b""
                if not self.twin.links_kept:
                    headers.pop("Link", None)
        self.twin.counted += status != 304
        left = max(0, self.twin.limit - self.twin.counted)
        headers.setdefault("X-RateLimit-Remaining", str(left))
        headers.setdefault("X-RateLimit-Limit", str(self.twin.limit))
        self.send_response_only(status)
        for name, value in (headers | {"Content-Type": kind}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 304:
            self.wfile.write(content)

    def _page_of(self, rows: list[Any], query: Any, path: str, headers: Any) -> list[Any]:
        """Return the page asked for; its links name the repository by its number."""
        size = min(int(query.get("per_page", ["30"])[0]), 100)
        page = int(query.get("page", ["1"])[0])
        if page * size < len(rows):
            match = re.match(r"/repos/([^/]+/[^/]+)(/.*)", path)
            if match:
                path = f"/repositories/{self.twin.hosted[match[1]].id}{match[2]}"
            kept = "".join(f"&{name}={value[0]}" for name, value in query.items() if name != "page")
            link = f"{self.twin.url}{API}{path}?page={page + 1}{kept}"
            headers["Link"] = f'<{link}>; rel="next", <{link}>; rel="last"'
        return rows[(page - 1) * size : page * size]

    def _serve_git(self, path: str, query: str, raw: bytes) -> None:
        token = self.twin.git.token_of(self.headers.get("Authorization", ""))
        known = self.twin.tokens.get(token)
        hosted = self.twin.hosted.get(path.lstrip("/").partition(".git")[0])
        is_over = self.twin.is_over(token)
        if known is None or hosted is None or is_over:
            self._refuse_git(401)
        elif "receive-pack" in path + query and known.login not in (*hosted.writers, "acme"):
            self._refuse_git(403)
        else:
            self._answer_git(path, query, raw)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve
