"""Fixtures for API tests: a project per test, and a signed-in person. Each file has a workshop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drivers.servers.workshop import Workshop
from tests.drivers.web.people import Person, person


@pytest.fixture
def project(shop: Workshop, request: pytest.FixtureRequest) -> str:
    """A project used by this test alone."""
    return shop.add_project(request.node.name.removeprefix("test_")[:60])


@pytest.fixture
def ann(shop: Workshop) -> Iterator[Person]:
    """A person signed in with a browser without JavaScript."""
    with person(shop) as ann:
        yield ann
