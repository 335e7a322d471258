"""CI and reviews of pull requests at Forgejo and Gitea: read, and answered where they stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import cast
from urllib.parse import quote, urljoin, urlsplit

from app.adapters.forge.gitea_reader import GiteaReader
from app.adapters.forge.gitea_rows import Row, author_of, login_of, part_of, path_of, text_of
from app.domain.json.objects import is_object
from app.domain.tracker.ci import Ci, CiState, Reported, ci_of
from app.domain.tracker.forges import Place, is_addressed, mark_of, runs_marked
from app.domain.words import Side
from app.services.ports import FailedJob, ForgeSilent, Repository, Thread, Wish

# of a failed job's log
LOG_LINES, LOG_BYTES = 200, 64 * 1024
MOST_LOGS = 5
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
MOST_PAGES = 20
# reviews that want something; an approval with words wants nothing
_WANTING = ("REQUEST_CHANGES", "COMMENT")


class GiteaReviews(GiteaReader):
    """The words of CI and of people on the pull requests of one forge."""

    # --- CI ------------------------------------------------------------------------------------

    def ci(self, repo: Repository, sha: str) -> Ci:
        """Return what CI says of a commit; of one that the forge does not know, nothing."""
        return ci_of(self._reports(repo, sha))

    def failed_jobs(self, repo: Repository, sha: str) -> list[FailedJob]:
        """Return the jobs that failed for a commit, with logs where the forge's own CI ran them."""
        failed = [one for one in self._reports(repo, sha) if ci_of([one]).state is CiState.FAILED]
        try:
            logs = self._logs(repo, sha) if failed else {}
        except ForgeSilent:
            logs = {}  # names and links help without them, too
        return [FailedJob(one.name, one.url, _log_of(one.name, logs)) for one in failed]

    def _reports(self, repo: Repository, sha: str) -> list[Reported]:
        """Return the newest report of each job for a commit."""
        found: dict[str, Reported] = {}
        path = f"{path_of(repo)}/commits/{quote(sha, safe='')}/status"
        for page in range(1, MOST_PAGES + 1):
            answer = self.client.get(path, {"limit": 50, "page": page})
            if answer.status == 404:
                self._refuse_hidden(repo)
                return []
            if not answer.is_good or not answer.row:
                raise ForgeSilent(f"it answered {answer.status}")
            rows = [one for one in answer.row.get("statuses") or () if is_object(one)]
            before = len(found)
            for row in rows:
                one = self._report(row)
                found.setdefault(one.name, one)
            total = answer.row.get("total_count")
            # one that repeats its pages adds nothing
            if not isinstance(total, int) or len(found) >= total or len(found) == before:
                break
        return list(found.values())

    def _refuse_hidden(self, repo: Repository) -> None:
        """Raise ForgeSilent unless the repository itself is there."""
        home = self.client.get(path_of(repo))
        if not home.is_good or not home.row:
            raise self.missing(repo, home)

    def _report(self, row: Row) -> Reported:
        name = text_of(row, "context").strip() or "CI"
        return Reported(name[:200], text_of(row, "status"), self._link(text_of(row, "target_url")))

    def _link(self, said: str) -> str | None:
        """Return a link that a browser may follow; the forge's own CI gives a path."""
        if not said:
            return None
        link = urljoin(self.client.home, said)
        return link[:2000] if urlsplit(link).scheme in ("http", "https") else None

    def _logs(self, repo: Repository, sha: str) -> dict[str, str]:
        """Return the ends of the logs of failed jobs, by the job's name; none without Actions."""
        home, found = path_of(repo), dict[str, str]()
        runs = self.client.get(f"{home}/actions/runs", {"head_sha": sha, "limit": 50})
        for run in _listed(runs.row, "workflow_runs"):
            if text_of(run, "head_sha") != sha:
                continue  # a forge that does not know the filter lists all runs
            jobs = self.client.get(f"{home}/actions/runs/{_id(run)}/jobs", {"limit": 50})
            for job in _listed(jobs.row, "jobs"):
                name = text_of(job, "name")
                if text_of(job, "conclusion") != "failure" or name in found:
                    continue
                said = self.client.get_text(f"{home}/actions/jobs/{_id(job)}/logs", LOG_BYTES)
                if said is not None:
                    found[name] = "\n".join(said.splitlines()[-LOG_LINES:])
                if len(found) == MOST_LOGS:
                    return found
        return found

    # --- reviews -------------------------------------------------------------------------------

    def wishes(self, repo: Repository, number: int) -> list[Wish]:
        """Return what people who may write to the repository want, oldest first."""
        home = f"/pulls/{number}/reviews"
        found = [(Place.TALK, row) for row in self._talk(repo, number)]
        for review in self.rows(repo, home, {}):
            state = text_of(review, "state")
            if state not in (*_WANTING, "APPROVED") or review.get("dismissed"):
                continue
            if state in _WANTING or is_addressed(text_of(review, "body")):
                found.append((Place.REVIEW, review))
            if review.get("comments_count") != 0:
                lines = self.rows(repo, f"{home}/{_id(review)}/comments", {})
                wanted = [one for one in lines if not part_of(one, "resolver")]
                found += [
                    (Place.LINE, one)
                    for one in wanted
                    if state in _WANTING or is_addressed(text_of(one, "body"))
                ]
        said = [(place, row) for place, row in found if _is_said(row)]
        writers = self.writers(repo) if said else frozenset[int]()
        trusted = [(place, row) for place, row in said if author_of(row) in writers]
        wishes = [_wish(place, row) for place, row in trusted]
        return sorted(wishes, key=lambda one: list(Place).index(one.place))

    def _talk(self, repo: Repository, number: int) -> list[Row]:
        rows = self.rows(repo, f"/issues/{number}/comments", {})
        return [row for row in rows if is_addressed(text_of(row, "body"))]

    # --- answers -------------------------------------------------------------------------------

    def answer(
        self, repo: Repository, number: int, run_id: str, threads: Collection[Thread], words: str
    ) -> None:
        """Answer comments: those on lines there, the others once below the pull request."""
        body = f"{words}\n\n{mark_of(run_id)}"
        lines = [one for one in threads if one.file and one.line]
        is_below = len(lines) < len(threads)
        if lines and not self._is_answered_on_lines(repo, number, run_id):
            comments = [
                {"path": one.file, "body": body, _POSITIONS[one.side]: one.line} for one in lines
            ]
            review = {"event": "COMMENT", "body": "", "comments": comments}
            answer = self.client.send("POST", f"{path_of(repo)}/pulls/{number}/reviews", review)
            # the line may be gone with the commit that answers it
            is_below |= not answer.is_good
        if is_below and not self._is_answered_below(repo, number, run_id):
            path = f"{path_of(repo)}/issues/{number}/comments"
            answer = self.client.send("POST", path, {"body": body})
            if not answer.is_good and not self._is_answered_below(repo, number, run_id):
                raise ForgeSilent(f"the answer was not taken: status {answer.status}")

    def _is_answered_below(self, repo: Repository, number: int, run_id: str) -> bool:
        rows = self.rows(repo, f"/issues/{number}/comments", {})
        return any(run_id in runs_marked(text_of(row, "body")) for row in rows)

    def _is_answered_on_lines(self, repo: Repository, number: int, run_id: str) -> bool:
        home = f"/pulls/{number}/reviews"
        return any(
            run_id in runs_marked(text_of(row, "body"))
            for review in self.rows(repo, home, {})
            if review.get("comments_count") != 0
            for row in self.rows(repo, f"{home}/{_id(review)}/comments", {})
        )


