"""The audit: actions of people and of the loop, each written in the transaction that performs it.

Rows are never changed. Each has the hash of the row before; writers take turns on either kind of
database, so the last row that a transaction sees really is the last one.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, select
from sqlmodel import Session, SQLModel

from app.domain import ids
from app.records.stores.sessions import SHARED, OnlyOneStore, control_of
from app.records.tables import Outgoing
from app.records.tables.people import DEFAULT_ORGANISATION

if TYPE_CHECKING:
    from app.records.database.database import Transaction

DEED = "deed"
# marks fields of an act that its row does not have
IS_COLUMN = "is_column"
NO_COLUMN = {IS_COLUMN: False}
LOOP = "loop"
FIRST = "0" * 64
CHANGED = "changed"
# acts written in this transaction; they count as recorded once it commits
PENDING = "deeds"
_LAST = "last_deed"
_SECRET = re.compile(r"token|secret|password|api_key|credential|hashes", re.IGNORECASE)
_COVERED = (
    *("at", "person", "role", "via", "token", "address", "deed", "object"),
    *("before", "after", "correlation_id", "previous"),
)


@dataclass(frozen=True)
class Deed:
    """A person's action; `what` is one word, `because` a sentence."""

    person_id: str
    what: str
    because: str
    correlation_id: str
    project_id: str | None = None
    run_id: str | None = None


