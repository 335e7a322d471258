"""The interface matches its files; an intended change updates them too."""

from __future__ import annotations

import pytest

from tests.interface.described import DESCRIBED, FILES


@pytest.mark.parametrize("name", DESCRIBED)
def test_the_interface_is_what_its_file_says(name: str) -> None:
    kept = (FILES / name).read_text(encoding="utf-8")
    assert DESCRIBED[name]() == kept, "meant? `make interface`, and commit the file with the change"
