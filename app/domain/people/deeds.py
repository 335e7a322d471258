"""The table of deeds: the role and the token's scope that each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.domain.people.roles import Role, Scope

READ = "read_pages"


@dataclass(frozen=True)
class Need:
    """The needs of a deed: a role, a token's scope, and `is_fresh` a sign-in of 15 minutes.

    With `is_general` it is about no project, so that a role in one does not suffice.
    """

    role: Role
    scope: Scope
    is_fresh: bool = False
    is_general: bool = False


def _all(words: str, rule: Need) -> dict[str, Need]:
    return dict.fromkeys(words.split(), rule)


_OWN = Need(Role.VIEWER, Scope.ADMIN, is_general=True)
_START = Need(Role.USER, Scope.RUNS)
_TALK = Need(Role.USER, Scope.REVIEW)
_OPERATE = Need(Role.OPERATOR, Scope.RUNS)
_REVIEW = Need(Role.OPERATOR, Scope.REVIEW)
_EDIT = Need(Role.OPERATOR, Scope.ADMIN)
_ADMIN = Need(Role.ADMIN, Scope.ADMIN, is_fresh=True, is_general=True)
_FORGES = Need(Role.ADMIN, Scope.ADMIN, is_general=True)


# by the word of the audit; what no sentence of a document names is the operator's
DEEDS: Mapping[str, Need] = {
    # everybody's: reading, and what is one's own
    **_all(f"{READ} read viewed end_token", Need(Role.VIEWER, Scope.READ)),
    **_all("set_subscription sign_out add_device remove_device test_device", _OWN),
    **_all("change_myself remove_session remove_token sign_in_again", _OWN),
    **_all("add_token change_codes", replace(_OWN, is_fresh=True)),
    # starts, stops, retries, answers and comments
    **_all("start preview stop retry resume add_batch add_items bulk abort_bulk", _START),
    "change_run": _START,
    **_all("add_comment change_comment remove_comment request_changes", _TALK),
    **_all("resolve_conflicts fix_ci", _TALK),
    # resets, switches, delivers, discards, merges, closes, lifts limits, edits projects
    **_all("reset auto deliver discard release try_checks_again check_again", _OPERATE),
    **_all("lift reset_key retry_stuck", replace(_OPERATE, is_general=True)),
    **_all("merge cancel_merge close undo approve reject approve_text", _REVIEW),
    **_all("add_issue change_issue", _REVIEW),
    **_all("change_project archive trust make_ready_label", _EDIT),
    **_all("add_template change_template remove_template", _EDIT),
    **_all("add_project test_notifications", replace(_EDIT, is_general=True)),
    "read_audit": Need(Role.OPERATOR, Scope.READ),
    "read_doctor": Need(Role.OPERATOR, Scope.READ, is_general=True),
    # people, tokens of others, the organisation, and what is code on this machine
    **_all("add_organisation change_organisation add_person change_person", _ADMIN),
    **_all("invite_again", _ADMIN),
    **_all("rotate rotate_secrets make_login_link", _ADMIN),
    "change_commands": Need(Role.ADMIN, Scope.ADMIN, is_fresh=True),
    **_all("add_forge change_forge remove_forge check_forge show_hook", _FORGES),
    **_all("read_people read_machine", Need(Role.ADMIN, Scope.READ, is_general=True)),
}
_OTHERS = replace(_EDIT, is_general=True)
# calls whose projects are in the body, or are those of the chosen runs: their routes ask for the
# role in each
ASKED_BY_ROUTES = frozenset(
    {"start", "preview", "add_batch", "discard", "read_audit", "approve", "reject"}
    | {"bulk", "abort_bulk"}
    # of plain forms, whose paths may hold a name
    | {"reset", "auto", "merge"}
)


# what is about the machine: for the organisation of the first start alone
OF_THE_MACHINE = frozenset(
    {"rotate", "rotate_secrets", "make_login_link", "lift", "test_notifications"}
    | {"read_doctor", "read_machine"}
)


def need_of(deed: str) -> Need:
    """Return what a deed needs."""
    return DEEDS.get(deed, _OTHERS)
