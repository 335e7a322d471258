"""Secrets known to this server, to be masked in agents' output."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.domain.secret_masks import Secret, SecretMask, mask_of

Source = Callable[[], Iterable[Secret]]


class SecretValues:
    """Secrets of every source, read anew at each call so that a replaced token is included."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def add(self, source: Source) -> None:
        """Add a source."""
        self._sources = (*self._sources, source)

    def all(self) -> tuple[Secret, ...]:
        """Return every secret, each once."""
        return tuple(dict.fromkeys(one for source in self._sources for one in source()))

    def mask(self) -> SecretMask:
        """Return the mask that finds them and replaces them with stars."""
        return mask_of(self.all())
