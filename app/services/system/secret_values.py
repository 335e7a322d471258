"""Every secret that is known here, to be masked in what agents write."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.domain.secret_masks import Secret, SecretMask, mask_of

Source = Callable[[], Iterable[Secret]]


class SecretValues:
    """The secrets of every source as they are now: a token that was changed is another one."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def add(self, source: Source) -> None:
        """Ask one more source from now on."""
        self._sources = (*self._sources, source)

    def all(self) -> tuple[Secret, ...]:
        """Every one, each once."""
        return tuple(dict.fromkeys(one for source in self._sources for one in source()))

    def mask(self) -> SecretMask:
        """The mask that finds and stars them."""
        return mask_of(self.all())
