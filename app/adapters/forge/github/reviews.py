"""CI and reviews of pull requests at GitHub: read, and answered where they stand."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlsplit

from app.adapters.forge.gitea_reviews import LOG_BYTES, LOG_LINES, MOST_LOGS, MOST_PAGES
from app.adapters.forge.gitea_rows import Row, author_of, login_of, part_of, path_of, text_of
from app.adapters.forge.github.reader import GithubReader
from app.domain.json.objects import is_object
from app.domain.tracker.ci import Ci, CiState, Reported, ci_of
from app.domain.tracker.forges import Place, is_addressed, mark_of, runs_marked
from app.domain.words import Side
from app.services.ports import FailedJob, ForgeSilent, Repository, Thread, Wish

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# reviews that want something; an approval with words wants nothing
_WANTING = ("CHANGES_REQUESTED", "COMMENTED")
# the ends of check runs in the words of statuses; any other one says nothing
_ENDS = {
    **dict.fromkeys(("success", "neutral", "skipped"), "success"),
    **dict.fromkeys(("failure", "timed_out", "cancelled", "action_required"), "failure"),
    "startup_failure": "failure",
}
# how often a list that is cut short is read
MOST_READ = 2
# of a check run's log: what its annotations may take
MOST_NOTED = LOG_LINES // 2
# REST does not tell which threads are resolved; a thread is known by its first comment
_THREADS = (
    "query($owner: String!, $name: String!, $number: Int!, $after: String) {"
    " repository(owner: $owner, name: $name) { pullRequest(number: $number) {"
    " reviewThreads(first: 100, after: $after) {"
    " nodes { isResolved comments(first: 1) { nodes { id } } }"
    " pageInfo { hasNextPage endCursor } } } } }"
)
_SIDES = {"LEFT": Side.OLD, "RIGHT": Side.NEW}
_NAMES = {side: name for name, side in _SIDES.items()}
Spot = tuple[str, int | None, Side]


@dataclass(frozen=True)
class _Told:
    """The statuses and check runs of a commit; `silence` is why some of them cannot be read."""

    statuses: list[Row]
    runs: list[Row]
    silence: ForgeSilent | None


class GithubReviews(GithubReader):
    """The words of CI and of people on the pull requests of GitHub's repositories."""

    # --- CI ------------------------------------------------------------------------------------

    def ci(self, repo: Repository, sha: str) -> Ci:
        """Return what CI says of a commit; of one that GitHub does not know, nothing."""
        told = self._told(repo, sha)
        reports = [*map(_reported, told.statuses), *map(_ran, told.runs)]
        found = _worst(reports)
        if found.state is CiState.FAILED:
            return found
        # the rest may have failed: what was told is not all of it
        if told.silence is not None:
            raise told.silence
        if found.state is CiState.PENDING:
            return found
        if untold := [one.name for one in reports if not _is_told(one)]:
            words = f"it does not say whether {untold[0]} passed"
            raise ForgeSilent(words, needs_attention=True)
        # a job that waits for another one has no check run yet
        if told.runs and self._is_under_way(repo, sha):
            return Ci(CiState.PENDING, found.url)
        return found

    def failed_jobs(self, repo: Repository, sha: str) -> list[FailedJob]:
        """Return the jobs that failed for a commit, with what check runs say of their end."""
        told = self._told(repo, sha)
        reports = map(_reported, told.statuses)
        found = [FailedJob(one.name, one.url) for one in reports if _is_failed(one)]
        runs = [row for row in told.runs if _is_failed(_ran(row))]
        for at, row in enumerate(runs):
            one = _ran(row)
            log = self._log(repo, row) if at < MOST_LOGS else ""
            found.append(FailedJob(one.name, one.url, log))
        if not found and told.silence is not None:
            raise told.silence
        return found

    def _told(self, repo: Repository, sha: str) -> _Told:
        """Return what may be read of a commit's statuses and check runs. Raises ForgeSilent."""
        rows: dict[str, list[Row]] = {}
        silence: ForgeSilent | None = None
        for below, member in (("status", "statuses"), ("check-runs", "check_runs")):
            params = {"filter": "latest"} if member == "check_runs" else {}
            try:
                rows[member] = self._of_commit(repo, sha, below, member, params)
            except ForgeSilent as refused:
                # a token may read the one and not the other
                if not refused.needs_attention:
                    raise
                rows[member], silence = [], refused
        return _Told(rows["statuses"], rows["check_runs"], silence)

    def _is_under_way(self, repo: Repository, sha: str) -> bool:
        """Return True if a check suite of a commit that has runs is not completed."""
        # GitHub makes one for every App, and those that run nothing stay queued for good
        suites = self._of_commit(repo, sha, "check-suites", "check_suites", {})
        return any(
            row.get("latest_check_runs_count") != 0 and row.get("status") != "completed"
            for row in suites
        )

    def _of_commit(
        self, repo: Repository, sha: str, below: str, member: str, params: Mapping[str, Any]
    ) -> list[Row]:
        """Return a list about a commit, all of it; it is empty for one that is not there."""
        told = ""
        # it may change while it is read
        for _ in range(MOST_READ):
            found: dict[int, Row] = {}
            path = f"{path_of(repo)}/commits/{quote(sha, safe='')}/{below}"
            for page in range(1, MOST_PAGES + 1):
                answer = self.client.get(path, {**params, "per_page": 100, "page": page})
                if answer.status in (404, 422):
                    # unless the repository itself is hidden
                    self.home(repo)
                    return []
                if not answer.is_good or not answer.row:
                    raise ForgeSilent(f"it answered {answer.status}")
                before = len(found)
                found |= {_id(row): row for row in _listed(answer.row, member)}
                total = answer.row.get("total_count")
                if not isinstance(total, int) or len(found) >= total:
                    return list(found.values())
                told = f"{len(found)} of {total}"
                # one that repeats its pages adds nothing
                if len(found) == before:
                    break
        words = f"it shows {told} {member.replace('_', ' ')}"
        raise ForgeSilent(words, needs_attention=True)

    def _log(self, repo: Repository, run: Row) -> str:
        """Return what a check run says of its end: its texts, then its annotations.

        The logs of jobs are on another host, which is never asked.
        """
        output = part_of(run, "output")
        told = [text_of(output, name) for name in ("title", "summary", "text")]
        words = [line for one in told for line in one.splitlines()]
        noted: list[str] = []
        if output.get("annotations_count") != 0:
            try:
                path = f"{path_of(repo)}/check-runs/{_id(run)}/annotations"
                noted = _noted(self.client.get(path, {"per_page": 50}).body)[:MOST_NOTED]
            except ForgeSilent:
                pass  # the names and the texts help without them, too
        lines = [*words[-(LOG_LINES - len(noted)) :], *noted]
        whole = "\n".join(lines).encode()
        return whole[-LOG_BYTES:].decode(errors="ignore")

    # --- reviews -------------------------------------------------------------------------------

    def wishes(self, repo: Repository, number: int) -> list[Wish]:
        """Return what people who may write to the repository want, oldest first."""
        talk = self.rows(repo, f"/issues/{number}/comments", {})
        found = [(Place.TALK, row) for row in talk if is_addressed(text_of(row, "body"))]
        reviews = self.rows(repo, f"/pulls/{number}/reviews", {})
        states = {_id(one): text_of(one, "state") for one in reviews}
        found += [(Place.REVIEW, one) for one in reviews if _is_wanting(states[_id(one)], one)]
        lines = self.rows(repo, f"/pulls/{number}/comments", {})
        for row in lines:
            # one whose review is not shown stands alone
            state = states.get(row.get("pull_request_review_id") or 0, "COMMENTED")
            if _is_wanting(state, row):
                found.append((Place.LINE, row))
        said = [(place, row) for place, row in found if _is_said(row)]
        writers = self.writers(repo) if said else frozenset[int]()
        trusted = [(place, row) for place, row in said if author_of(row) in writers]
        if any(place is Place.LINE for place, _ in trusted):
            over = self._resolved(repo, number, lines)
            trusted = [
                (place, row)
                for place, row in trusted
                if place is not Place.LINE or _thread_of(row) not in over
            ]
        return [_wish(place, row) for place, row in trusted]

    def _resolved(self, repo: Repository, number: int, lines: Collection[Row]) -> set[int]:
        """Return the first comments of the threads that somebody resolved."""
        names: set[str] = set()
        after: str | None = None
        for _ in range(MOST_PAGES):
            told = self.question(repo, _THREADS, number=number, after=after)
            threads = part_of(part_of(told, "pullRequest"), "reviewThreads")
            if "nodes" not in threads:
                raise ForgeSilent("it does not tell which threads are resolved")
            for thread in _listed(threads, "nodes"):
                if thread.get("isResolved"):
                    comments = part_of(thread, "comments")
                    names |= {text_of(one, "id") for one in _listed(comments, "nodes")}
            page = part_of(threads, "pageInfo")
            after = text_of(page, "endCursor")
            if not page.get("hasNextPage") or not after:
                break
        return {_id(row) for row in lines if text_of(row, "node_id") in names}

    # --- answers -------------------------------------------------------------------------------

    def answer(
        self, repo: Repository, number: int, run_id: str, threads: Collection[Thread], words: str
    ) -> None:
        """Answer comments: those on lines there, the others once below the pull request."""
        body = f"{words}\n\n{mark_of(run_id)}"
        spots = dict.fromkeys(
            (one.file, one.line, one.side) for one in threads if one.file and one.line
        )
        is_below = any(not (one.file and one.line) for one in threads)
        if spots:
            rows = self.rows(repo, f"/pulls/{number}/comments", {})
            lost = [
                spot for spot in spots if not self._reply(repo, number, run_id, rows, spot, body)
            ]
            # the lines may be gone with the commit that answers them
            is_below |= bool(lost) and not self._review(repo, number, lost, body)
        if is_below and not self._is_answered_below(repo, number, run_id):
            path = f"{path_of(repo)}/issues/{number}/comments"
            answer = self.client.send("POST", path, {"body": body})
            if not answer.is_good and not self._is_answered_below(repo, number, run_id):
                raise ForgeSilent(f"the answer was not taken: status {answer.status}")

    def _reply(
        self,
        repo: Repository,
        number: int,
        run_id: str,
        rows: Collection[Row],
        spot: Spot,
        body: str,
    ) -> bool:
        """Reply in the threads of people at a line, once for a run; False if none takes it."""
        writers = self.writers(repo)
        by_thread: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            if _spot_of(row) == spot:
                by_thread[_thread_of(row)].append(row)
        is_answered = False
        for thread, said in by_thread.items():
            if any(run_id in runs_marked(text_of(row, "body")) for row in said):
                is_answered = True
                continue
            if any(author_of(row) in writers and _is_said(row) for row in said):
                path = f"{path_of(repo)}/pulls/{number}/comments/{thread}/replies"
                is_answered |= _is_taken(self.client.send("POST", path, {"body": body}))
        return is_answered

    def _review(self, repo: Repository, number: int, spots: Collection[Spot], body: str) -> bool:
        """Say it on lines whose comments are gone; False if GitHub does not take it there."""
        comments = [
            {"path": file, "line": line, "side": _NAMES[side], "body": body}
            for file, line, side in spots
        ]
        review = {"event": "COMMENT", "comments": comments}
        return _is_taken(
            self.client.send("POST", f"{path_of(repo)}/pulls/{number}/reviews", review)
        )

    def _is_answered_below(self, repo: Repository, number: int, run_id: str) -> bool:
        rows = self.rows(repo, f"/issues/{number}/comments", {})
        return any(run_id in runs_marked(text_of(row, "body")) for row in rows)


