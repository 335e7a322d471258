"""The cost of people: one of 200 in two organisations, compared with an operator alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from tests.bench.calls import expect, send
from tests.bench.client.phase import Plan
from tests.bench.pages.painting import CARDS_PATH, READS, WARM_UP
from tests.bench.pairs import median_of_pairs
from tests.bench.table import Found, Measured
from tests.bench.yard import LATER_SECONDS, Yard

PEOPLE, AUDIT_ROWS, FEW_AUDIT_ROWS = 200, 100_000, 1_000
POSTS = 40
PASSWORD = "measured again and again"
SIGN_IN = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Caller:
    """Somebody at a server, with a browser and a token."""

    yard: Yard
    project_id: str
    cookie: str
    token: str

    def page_ms(self, path: str) -> float:
        """Return the median time of a page in this browser."""
        headers = {"Host": self.yard.server.page_host, "Cookie": self.cookie}
        url = f"{self.yard.server.url}{path}"
        plan = Plan(url, READS, warm_up=WARM_UP, method="GET", headers=headers)
        return 1000 * expect(send(plan), 200).p50

    def list_ms(self) -> float:
        """Return the median time of the newest 50 runs, by the token."""
        return self._with_token(self.yard.reading("/runs?limit=50", POSTS), 200)

    def accept_ms(self) -> float:
        """Return the median time of an accepted run, by the token."""
        self.yard.history.end_waiting_runs()
        # for later: what is started would run beside the measurement
        order = {"project_id": self.project_id, "task": "Measure", "delay": LATER_SECONDS}
        plan = replace(self.yard.posting(self.project_id, POSTS), body=json.dumps(order))
        return self._with_token(plan, 201)

    def _with_token(self, plan: Plan, status: int) -> float:
        headers = {**plan.headers, "Authorization": f"Bearer {self.token}"}
        return 1000 * expect(send(replace(plan, headers=headers)), status).p50


def measure_people(alone: tuple[Yard, str], team: tuple[Yard, str], rows: int) -> Found:
    """Measure pages, a list and accepting for a person among many, relative to one operator."""
    yard, project_id = alone
    operator = Caller(yard, project_id, yard.sign_in(), yard.server.token)
    leave_audit(yard, FEW_AUDIT_ROWS)
    person = join_team(*team)
    leave_audit(team[0], rows)
    found: Found = {}
    ways: dict[str, Callable[[Caller], float]] = {
        "people_page": lambda caller: caller.page_ms(CARDS_PATH),
        "people_audit": lambda caller: caller.page_ms("/audit"),
        "people_list": Caller.list_ms,
        "people_accept": Caller.accept_ms,
    }
    for key, ask in ways.items():
        pair = partial(_pair, ask, operator, person)
        pair()  # warm-up: both have answered once before it counts
        values = median_of_pairs(pair)
        note = f"{values['team']:.1f} ms / {values['alone']:.1f} ms; {rows:,} audit rows"
        found[key] = Measured(values["ratio"], note)
    return found


def _pair(ask: Callable[[Caller], float], operator: Caller, person: Caller) -> dict[str, float]:
    alone, team = ask(operator), ask(person)
    return {"ratio": team / alone, "alone": alone, "team": team}


def join_team(yard: Yard, project_id: str) -> Caller:
    """Fill a server with people of two organisations; return an operator among them."""
    link = ""
    with yard.server.client() as client:
        client.post("/organisations", json={"name": "other"}).raise_for_status()
        for name in ("default", "other"):
            body = {"email": f"{name}@runyard.test", "role": "operator", "organisation": name}
            invited = client.post("/people", json=body).raise_for_status().json()
            copies = {"person_id": "one.person_id || n"}
            of_person = {
                "id": "one.id || n",
                "name": "one.name || n",
                "email": "n || one.email",
                "oidc_subject": "NULL",
            }
            which = f"id = '{invited['id']}'"
            yard.history.multiply("person", which, of_person, PEOPLE // 2 - 1)
            yard.history.multiply("membership", f"person_{which}", copies, PEOPLE // 2 - 1)
            if name == "default":
                link = str(invited["invitation"]["url"])
    # read anew: what was written past the server is not announced
    yard.server.stop()
    yard.server.start()
    cookie, token = _sign_in(yard, link)
    return Caller(yard, project_id, cookie, token)


def _sign_in(yard: Yard, link: str) -> tuple[str, str]:
    """Accept an invitation; return the browser's cookie and a token."""
    own = {**SIGN_IN, "Origin": yard.server.page_url}
    with yard.server.visitor(**own) as browser:
        sent = {"token": link.partition("token=")[2], "password": PASSWORD}
        answer = browser.post("/login/invitation", data=sent)
        if answer.status_code != 303:
            raise RuntimeError(f"the invitation was answered by {answer.status_code}")
        wishes = {"name": "bench", "scopes": ["read", "runs"]}
        made = browser.post(
            "/api/v1/tokens", json=wishes, headers={"Content-Type": "application/json"}
        ).raise_for_status()
        name, value = next(iter(browser.cookies.items()))
    return f"{name}={value}", str(made.json()["token"])


def leave_audit(yard: Yard, rows: int) -> None:
    """Copy the newest row of the audit so many times, as older ones."""
    newest = "id = (SELECT max(id) FROM audit)"
    older = {"id": "one.id - n - 1000000", "at": yard.history.earlier("at")}
    yard.history.multiply("audit", newest, older, rows)