@dataclass
class Act:
    """An action in progress: who does it, by which channel, to which object. Written once.

    `via` is `browser`, `token`, `cli` or `loop`; `token` names the token, `address` is the
    caller's. `before` and `after` have only the settings that changed.
    """

    at: datetime
    person: str | None
    role: str | None
    via: str
    deed: str
    correlation_id: str
    token: str | None = None
    address: str | None = None
    organisation: str | None = None
    object: str = ""
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    is_written: bool = field(default=False, metadata=NO_COLUMN)
    is_nothing: bool = field(default=False, metadata=NO_COLUMN)

    def name(self, object_id: str) -> None:
        """Set the object; if it already is a run or a batch, add the new one as `led_to`."""
        if self.object.startswith(("run_", "batch_")) and object_id != self.object:
            self.after = {**(self.after or {}), "led_to": object_id}
        else:
            self.object = object_id

    def change(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Add changed settings with both values; a secret is only marked as changed."""
        changed = [name for name in after if before.get(name) != after[name]]
        self.before = {**(self.before or {}), **_visible(before, changed)} or None
        self.after = {**(self.after or {}), **_visible(after, changed)} or None


_acting: ContextVar[Act | None] = ContextVar("acting", default=None)


@contextmanager
def acting(act: Act) -> Generator[Act]:
    """Make `act` the current act for the code inside, and for work that it passes on."""
    mark = _acting.set(act)
    try:
        yield act
    finally:
        _acting.reset(mark)


def by_loop(deed: str, correlation_id: str, now: datetime) -> Act:
    """Return an act of Runyard itself, without a person."""
    return Act(now, None, None, LOOP, deed, correlation_id)


def current_act() -> Act | None:
    """Return the current act, or None."""
    return _acting.get()


def acting_organisation() -> str:
    """Return the organisation of the person who acts, else that of the first start."""
    act = _acting.get()
    return act.organisation if act is not None and act.organisation else DEFAULT_ORGANISATION


def nothing_done() -> None:
    """Mark the current act as refused or already done, so that no row is written for it."""
    if act := _acting.get():
        act.is_nothing = True


def record(
    tx: Transaction,
    object_id: str | None = None,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    person: str | None = None,
) -> None:
    """Write the current act in the transaction that performs it; do nothing without an act."""
    act = _acting.get()
    if act is None or _is_recorded(tx, act):
        return
    if object_id is not None:
        act.name(object_id)
    if after is not None:
        act.change(before or {}, after)
    if act.person is None and person is not None:
        act.person = person
        with suppress(OnlyOneStore):
            _complete(control_of(tx), act, person)
    _add(tx, act)


def write_down(tx: Transaction, deed: Deed, now: datetime, *, about: str = "") -> None:
    """Write an act with the deed's name and reason, in the transaction that performs it.

    `about` is the run or batch whose store's transaction `tx` may be.
    """
    act = _acting.get()
    if act is None:
        act = Act(now, deed.person_id, None, LOOP, deed.what, deed.correlation_id)
    elif _is_recorded(tx, act):
        return
    act.deed = deed.what
    act.object = deed.run_id or deed.project_id or act.object
    if act.organisation is None and deed.project_id is not None:
        with suppress(OnlyOneStore):
            act.organisation = _organisation_of(control_of(tx), deed.project_id)
    act.after = {**(act.after or {}), "because": deed.because}
    _add(tx, act, about)


def _is_recorded(tx: Session, act: Act) -> bool:
    # not by equality: calls that share a transaction may be alike in everything
    return act.is_written or any(one is act for one in tx.info.get(PENDING, ()))


def append_details(tx: Transaction, data: Mapping[str, Any], now: datetime) -> None:
    """Append an act that came through the outbox to the control store's audit."""
    if "what" in data:  # the format of an older Runyard
        write_down(tx, Deed(**data), now)
    else:
        columns: dict[str, Any] = {**data, "at": datetime.fromisoformat(data["at"])}
        append(tx, Act(**columns))


def append(control: Transaction, act: Act) -> None:
    """Append a row to the end of the hash chain."""
    if act.organisation is None and act.via == LOOP and act.object.startswith("proj_"):
        act.organisation = _organisation_of(control, act.object)
    # read with the guards of an accept; of a shared transaction's acts, each knows the one before
    last = control.info.pop(_LAST, None) or control.connection().execute(last_hash()).scalar()
    # not by `asdict`, which copies every value
    values = {
        one.name: getattr(act, one.name) for one in fields(act) if one.metadata.get(IS_COLUMN, True)
    }
    values["previous"] = last or FIRST
    # normalized by JSON, so that the hash matches the row as it is read back
    values = {**values, **json.loads(json.dumps({n: values[n] for n in ("before", "after")}))}
    values["hash"] = hash_of(values)
    control.insert("audit", values)
    if SHARED in control.info:
        control.info[_LAST] = values["hash"]


# on the table and not on the entity, which costs far more: these run for every accepted run
@cache
def last_hash() -> Select[str]:
    """Select the hash of the last row, to which `append` links the next one."""
    audit = SQLModel.metadata.tables["audit"]
    return select(audit.c.hash).order_by(audit.c.id.desc()).limit(1)


def expect_append(control: Session, last: str | None) -> None:
    """Tell a transaction the last hash, as it has just read it, for the next `append`."""
    control.info[_LAST] = last


def hash_of(values: Mapping[str, Any]) -> str:
    """Return the hash of a row's values, including the hash of the row before."""
    covered = {name: values[name] for name in _COVERED}
    # rows from before there were organisations have none, and keep their hash
    if (organisation := values.get("organisation")) is not None:
        covered["organisation"] = organisation
    covered["at"] = covered["at"].astimezone(UTC).isoformat(timespec="microseconds")
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _add(tx: Transaction, act: Act, about: str = "") -> None:
    try:
        append(control_of(tx), act)
    except OnlyOneStore:
        owner = about or act.object
        if not owner.startswith(("run_", "batch_")):
            return  # written at the end of the call
        # reaches the control store through the outbox, soon after the run store's commit
        data = {**asdict(act), "at": act.at.isoformat()}
        at_ms = int(act.at.timestamp() * 1000)
        key = ids.mint_control_id("outgoing", at_ms=at_ms, entropy=secrets.token_bytes(10))
        tx.add(Outgoing(key=key, kind=DEED, run_id=owner, data=data, at=act.at))
    tx.info.setdefault(PENDING, []).append(act)


def _complete(control: Transaction, act: Act, person_id: str) -> None:
    """Add the organisation and the role of a person whom only the act itself has shown."""
    member = SQLModel.metadata.tables["membership"].c
    query = select(member.organisation_id, member.role).where(member.person_id == person_id)
    if (row := control.connection().execute(query).first()) is not None:
        act.organisation, act.role = row


def _organisation_of(control: Transaction, object_: str) -> str | None:
    """Return the organisation of the project that an object is or belongs to."""
    project = SQLModel.metadata.tables["project"].c
    query = select(project.organisation_id).where(project.id == object_.partition("/")[0])
    return control.connection().execute(query).scalar()


def _visible(settings: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {
        name: CHANGED if _SECRET.search(name) and settings[name] is not None else settings[name]
        for name in names
        if name in settings
    }