def _is_taken(answer: Any) -> bool:
    """Return True for what was written. Raises ForgeSilent if only reading tells."""
    if answer.status >= 500:
        raise ForgeSilent(f"it answered {answer.status}")
    return answer.is_good


def _reported(row: Row) -> Reported:
    """Return what a status reports."""
    name = text_of(row, "context").strip() or "CI"
    return Reported(name[:200], text_of(row, "state"), _link(text_of(row, "target_url")))


def _ran(row: Row) -> Reported:
    """Return what a check run reports."""
    is_over = row.get("status") == "completed"
    state = _ENDS.get(text_of(row, "conclusion"), "") if is_over else "pending"
    name = text_of(row, "name").strip() or "CI"
    link = _link(text_of(row, "html_url")) or _link(text_of(row, "details_url"))
    return Reported(name[:200], state, link)


def _link(said: str) -> str | None:
    """Return a link that a browser may follow."""
    return said[:2000] if urlsplit(said).scheme in ("http", "https") else None


def _worst(reports: Iterable[Reported]) -> Ci:
    """Return the state of all reports, each name once."""
    found: dict[str, Reported] = {}
    for one in reports:
        # two events may each run a job of this name: the worse one counts
        known = [found[one.name]] if one.name in found else []
        is_worse = not known or ci_of([*known, one]).state is not ci_of(known).state
        found[one.name] = one if is_worse else found[one.name]
    return ci_of(found.values())


