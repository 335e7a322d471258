"""The key of the secrets that the database keeps: checked at start, and replaced by a fresh one."""

from __future__ import annotations

from app.errors import Invalid
from app.records.feed import ForgesChanged
from app.services.context import Context

# what the key has to open
CHECK_VALUE = "Runyard's secrets"


class SecretKey:
    """Encrypts secrets with this server's key, and knows whether it is the database's."""

    def __init__(self, context: Context) -> None:
        self._ledger = context.ledgers.forges
        self._forges = context.adapters.forges
        self._box = context.adapters.secret_box
        self._publish = context.feed.publish

    def fits(self) -> bool:
        """Return False if this server's key does not open the stored secrets."""
        sealed = self._ledger.key_check()
        return sealed is None or self._box.opens(sealed)

    def seal(self, text: str) -> str:
        """Return a text encrypted. Raises Invalid if the key is not the database's."""
        sealed = self._ledger.keep_key_check(self._box.seal(CHECK_VALUE))
        if not self._box.opens(sealed):
            raise Invalid("This server's key is not the one of the stored secrets.")
        return self._box.seal(text)

    def unseal(self, sealed: str) -> str:
        """Return the text of an encrypted one."""
        return self._box.unseal(sealed)

    def rotate(self) -> int:
        """Encrypt every secret with a fresh key; return how many. Raises Invalid.

        Until all are, the key file holds the keys before it, too: a crash in between loses nothing.
        """
        if not self.fits():
            raise Invalid("This server's key is not the one of the stored secrets.")
        with self._box.rotation():
            count = self._ledger.seal_anew(lambda sealed: self._box.seal(self._box.unseal(sealed)))
            self._forges.refresh()
        self._publish([ForgesChanged()])
        return count
