"""A real Forgejo, Gitea or GitHub as the far side of the contract, by address and token alone."""

from __future__ import annotations

import base64
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.forge.client import ForgeClient
from app.adapters.forge.gitea import GiteaForge
from app.adapters.forge.github.client import GithubClient, TokenSignIn
from app.adapters.forge.github.forge import GithubForge
from app.adapters.forge.github.probe import api_of
from app.adapters.forge.probe import find_kind
from app.adapters.forge.tracked import RemoteForge, TrackedForge
from app.domain.tracker.forges import ForgeKind, clean_address
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.services.ports import Forge, Repository
from tests.builders.rows import draft_project, opened_database, stores_on

URL, TOKEN = "RUNYARD_TEST_FORGE_URL", "RUNYARD_TEST_FORGE_TOKEN"
SECONDS = 30.0


def is_named() -> bool:
    """Return True if the environment names a server."""
    return bool(os.environ.get(URL) and os.environ.get(TOKEN))


class ServerSide:
    """A server that the environment names; each project is a repository made for it.

    The repositories belong to the token's account. Other people's comments need a token of an
    administrator of a Forgejo or Gitea, who makes accounts for them. All of that is deleted at the
    end; what the server does not delete fails the tests by its name.
    """

    def __init__(self, folder: Path) -> None:
        address, token = clean_address(os.environ[URL]), os.environ[TOKEN]
        self._kind, _ = find_kind(address)
        self._is_github = self._kind is ForgeKind.GITHUB
        self._database = opened_database(folder / "forge.db", lambda _: None)
        self._stores = stores_on(self._database)
        self._tracker = TrackerLedger(self._stores)
        if self._is_github:
            github = GithubClient(api_of(address), TokenSignIn(token))
            self._client: ForgeClient = github
            self._remote: RemoteForge = GithubForge(github)
        else:
            self._client = ForgeClient(f"{address}/api/v1", token)
            self._remote = GiteaForge(self._client)
        self.forge: Forge = TrackedForge(self._remote, self._tracker)
        api = api_of(address) if self._is_github else f"{address}/api/v1"
        scheme = "Bearer" if self._is_github else "token"
        headers = {"Authorization": f"{scheme} {token}"}
        self._http = httpx.Client(base_url=api, headers=headers, timeout=SECONDS, trust_env=False)
        self._me: dict[str, Any] = self._ask("GET", "/user")
        self._made: list[str] = []
        # logins that were made here, by the names of the tests
        self._people: dict[str, str] = {}

    def add_project(self) -> Repository:
        """Create a repository with one commit on main, and its project."""
        name = f"runyard-contract-{uuid.uuid4().hex[:12]}"
        body = {"name": name, "auto_init": True, "private": True}
        body |= {} if self._is_github else {"default_branch": "main"}
        row = self._ask("POST", "/user/repos", body)
        self._made.append(row["full_name"])
        project = draft_project(id=f"proj_{len(self._made)}", name=name)
        ProjectLedger(self._stores).insert(project)
        return Repository(project.id, row["clone_url"], full_name=row["full_name"])

    def write(self, repo: Repository, title: str, body: str = "", labels: Any = ()) -> int:
        """Create an issue; return its number."""
        known = {one: self._label(repo, one) for one in dict.fromkeys(labels)}
        given = [*known] if self._is_github else [*known.values()]
        row = self._ask("POST", f"{_at(repo)}/issues", {"title": title, "body": body})
        number: int = row["number"]
        if given:
            self._ask("POST", f"{_at(repo)}/issues/{number}/labels", {"labels": given})
        return number

    def close(self, repo: Repository, number: int) -> None:
        """Close an issue."""
        self._ask("PATCH", f"{_at(repo)}/issues/{number}", {"state": "closed"})

    def end(self, repo: Repository, number: int, state: str, because: str = "") -> None:
        """Merge a pull request, or close it as a person does here."""
        sha = None
        if state == "merged":
            head = self._ask("GET", f"{_at(repo)}/pulls/{number}")["head"]["sha"]
            merged = self._remote.merge(repo, number, head_sha=head, message="Merge")
            assert merged.sha, merged.because
            sha = merged.sha
        else:
            self._remote.close(repo, number, because)
        self._tracker.end_change(
            repo.project_id,
            number,
            state=state,
            now=datetime.now(UTC),
            merged_sha=sha,
            because=because or None,
        )

    def say(self, repo: Repository, number: int, author: str, body: str) -> str:
        """Comment on an issue as somebody who may write there; return that account's login."""
        if not self._me.get("is_admin"):
            pytest.skip("the token is no administrator's: nobody else can be made to comment")
        login = self._people.get(author) or self._add_person(author)
        self._ask("PUT", f"{_at(repo)}/collaborators/{login}", {"permission": "write"})
        below = f"{_at(repo)}/issues/{number}/comments"
        self._ask("POST", below, {"body": body}, {"Sudo": login})
        return login

    def push(self, repo: Repository, branch: str) -> None:
        """Commit a file on a branch, which begins at main if it is new."""
        name = f"{uuid.uuid4().hex}.txt"
        there = self._http.get(f"{_at(repo)}/branches/{branch}").status_code == 200
        content = base64.b64encode(b"made\n").decode()
        body: dict[str, Any] = {"message": f"Add {name}", "content": content}
        if self._is_github:
            if not there:
                tip = self._ask("GET", f"{_at(repo)}/git/ref/heads/main")["object"]["sha"]
                order = {"ref": f"refs/heads/{branch}", "sha": tip}
                self._ask("POST", f"{_at(repo)}/git/refs", order)
            self._ask("PUT", f"{_at(repo)}/contents/{name}", body | {"branch": branch})
            return
        where = {"branch": branch} if there else {"branch": "main", "new_branch": branch}
        self._ask("POST", f"{_at(repo)}/contents/{name}", body | where)

    def leave(self) -> None:
        """Delete the repositories and accounts, and close everything."""
        places = [f"/repos/{name}" for name in self._made]
        places += [f"/admin/users/{login}?purge=true" for login in self._people.values()]
        left = [one for one in places if not self._http.delete(one).is_success]
        self._http.close()
        self._client.close()
        self._database.close()
        assert not left, f"still at the server, delete by hand: {', '.join(left)}"

    def _label(self, repo: Repository, name: str) -> int:
        """Return the id of a label, which is made if it is missing."""
        rows = self._ask("GET", f"{_at(repo)}/labels")
        found = next((one["id"] for one in rows if one["name"] == name), None)
        if found is not None:
            return found
        if self._is_github and any(one["name"].lower() == name.lower() for one in rows):
            pytest.skip("GitHub keeps no two labels whose names differ only by case")
        color = "00aabb" if self._is_github else "#00aabb"
        return self._ask("POST", f"{_at(repo)}/labels", {"name": name, "color": color})["id"]

    def _add_person(self, name: str) -> str:
        # nobody's own account of that name is used
        login = f"runyard-contract-{name}-{uuid.uuid4().hex[:8]}"
        order = {"username": login, "email": f"{login}@example.org"}
        order |= {"password": uuid.uuid4().hex}
        given: dict[str, Any] = order | {"must_change_password": False}
        self._ask("POST", "/admin/users", given)
        self._people[name] = login
        return login

    def _ask(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        answer = self._http.request(method, path, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None


def _at(repo: Repository) -> str:
    return f"/repos/{repo.full_name}"