def _is_told(one: Reported) -> bool:
    """Return False for an end that says nothing, such as that of a job that became stale."""
    return ci_of([one]).state is not CiState.UNKNOWN


def _is_failed(one: Reported) -> bool:
    return ci_of([one]).state is CiState.FAILED


def _noted(rows: object) -> list[str]:
    """Return the lines of annotations, each with its place."""
    known = cast(list[object], rows) if isinstance(rows, list) else []
    found: list[str] = []
    for row in filter(is_object, known):
        words = text_of(row, "message") or text_of(row, "title")
        found += f"{text_of(row, 'path')}:{row.get('start_line')}: {words}".splitlines()
    return found


def _is_wanting(state: str, row: Row) -> bool:
    """Return True for words that want something, in a review or on its lines."""
    return state in _WANTING or (state == "APPROVED" and is_addressed(text_of(row, "body")))


def _is_said(row: Row) -> bool:
    """Return True for words of a person: an answer of ours is marked."""
    body = text_of(row, "body")
    return bool(body.strip()) and not runs_marked(body)


def _wish(place: Place, row: Row) -> Wish:
    file, line, side = _spot_of(row)
    sha = text_of(row, "original_commit_id")
    return Wish(
        place=place,
        id=_id(row),
        author=login_of(row),
        text=text_of(row, "body"),
        file=file or None,
        line=line,
        side=side,
        sha=sha if place is Place.LINE and _SHA.fullmatch(sha) else "",
    )


def _spot_of(row: Row) -> Spot:
    """Return where a comment was written; a line that is gone since has no other place."""
    line = _line(row, "original_line") or _line(row, "line")
    return text_of(row, "path"), line, _SIDES.get(text_of(row, "side"), Side.NEW)


def _thread_of(row: Row) -> int:
    """Return the first comment of a comment's thread."""
    first = row.get("in_reply_to_id")
    return first if isinstance(first, int) else _id(row)


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
