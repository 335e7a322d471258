"""The git side of a forge twin: bare repositories, served by git's own http-backend."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

_WHO = ["-c", "user.name=acme", "-c", "user.email=acme@example.org"]


class GitSide:
    """Bare repositories below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "repositories"
        self._folder.mkdir(parents=True)
        self._folder_of_work = folder / "work"
        self._folder_of_work.mkdir()

    def run(self, *args: str, at: Path, check: bool = True) -> str:
        """Run git and return what it printed."""
        argv = ["git", *_WHO, *args]
        done = subprocess.run(argv, cwd=at, check=check, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    def create(self, name: str) -> Path:
        """Create a bare repository with one commit on main."""
        place = self._folder / f"{name}.git"
        place.mkdir(parents=True)
        self.run("init", "-q", "--bare", "-b", "main", ".", at=place)
        self.run("config", "http.receivepack", "true", at=place)
        tree = self.run("mktree", at=place) or ""
        empty = tree or "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        self.run("hash-object", "-t", "tree", "-w", "/dev/null", at=place)
        commit = self.run("commit-tree", empty, "-m", "Begin", at=place)
        self.run("update-ref", "refs/heads/main", commit, at=place)
        return place

    def commit(self, place: Path, branch: str, file: str, text: str, base: str = "main") -> str:
        """Commit a file on a branch, which begins at `base` if it is new."""
        work = self._folder_of_work / f"{len(list(self._folder_of_work.iterdir()))}"
        self.run("clone", "-q", str(place), str(work), at=self._folder_of_work)
        known = self.tip(place, branch)
        self.run("checkout", "-q", "-B", branch, f"origin/{branch if known else base}", at=work)
        (work / file).parent.mkdir(parents=True, exist_ok=True)
        (work / file).write_text(text)
        self.run("add", "-A", at=work)
        self.run("commit", "-qm", f"Change {file}", at=work)
        self.run("push", "-q", "origin", branch, at=work)
        return self.tip(place, branch)

    def tip(self, place: Path, branch: str) -> str:
        """Return a branch's commit, "" if there is none."""
        return self.run(
            "rev-parse", "-q", "--verify", f"refs/heads/{branch}", at=place, check=False
        )

    def base_of(self, place: Path, one: str, other: str) -> str:
        """Return where two commits parted."""
        return self.run("merge-base", one, other, at=place, check=False)

    def is_mergeable(self, place: Path, base: str, head: str) -> bool:
        """Return True if a merge has no conflicts."""
        argv = ["git", "merge-tree", "--write-tree", base, head]
        return subprocess.run(argv, cwd=place, capture_output=True).returncode == 0

    def merge(
        self, place: Path, base: str, head: str, message: str, *, is_flat: bool = False
    ) -> str:
        """Merge a commit into a branch, as one commit if `is_flat`; return the new commit."""
        ours = self.tip(place, base)
        tree = self.run("merge-tree", "--write-tree", ours, head, at=place).splitlines()[0]
        parents = ("-p", ours) if is_flat else ("-p", ours, "-p", head)
        args = ("commit-tree", tree, *parents, "-m", message)
        made = self.run(*args, at=place)
        self.run("update-ref", f"refs/heads/{base}", made, at=place)
        return made

    @staticmethod
    def token_of(authorization: str) -> str:
        """Return the token of a git call: the password, or the user name without one."""
        if not authorization.startswith("Basic "):
            return ""
        name, _, password = base64.b64decode(authorization[6:]).decode().partition(":")
        return password or name

    def serve(
        self, method: str, path: str, query: str, sent: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one call of git's protocol."""
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "bot",
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": sent.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": sent.get("Content-Encoding", ""),
            "GIT_PROTOCOL": sent.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        return status, headers, content
