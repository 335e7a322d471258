"""Controls of all pages: a file names each with its deed, and nobody has one they may not use.

`expected_controls.tsv` is written by hand: the pages of a control (`*`: all), its deed, and the
events that it sends to the server (`-`: none; it is a link, or the browser acts on it). Controls
are taken from the element trees of the pages, shown or not, and from the forms of `/plain`: what
is missing in the file fails, and so does what is in the file and on no page. `read_pages` is the
deed of what only shows something.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import httpx
from nicegui import Client
from nicegui.testing.user import User

from app.api.client import batch_calls, calls
from app.api.client.client import ApiProblem
from app.api.client.protocol import Call
from app.api.schemas import NewIssue, ProjectChange
from app.domain.people.roles import Role
from app.domain.words import READY_LABEL, Status
from tests.builders.run_scenes import DELIVERS, DIES, WAITS, add_project, start, until_status
from tests.drivers.page_controls import Controls, controls_of, settled
from tests.drivers.people import PASSWORD
from tests.pages.conftest import House, Person, html_of, until

CONTROLS = Path("tests/services/people/expected_controls.tsv")
DEEDS = Path("tests/services/people/expected_deeds.tsv")
# the events of a control that sends none
SILENT = "-"
KEEPS = f"{DELIVERS}\n{DIES}"
# the deeds of pages that are refused as a whole
NEEDS = {
    "add-project": "add_project",
    "import": "add_project",
    "new-run": "start",
    "audit": "read_audit",
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


async def keep_work(house: House, user: User, folder: Path) -> None:
    """Have a run of an issue leave work behind that it has not delivered."""
    project = await add_project(house, user, folder, KEEPS, name="keeps")
    issue = NewIssue(title="Keep it", labels=[READY_LABEL])
    await house.api_of(user).add_issue(project.id, issue)
    run = await start(house, user, project, "kept", issue=1)
    await until(lambda: house.plane.ledgers.runs.find(run.id).parked)


async def fill(house: House, user: User, folder: Path) -> dict[str, str]:
    """Make something to decide on for each page; return the pages' paths by name."""
    api = house.api_of(user)
    await keep_work(house, user, folder)
    ships = await add_project(house, user, folder, DELIVERS, name="ships")
    for title in ("Ship it", "Wait for it", "Think of it"):
        labels = [] if title == "Think of it" else [READY_LABEL]
        await api.add_issue(ships.id, NewIssue(title=title, labels=labels))
    done = await start(house, user, ships, "done", issue=1)
    await until_status(house, done.id, Status.SUCCEEDED)
    works = await add_project(house, user, folder, WAITS, name="works")
    live = await start(house, user, works, "live", task="Wait")
    await until_status(house, live.id, Status.RUNNING)
    later = (await api.ask(calls.start_run({"project_id": works.id, "delay": "1d"}, None))).id
    batch = (await api.ask(batch_calls.make_batch(works.id, 1))).id
    lines = json.dumps({"index": 0, "task": "One of many"})
    await api.ask(batch_calls.add_items(batch, lines.encode()))
    asks = await add_project(house, user, folder, WAITS, name="asks")
    await api.change_project(asks.id, ProjectChange(approve_start=True))
    waits = await start(house, user, asks, "asks", task="May I?")
    (change,) = await api.changes(ships.id)
    of_ships = f"/projects/{ships.id}"
    paths = {
        "inbox": "/",
        "projects": "/projects",
        "add-project": "/projects/add",
        "import": "/projects/import",
        "project": of_ships,
        "project-runs": f"{of_ships}?tab=runs",
        "project-changes": f"{of_ships}?tab=changes",
        "project-charts": f"{of_ships}?tab=charts",
        "project-settings": f"{of_ships}?tab=settings",
        "change": change.url,
        "change-files": f"{change.url}?tab=files",
        "issues": "/issues",
        "board": "/issues?view=board",
        "issue": f"{of_ships}/issues/2",
        "new-run": f"{of_ships}/run",
        "runs": "/runs",
        "run-live": f"/runs/{live.id}",
        "run-later": f"/runs/{later}",
        "run-done": f"/runs/{done.id}",
        "run-asks": f"/runs/{waits.id}",
        "batches": "/batches",
        "batch": f"/batches/{batch}",
        "parked": "/parked",
        "approvals": "/approvals",
        "quota": "/quota",
        "me": "/me",
        "audit": "/audit",
        "guide": "/guide",
    }
    for tab in ("", "forges", "limits", "notifications", "people", "tokens", "organisation"):
        paths[f"settings-{tab or 'doctor'}"] = f"/settings?tab={tab}"
    return paths


