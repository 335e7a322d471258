"""What the stories of projects and their people begin with; each file has a workshop of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.people import Person, person
from tests.api.workshop import Workshop


@pytest.fixture
def project(shop: Workshop, request: pytest.FixtureRequest) -> str:
    """A project of this test's own."""
    return shop.add_project(request.node.name.removeprefix("test_")[:60])


@pytest.fixture
def ann(shop: Workshop) -> Iterator[Person]:
    """Somebody signed in with a browser."""
    with person(shop) as ann:
        yield ann