_POSITIONS = {Side.NEW: "new_position", Side.OLD: "old_position"}


def _is_said(row: Row) -> bool:
    """Return True for words of a person: an answer of ours is marked."""
    body = text_of(row, "body")
    return bool(body.strip()) and not runs_marked(body)


def _wish(place: Place, row: Row) -> Wish:
    sha = text_of(row, "commit_id")
    new, old = _line(row, "position"), _line(row, "original_position")
    return Wish(
        place=place,
        id=_id(row),
        author=login_of(row),
        text=text_of(row, "body"),
        file=text_of(row, "path") or None,
        line=new or old,
        side=Side.NEW if new or not old else Side.OLD,
        sha=sha if place is Place.LINE and _SHA.fullmatch(sha) else "",
    )


def _id(row: Row) -> int:
    value = row.get("id")
    if not isinstance(value, int):
        raise ForgeSilent("its answer has no id")
    return value


def _line(row: Row, name: str) -> int | None:
    value = row.get(name)
    return value if isinstance(value, int) and 0 < value < 2**31 else None


def _listed(row: Row, name: str) -> Iterator[Row]:
    rows: object = row.get(name)
    known = cast(list[object], rows) if isinstance(rows, list) else []
    return (one for one in known if is_object(one))


def _log_of(name: str, logs: dict[str, str]) -> str:
    """Return the log of a job; the forge's own CI reports it as `workflow / job (event)`."""
    job = name.rpartition(" (")[0] or name
    return logs.get(name) or logs.get(job.rpartition(" / ")[2]) or ""
