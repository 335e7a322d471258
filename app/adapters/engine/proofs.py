"""Words that only a run's server and supervisor know: what proves who wrote its last records.

The run's row keeps the seal, from which no word can be found; each record shows a word of its own
only when it is written. So whoever reads the row, or an earlier record, can forge none.
"""

from __future__ import annotations

import hashlib
import secrets

from app.adapters.supervisor.record_files import EXIT, GONE

_WORD_BYTES = 32
# how often a record's word has to be hashed until the seal comes out
_STEPS = {EXIT: 1, GONE: 2}


def new_proofs() -> tuple[dict[str, str], str]:
    """The words of one run's last records by their names, and the seal that fits them."""
    last = secrets.token_hex(_WORD_BYTES)
    first = _hash(last)
    return {EXIT: first, GONE: last}, _hash(first)


def fits(name: str, word: object, seal: str | None) -> bool:
    """True where a record of that name shows the word of this seal, or no seal was made."""
    if seal is None:
        return True
    if not isinstance(word, str):
        return False
    for _ in range(_STEPS[name]):
        word = _hash(word)
    return secrets.compare_digest(word, seal)


def _hash(word: str) -> str:
    return hashlib.sha256(word.encode(errors="replace")).hexdigest()
