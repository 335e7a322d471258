"""The key of the secrets that the database keeps: checked at start, and replaced by a fresh one."""

from __future__ import annotations

from collections.abc import Callable

from app.errors import Invalid
from app.failpoints import failpoint
from app.services.context import Context
from app.services.ports import WrongKey

# what the key has to open
CHECK_VALUE = "Runyard's secrets"
OTHER_KEY = "This server's key is not the one of the stored secrets: copy the key file to it."


class SecretKey:
    """Encrypts secrets with this server's key, and knows whether it is the database's."""

    def __init__(self, context: Context) -> None:
        self._ledger = context.ledgers.forges
        self._forges = context.adapters.forges
        self._box = context.adapters.secret_box

    def fits(self) -> bool:
        """Return False if this server's key does not open the stored secrets."""
        sealed = self._ledger.key_check()
        return sealed is None or self._box.opens(sealed)

    def sealer(self, text: str) -> Callable[[str], str]:
        """Return what encrypts a text for the ledger.

        Both raise Invalid if the key is another one, or cannot be read or made.
        """

        def seal(check: str) -> str:
            if not self._box.opens(check):
                raise Invalid(OTHER_KEY)
            return self._seal(text)

        # the check value is stored with the first secret
        seal(self._ledger.keep_key_check(self._seal(CHECK_VALUE)))
        return seal

    def _seal(self, text: str) -> str:
        try:
            return self._box.seal(text)
        except (WrongKey, OSError) as problem:
            raise _unusable(problem) from problem

    def unseal(self, sealed: str) -> str:
        """Return the text of an encrypted one. Raises Invalid if it has another key."""
        if not self._box.opens(sealed):
            raise Invalid(OTHER_KEY)
        try:
            return self._box.unseal(sealed)
        except WrongKey as problem:
            # replaced or removed since
            raise _unusable(problem) from problem

    def rotate(self) -> int:
        """Encrypt every secret with a fresh key; return how many. Raises Invalid.

        Until all are, the key file holds the keys before it, too: a crash in between loses nothing.
        """
        if not self.fits():
            raise Invalid(OTHER_KEY)
        try:
            with self._box.rotation():
                failpoint("rotate.before_secrets")
                count = self._ledger.seal_anew(self._seal_anew)
                failpoint("rotate.after_secrets")
        except OSError as problem:
            because = problem.strerror or str(problem)
            raise Invalid(
                f"The key file cannot be replaced: {because}. Nothing is lost: try it again."
            ) from problem
        self._forges.refresh()
        return count

    def _seal_anew(self, sealed: str) -> str:
        fresh = self._seal(self.unseal(sealed))
        failpoint("rotate.among_secrets")
        return fresh


def _unusable(problem: WrongKey | OSError) -> Invalid:
    because = problem.strerror if isinstance(problem, OSError) else None
    return Invalid(f"The key of the stored secrets cannot be used: {because or problem}.")
