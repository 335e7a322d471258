"""A night of unattended work: a project with a check, an agent that obeys, and what it all left."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.builders.repositories import run_git
from tests.builders.scenes import add_project, wait_until_released
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents import resolves

# Does what its issue says, then what a check or a person says. Arguments: prompt, Python, resolver.
AGENT = r"""
prompt=$(cat "$1")
own=notes/$(echo "$RUNYARD_BRANCH" | tr / -).txt
is_told() { case $prompt in *"$1"*) true ;; *) false ;; esac; }
commit() {
    git add -A
    git diff --cached --quiet && return
    git -c user.name=Agent -c user.email=agent@example.test commit -qm "$1"
}
wish=$(sed -n 's/^> Write: //p' "$1" | tail -n 1)
mkdir -p notes
if is_told "conflicts in these files:"; then exec "$2" "$3"
elif [ -n "$wish" ]; then echo "$wish" > "$own"; commit "Write what the review asks for"
elif is_told "please need the table" && ! [ -f table.sql ]; then
    echo "Traceback: no such table"
    exit 7
elif is_told "please collide"; then echo "$RUNYARD_BRANCH" > shared.txt; commit "Round"
elif is_told "TODO: forgotten"; then echo repaired > "$own"; commit "Repair it"
elif is_told "please forget"; then echo "TODO: forgotten" > "$own"; commit "Begin"
elif is_told "please leave the end to me"; then echo "TODO: ask" > "$own"; commit "Begin"
else echo written > "$own"; commit "Write it"
fi
"""
FINISHED = "! grep -rn --include='*.txt' TODO ."
CHECK = {"name": "Finished", "command": ["sh", "-c", FINISHED], "timeout_seconds": 60}
READY = ["ready-for-agent"]


class Night:
    """A project whose red work is delivered as a draft; its issues, and what became of them."""

    def __init__(
        self, server: RunyardServer, folder: Path, name: str, *, check_rounds: int = 0
    ) -> None:
        self._server, self.origin = server, folder / "origin"
        script = folder / "agent.sh"
        script.write_text(AGENT)
        argv = ["/bin/sh", "-e", str(script), "{prompt_file}", sys.executable, resolves.__file__]
        how = {"checks": [CHECK], "check_rounds": check_rounds, "on_red": "deliver"}
        self.project = add_project(server, folder, argv, name=name, **how)

    def add_issues(self, issues: Iterable[tuple[str, str]]) -> list[int]:
        """Add issues by title and body, ready for the agent; return their numbers."""
        numbers: list[int] = []
        with self._server.client() as client:
            for title, body in issues:
                issue = {"title": title, "body": body, "labels": READY}
                answer = client.post(f"/projects/{self.project}/issues", json=issue)
                assert answer.status_code == 201, answer.text
                numbers.append(answer.json()["number"])
        return numbers

    def work_off(self, issues: Iterable[tuple[str, str]]) -> None:
        """Have issues worked on by hand, one after the other."""
        for number in self.add_issues(issues):
            with self._server.client() as client:
                path = f"/projects/{self.project}/afk/start"
                answer = client.post(path, json={"issue": number})
            assert answer.status_code == 201, answer.text
            wait_until_released(self._server, answer.json()["id"])

    def spend(self, issues: Sequence[tuple[str, str]], *, waiting: int) -> None:
        """Let the loop work on issues by itself, until so many items wait for a person."""
        self.add_issues(issues)
        with self._server.client() as client:
            answer = client.patch(f"/projects/{self.project}", json={"auto_enabled": True})
            assert answer.status_code == 200, answer.text
            # one at a time: each may take as long as a test is patient
            for count in range(1, waiting + 1):
                wait_for(client, "/inbox", lambda it, count=count: len(it["items"]) >= count)

    # --- what it left --------------------------------------------------------------------------

    def files_at_base(self) -> set[str]:
        """Return the names of the files of origin's main branch."""
        return set(run_git(self.origin, "ls-tree", "-r", "--name-only", "main").split())

    def text_at_base(self, name: str) -> str:
        """Return a file of origin's main branch."""
        return run_git(self.origin, "show", f"main:{name}")

    def states_of_changes(self) -> dict[str, int]:
        """Return how many changes are open, merged and closed."""
        return dict(Counter(one["state"] for one in self._items("changes")))

    def states_of_issues(self) -> dict[str, list[int]]:
        """Return the numbers of the issues by state."""
        found: dict[str, list[int]] = {}
        for one in self._items("issues"):
            found.setdefault(one["state"], []).append(one["number"])
        return found

    def waiting(self) -> list[str]:
        """Return the titles of what waits in the inbox for this project."""
        found = self._get("/inbox")["items"]
        return [one["title"] for one in found if one["project_id"] == self.project]

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, oldest first."""
        path = f"/runs?project_id={self.project}&limit=100"
        return list(reversed(self._get(path)["items"]))

    def checks_of(self, run: dict[str, Any]) -> list[str]:
        """Return the status of each check of a run."""
        return [one["status"] for one in self._get(f"/runs/{run['id']}/checks")["items"]]

    def told(self, run: dict[str, Any]) -> str:
        """Return the first prompt of a run."""
        return str(self._get(f"/runs/{run['id']}/prompt")["turns"][0]["text"])

    def _items(self, what: str) -> list[dict[str, Any]]:
        return list(self._get(f"/projects/{self.project}/{what}")["items"])

    def _get(self, path: str) -> Any:
        with self._server.client() as client:
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            return answer.json()
