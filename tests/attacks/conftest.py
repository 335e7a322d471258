"""A server and a project for attacks on the no-script forms."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A workshop shared by the tests of one file."""
    with open_workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture(scope="module")
def project(shop: Workshop) -> str:
    """A project with an issue that is ready to start."""
    made = shop.add_project("target")
    shop.issue(made, body="please wait")
    return made