async def join(house: House, by: User, role: Role, projects: dict[str, Role] | None = None) -> User:
    """Invite a person with this role, accept as they would, and return them."""
    own = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    body: dict[str, Any] = {"email": f"{role}@x.org", "name": role.capitalize(), "role": role}
    body |= {"projects": projects} if projects else {}
    invited = await by.http_client.post("/api/v1/people", json=body, headers=own)
    assert invited.status_code == 201, invited.text
    token = invited.json()["invitation"]["url"].partition("token=")[2]
    http = await house.people.enter_async_context(
        httpx.AsyncClient(transport=httpx.ASGITransport(house.app), base_url=house.address)
    )
    sent = {"token": token, "password": PASSWORD}
    answer = await http.post("/login/invitation", data=sent, headers={**own, "Accept": "text/html"})
    assert answer.status_code == 303, answer.text
    return Person(http)


async def look(person: User, path: str) -> Controls:
    """Return the controls that are shown on a page."""
    await person.open(path)
    client = await settled(person)
    found = controls_of(client, hidden=False)
    client.delete()
    return found


class Written:
    """The files written by hand: the deed of each control, its events, and who may do what."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[str, str]] = {}
        for row in rows(CONTROLS):
            for page in row["pages"].split():
                key = (page, row["control"])
                assert key not in self._rows, f"{key} is there twice"
                self._rows[key] = row
        self._may = {row["deed"]: row for row in rows(DEEDS)}
        self.unseen = {(*key, event) for key in self._rows for event in self._events(key)}
        # (page, control) by role, with the pages that a role may open
        self.seen: dict[Role, set[tuple[str, str]]] = {role: set() for role in Role}
        self.open: dict[Role, set[str]] = {role: set() for role in Role}

    def wrong(self, page: str, role: Role, client: Client) -> list[str]:
        """Return what is wrong with a page's element tree as a role has it."""
        problems: list[str] = []
        self.open[role].add(page)
        self.seen[role] |= {(page, one) for one in controls_of(client, hidden=False)}
        for control, events in sorted(controls_of(client).items()):
            key = self._key(page, control)
            self.unseen -= {(*key, event) for event in events or {SILENT}}
            deed = self.deed_of(page, control)
            if deed is None:
                problems.append(f"{page}: {control!r} is missing in {CONTROLS.name}")
            elif not self.may(deed, role):
                problems.append(f"{page}: a {role} has {control!r}, which needs {deed}")
            elif more := events - self._events(key):
                problems.append(
                    f"{page}: {control!r} sends {sorted(more)}, which is not in its row"
                )
        return problems

    def lacking(self, role: Role) -> list[str]:
        """Return the controls of an admin that a role may use and does not see.

        Those of a dialog come with what opens it.
        """
        return [
            f"{page}: a {role} does not see {control!r}, but may do {deed}"
            for page, control in sorted(self.seen[Role.ADMIN] - self.seen[role])
            if page in self.open[role]
            and (deed := self.deed_of(page, control))
            and deed not in ("read_pages", "sign_in_again")
            and self.may(deed, role)
        ]

    def deed_of(self, page: str, control: str) -> str | None:
        """Return the deed that a control of a page is for, None if no row names it."""
        row = self._rows.get(self._key(page, control))
        return row["deed"] if row else None

    def may(self, deed: str, role: Role) -> bool:
        return self._may[deed][role] == "yes"

    def _key(self, page: str, control: str) -> tuple[str, str]:
        return (page, control) if (page, control) in self._rows else ("*", control)

    def _events(self, key: tuple[str, str]) -> frozenset[str]:
        return frozenset(self._rows[key]["events"].split())


async def test_everybody_has_the_controls_whose_deeds_their_role_may_do_and_no_others(
    house: House, user: User, tmp_path: Path
) -> None:
    paths, written = await fill(house, user, tmp_path), Written()
    problems: list[str] = []
    people = {role: await join(house, user, role) for role in Role}
    for role, person in people.items():
        for page, path in paths.items():
            if written.may(NEEDS.get(page, "read_pages"), role):
                await person.open(path)
                client = await settled(person)
                problems += written.wrong(page, role, client)
                client.delete()
            else:
                answer = await person.http_client.get(path)
                assert answer.status_code == 403, (page, role)
    # as if a forge were to merge the change
    _, _, project, _, number = paths["change"].split("/")
    house.plane.ledgers.tracker.update_change(project, int(number), merge_waits="checks")
    for role, person in people.items():
        await person.open(paths["change"])
        problems += written.wrong("change", role, await settled(person))
    problems += [words for role in Role for words in written.lacking(role)]
    assert not problems, "\n".join(problems)
    assert not written.unseen, f"on no page: {written.unseen}"


