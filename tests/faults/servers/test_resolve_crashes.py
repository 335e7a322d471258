"""A server killed between the merge of a base and the start of the agent that resolves it."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import httpx

from tests.drivers.servers.killed import SHORT, Doomed
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.agents import resolves

ADDS = "echo $RUNYARD_RUN_ID >> list.txt; git add .; git commit -qm 'Add a line'"


def test_a_crash_after_the_merge_resolves_the_conflict_once(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    agent = (
        f'if test -e list.txt && grep -q "<<<<" list.txt; then echo "$RUNYARD_RUN_ID" >> {begun};'
        f" {sys.executable} {resolves.__file__}; else {ADDS}; fi"
    )
    doomed = Doomed(tmp_path, RunyardServer(tmp_path / "data"), settings=SHORT)
    with doomed.begun(agent):
        ended = [doomed.released(doomed.run_an_issue()) for _ in range(2)]
        first, second = (one["delivery"]["number"] for one in ended)
        changes = f"/projects/{doomed.project}/changes"
        with doomed.server.client() as client:
            client.post(f"{changes}/{first}/merge").raise_for_status()
            wait_for(client, f"{changes}/{second}", lambda one: one["conflicts"] == ["list.txt"])
        doomed.arm("after_merge_begun")
        # the server may die before it answers
        with doomed.server.client() as client, suppress(httpx.TransportError):
            client.post(f"{changes}/{second}/resolve", headers={"x-idempotency-key": "once"})
        doomed.see_death()
        doomed.arm("")
        with doomed.server.client() as client:
            path, head = f"{changes}/{second}/resolve", {"x-idempotency-key": "once"}
            run_id = client.post(path, headers=head).json()["id"]
            run = doomed.released(run_id)
            assert run["status"] == "succeeded", run["because"]
            assert begun.read_text().split() == [run_id]
            found = client.get("/runs", params={"trigger": "review"}).json()["items"]
            assert [one["id"] for one in found] == [run_id]
            change = client.get(f"{changes}/{second}").json()
            assert (change["conflicts"], change["commits"]) == ([], 2)
            assert client.get("/parked").json()["items"] == []
