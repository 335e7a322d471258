"""The ledger of forges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.domain.projects.setting import OpenPr
from app.records.database.database import Transaction
from app.records.feed import FindingsChanged, ForgesChanged
from app.records.people.audit_ledger import acting_organisation, record
from app.records.people.reach import within
from app.records.projects.project_ledger import NameInUse
from app.records.stores.routing import Stores
from app.records.tables import ForgeServer, Person, Project, RunToken, Setting

KEY_CHECK = "secret_key_check"
# the private key that signs pushes to devices
PUSH_KEY = "push_key"
# what the audit tells of a forge; its token never
_TOLD = ("name", "kind", "url", "acts_as")
# the columns that are encrypted
SEALED = (
    (ForgeServer, ("token", "hook_secret")),
    (Person, ("totp_secret",)),
    (RunToken, ("sealed",)),
)
# encrypts a secret, given the check value; it is called while no rotation can replace the key
Seal = Callable[[str], str]


class ForgeLedger:
    """Forges with their encrypted tokens, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def all(self) -> list[ForgeServer]:
        """Return all forges, by name."""
        with self.stores.control.reading() as session:
            return list(session.exec(select(ForgeServer).order_by(col(ForgeServer.name))).all())

    def one(self, forge_id: str) -> ForgeServer | None:
        """Return a forge by its id, or None."""
        with self.stores.control.reading() as session:
            return session.get(ForgeServer, forge_id)

    def insert(self, forge: ForgeServer, token: Seal) -> None:
        """Keep a forge with its token. Raises NameInUse if its name or address is taken."""
        try:
            with self.stores.control.transaction() as tx:
                forge.organisation_id = acting_organisation()
                forge.token = token(held_check(tx))
                tx.add(forge)
                told = forge.model_dump(include=set(_TOLD))
                record(tx, forge.id, after=told)
                tx.publish(ForgesChanged(), FindingsChanged())
        except IntegrityError as error:
            raise NameInUse(forge.name) from error

    def change(
        self, forge_id: str, *, token: Seal | None = None, **columns: Any
    ) -> ForgeServer | None:
        """Update columns of a forge; return the new row, or None. Raises NameInUse."""
        try:
            with self.stores.control.transaction() as tx:
                if token is not None:
                    columns["token"] = token(held_check(tx))
                told = {name: columns[name] for name in _TOLD if name in columns}
                if told or "token" in columns:
                    record(tx, after=told | ({"token": "replaced"} if "token" in columns else {}))
                tx.publish(ForgesChanged(), FindingsChanged())
                return tx.scalars(
                    update(ForgeServer)
                    .where(col(ForgeServer.id) == forge_id)
                    .values(**columns)
                    .returning(ForgeServer)
                ).one_or_none()
        except IntegrityError as error:
            raise NameInUse(str(columns.get("name"))) from error

    def remove(self, forge_id: str) -> int:
        """Remove a forge that no project uses; return how many use it."""
        using = select(func.count()).where(col(Project.forge_id) == forge_id)
        with self.stores.control.transaction() as tx:
            count = tx.scalars(using).one()
            if not count:
                tx.exec(delete(ForgeServer).where(col(ForgeServer.id) == forge_id))
                record(tx, before={"forge": forge_id})
                tx.publish(ForgesChanged(), FindingsChanged())
            return count

    def project_of_agents(self, forge_id: str, login: str) -> str | None:
        """Return the name of a project whose agents open pull requests as this account, or None."""
        query = select(Project.name).where(
            col(Project.forge_id) == forge_id,
            col(Project.open_pr) == OpenPr.AGENT,
            func.lower(Project.pr_login) == login.lower(),
        )
        with self.stores.control.reading() as session:
            return session.exec(query.limit(1)).first()

    def key_check(self) -> str | None:
        """Return the value that the key of this database's secrets opens, None without secrets."""
        with self.stores.control.reading() as session:
            row = session.get(Setting, KEY_CHECK)
            return row.value if row is not None else None

    def keep_key_check(self, sealed: str) -> str:
        """Keep a value that the key opens, unless there is one; return the one that is kept."""
        with self.stores.control.transaction() as tx:
            known = tx.get(Setting, KEY_CHECK)
            if known is None:
                known = Setting(name=KEY_CHECK, value=sealed)
                tx.add(known)
            return known.value

    def keep_hook_secret(self, forge_id: str, secret: Seal) -> str | None:
        """Keep the secret of a forge's hooks, unless there is one.

        Returns the one that is kept, None if the forge is gone.
        """
        with self.stores.control.transaction() as tx:
            check = held_check(tx)
            forge = tx.get(ForgeServer, forge_id, with_for_update=True)
            if forge is None:
                return None
            if forge.hook_secret is None:
                forge.hook_secret = secret(check)
                record(tx, after={"hook_secret": "made"})
                tx.publish(ForgesChanged())
            return forge.hook_secret

    def seal_anew(self, seal: Callable[[str], str]) -> int:
        """Encrypt every secret and the check value anew, all or none; return how many secrets."""
        count = 0
        # whoever asks: the key is that of all organisations
        with within(None), self.stores.control.transaction() as tx:
            check = tx.get(Setting, KEY_CHECK, with_for_update=True)
            if check is not None:
                check.value = seal(check.value)
            push_key = tx.get(Setting, PUSH_KEY, with_for_update=True)
            if push_key is not None:
                push_key.value = seal(push_key.value)
                count += 1
            for table, names in SEALED:
                for row in tx.scalars(select(table).with_for_update()):
                    for name in names:
                        if sealed := getattr(row, name):
                            setattr(row, name, seal(sealed))
                            count += 1
            record(tx, after={"secrets": count})
            tx.publish(ForgesChanged())
        return count


def held_check(tx: Transaction) -> str:
    """Return the check value; until the transaction ends, no rotation encrypts anew."""
    return tx.scalars(
        select(Setting.value).where(col(Setting.name) == KEY_CHECK).with_for_update()
    ).one()