async def check_batch(
    house: House, by: User, person: User, project_id: str, *, is_theirs: bool
) -> None:
    """Look at a batch that failed and one that still waits; send the call of each control."""
    api = house.api_of(by)
    failed, waiting = [
        (await api.ask(batch_calls.make_batch(project_id, count))).id for count in (1, 2)
    ]
    for batch in (failed, waiting):
        lines = json.dumps({"index": 0, "task": "Die"})
        await api.ask(batch_calls.add_items(batch, lines.encode()))
    (item,) = (await api.batch_items(failed, limit=10, cursor="")).items
    await until_status(house, item.run.id, Status.DIED)
    for batch, control in ((failed, "retry-failed"), (waiting, "stop-batch")):
        assert (control in await look(person, f"/batches/{batch}")) == is_theirs
    bulk = (await api.order_bulk("retry", f"of-{failed}", batch_id=failed)).id
    asked: list[Call[Any]] = [
        batch_calls.order_bulk("retry", f"own-of-{failed}", batch_id=failed, status=["died"]),
        batch_calls.abort_bulk(bulk),
        batch_calls.stop_batch(waiting),
    ]
    for call in asked:
        try:
            await house.api_of(person).ask(call)
            status = 200
        except ApiProblem as problem:
            status = problem.status
        # the order to abort may have been carried out by now
        assert status in ((200, 409) if is_theirs else (403,)), call.path


async def test_a_higher_role_in_one_project_shows_its_controls_there_and_nowhere_else(
    house: House, user: User, tmp_path: Path
) -> None:
    mine, other = [
        await add_project(house, user, tmp_path, DIES, name=name) for name in ("mine", "other")
    ]
    person = await join(house, user, Role.VIEWER, {mine.id: Role.OPERATOR})
    for project, may_start in ((mine, True), (other, False)):
        found = await look(person, f"/projects/{project.id}")
        assert {"start-afk", "auto-toggle", "new-issue", "new-run"} & found.keys() == (
            {"start-afk", "auto-toggle", "new-issue", "new-run"} if may_start else set()
        )
        form = await person.http_client.get(f"/projects/{project.id}/run")
        assert form.status_code == (200 if may_start else 403)
        await check_batch(house, user, person, project.id, is_theirs=may_start)
    assert "add-project" not in await look(person, "/projects")
    assert "new-issue" in await look(person, "/issues")
    answer = await person.http_client.get("/plain")
    assert set(re.findall('action="(/afk/[a-z]+/[^"]*)"', answer.text)) == {
        f"/afk/start/{mine.id}",
        f"/afk/auto/{mine.id}",
    }


async def test_the_inbox_tells_only_those_to_press_who_have_what_to_press(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    await house.api_of(user).change_project(project.id, ProjectChange(approve_start=True))
    await start(house, user, project, "k1", task="May I?")
    for role, is_told in ((Role.VIEWER, False), (Role.OPERATOR, True)):
        person = await join(house, user, role)
        await person.open("/")
        await settled(person)
        await until(lambda one=person: "What happened" in html_of(one))
        assert ("Press <b>Approve</b>" in html_of(person)) == is_told


# the deed of each form of `/plain`
FORMS = {"start": "start", "stop": "stop", "auto": "auto", "reset": "reset", "merge": "merge"}


async def test_the_plain_page_has_only_the_forms_that_a_role_may_send(
    house: House, user: User, tmp_path: Path
) -> None:
    await fill(house, user, tmp_path)
    failing = await add_project(house, user, tmp_path, DIES, name="fails")
    await house.api_of(user).add_issue(failing.id, NewIssue(title="Fail", labels=[READY_LABEL]))
    run = await start(house, user, failing, "fails", issue=1)
    await until_status(house, run.id, Status.DIED)
    await until(lambda: house.plane.services.overview.of(failing.id).project.strikes)
    written = Written()
    for role in Role:
        page = await (await join(house, user, role)).http_client.get("/plain")
        sent = set(re.findall('<form[^>]* action="/afk/([a-z]+)/', page.text))
        assert sent <= FORMS.keys(), "a form that is not named here"
        assert sent == {form for form, deed in FORMS.items() if written.may(deed, role)}, role
