"""The calls of the inbox, the report, the search and reviews; see `app/api/client/calls.py`."""
# stands alone: that file is full

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.api.client.protocol import Call, only_given

if TYPE_CHECKING:
    from app.api import schemas


def inbox() -> Call[list[schemas.InboxItem]]:
    """Return everything over all projects that waits for a person."""
    return Call("GET", "/inbox", "InboxOut", takes_items=True)


def unread() -> Call[schemas.UnreadOut]:
    """Return the items of the inbox that this person has not read."""
    return Call("GET", "/inbox/unread", "UnreadOut")


def read_items(ids: Sequence[str] | None) -> Call[schemas.UnreadOut]:
    """Mark items of the inbox as read, all with None; return those that are still unread."""
    return Call("POST", "/inbox/read", "UnreadOut", body={"ids": ids})


def report() -> Call[schemas.ReportOfRuns]:
    """Return the sums of the runs that ended since this person's last visit."""
    return Call("GET", "/report", "ReportOfRuns")


def search(text: str) -> Call[schemas.SearchOut]:
    """Return the projects, issues, change requests and runs that these words name."""
    return Call("GET", "/search", "SearchOut", params={"q": text})


def _change(project_id: str, number: int, rest: str) -> str:
    return f"/projects/{quote(project_id, safe='')}/changes/{number}{rest}"


def change_files(project_id: str, number: int) -> Call[list[schemas.ChangeFile]]:
    """Return the files of a change request, by path."""
    return Call("GET", _change(project_id, number, "/files"), "ChangeFiles", takes_items=True)


def change_history(project_id: str, number: int) -> Call[schemas.ChangeHistoryOut]:
    """Return the commits of a change request, and what people asked for on it."""
    return Call("GET", _change(project_id, number, "/history"), "ChangeHistoryOut")


def change_comments(project_id: str, number: int) -> Call[list[schemas.ChangeCommentOut]]:
    """Return the comments on a change request that were sent, and this person's drafts."""
    return Call("GET", _change(project_id, number, "/comments"), "ChangeComments", takes_items=True)


def comment_on_change(
    project_id: str,
    number: int,
    text: str,
    file: str | None = None,
    line: int | None = None,
    side: str | None = None,
) -> Call[schemas.ChangeCommentOut]:
    """Write a draft: on a line, on a file, or on the whole change request."""
    body = only_given({"text": text, "file": file, "line": line, "side": side})
    return Call("POST", _change(project_id, number, "/comments"), "ChangeCommentOut", body=body)


def edit_comment(
    project_id: str, number: int, comment: int, text: str
) -> Call[schemas.ChangeCommentOut]:
    """Change the text of a draft."""
    path = _change(project_id, number, f"/comments/{comment}")
    return Call("PATCH", path, "ChangeCommentOut", body={"text": text})


def delete_comment(project_id: str, number: int, comment: int) -> Call[None]:
    """Delete a draft."""
    return Call("DELETE", _change(project_id, number, f"/comments/{comment}"))


def mark_viewed(project_id: str, number: int, path: str, *, viewed: bool) -> Call[None]:
    """Mark a file of a change request as viewed, or not."""
    body = {"path": path, "viewed": viewed}
    return Call("PUT", _change(project_id, number, "/files/viewed"), body=body)


def file_diff(project_id: str, number: int, path: str) -> Call[bytes]:
    """Return the unified diff of one file of a change request."""
    return Call("GET", _change(project_id, number, "/diff"), params={"file": path})


def request_changes(
    project_id: str,
    number: int,
    text: str | None = None,
    comments: list[int] | None = None,
    key: str | None = None,
) -> Call[schemas.RunOut]:
    """Send drafts to an agent, with a text; without `comments`, all of them."""
    body = only_given({"text": text, "comments": comments})
    path = _change(project_id, number, "/request-changes")
    return Call("POST", path, "RunOut", body=body, key=key)


def fix_ci(project_id: str, number: int, key: str | None = None) -> Call[schemas.RunOut]:
    """Have an agent fix what CI found wrong with a change request."""
    return Call("POST", _change(project_id, number, "/fix-ci"), "RunOut", key=key)


def resolve_conflicts(project_id: str, number: int, key: str | None = None) -> Call[schemas.RunOut]:
    """Have an agent resolve the conflicts of a change request."""
    return Call("POST", _change(project_id, number, "/resolve"), "RunOut", key=key)
