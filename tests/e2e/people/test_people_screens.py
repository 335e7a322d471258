"""Pages of a team of thirty with long names: layout, visibility and axe-core in all four looks."""

from __future__ import annotations

from playwright.sync_api import Page

from app.domain.people.roles import Role
from tests.builders.scenes import HOSTILE
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.people.conftest import Join
from tests.e2e.system.test_screens import PAIRS, Window, check

PEOPLE = 30
LONG = "Maximiliane Konstantinopolitanskaya-Oberhausen the {}th of her name"
# each in two of the four looks, as all other pages
PATHS = {
    "people-of-thirty": "/settings?tab=people",
    "tokens-of-thirty": "/settings?tab=tokens",
    "organisations": "/settings?tab=organisation",
    "own-account": "/me",
    "audit-of-thirty": "/audit",
    "approvals-none": "/approvals",
}


def fill(server: RunyardServer) -> None:
    """Invite thirty people, one with a hostile name, and make tokens and an organisation."""
    roles = tuple(Role)
    with server.client() as api:
        for number in range(PEOPLE):
            person = {
                "email": f"{'a-rather-long-address-' * 2}{number}@engineering.example.com",
                "name": HOSTILE if number == 1 else LONG.format(number),
                "role": roles[number % len(roles)],
            }
            made = api.post("/people", json=person)
            assert made.status_code == 201, made.text
            if number == 0:
                change = {"disabled": True}
                assert api.patch(f"/people/{made.json()['id']}", json=change).status_code == 200
        for name in ("nightly", "a-token-name-without-any-place-to-break-" * 2):
            token = {"name": name[:80], "scopes": ["read", "runs"]}
            assert api.post("/tokens", json=token).status_code == 201
        name = {"name": "An organisation with a name that is as long as one may be, or nearly so"}
        assert api.post("/organisations", json=name).status_code == 201


def test_the_pages_of_thirty_people_are_whole_and_without_barriers(
    join: Join, server: RunyardServer
) -> None:
    fill(server)
    page: Page = join("ada@example.com", role="admin", name="Ada")
    window, found = Window(page), list[str]()
    for turn, (name, path) in enumerate(PATHS.items()):
        looks = PAIRS[turn % len(PAIRS)]
        window.become(looks[0], looks[0].widths[-1])
        page.goto(f"{server.url}{path}")
        found += check(window, name, looks)
    assert not found, "\n".join(found)
