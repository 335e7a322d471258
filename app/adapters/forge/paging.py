"""The pages of a forge's lists: where one is, and where it is in pages of another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from app.domain.json.objects import is_array, is_object

# entries of a page where one is too long: anybody may write a few dozen very long issues
SMALLER_SIZES = (10, 2)


@dataclass(frozen=True)
class Place:
    """Where a page of a list is: its address, its size, and its number from 1 on."""

    url: httpx.URL
    size_name: str
    size: int
    number: int

    @classmethod
    def of(cls, url: httpx.URL, size_name: str, number_name: str) -> Place | None:
        """Return where an address points, None if it does not count its pages."""
        said = [url.params.get(name, "") for name in (size_name, number_name)]
        if not all(one.isascii() and one.isdigit() and int(one[:9]) > 0 for one in said):
            return None
        return cls(url, size_name, *(int(one[:9]) for one in said))

    def at(self, size: int, number: int) -> str:
        """Return the address of another page; a cursor, which names this one, is left out."""
        url = self.url.copy_merge_params({self.size_name: size, "page": number})
        for name in ("after", "before"):
            url = url.copy_remove_param(name)
        return str(url)

    def smaller(self) -> str | None:
        """Return the page of the next smaller size that begins here, None if there is none."""
        size = next((one for one in SMALLER_SIZES if one < self.size), None)
        begins = (self.number - 1) * self.size
        return None if size is None or begins % size else self.at(size, begins // size + 1)

    def larger(self, size: int) -> str | None:
        """Return the page of a larger size that begins here, None if none does."""
        begins = (self.number - 1) * self.size
        return None if size <= self.size or begins % size else self.at(size, begins // size + 1)


def rows_in(body: object) -> Sequence[object]:
    """Return the entries of a page, which may be a member of what was answered."""
    if is_object(body):
        return max((one for one in body.values() if is_array(one)), key=len, default=())
    return body if is_array(body) else ()
