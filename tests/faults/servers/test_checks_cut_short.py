"""A server killed while a run is checked, and the next one on its data: nothing begins twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import update

from app.domain.projects.checks import Check
from app.records.database.database import Database
from app.records.tables import Project
from tests.builders.repositories import run_git
from tests.drivers.servers.killed import Doomed
from tests.drivers.servers.processes import RunyardServer

# commits the word that its prompt says the check expects
AGENT = r"""
echo agent >> {begun}
word=$(sed -n 's/^answer:1: expected //p' "$RUNYARD_PROMPT_FILE" | tail -n 1)
echo "${{word:-wrong}}" > answer && git add -A && git commit -qm "Answer ${{word:-wrong}}"
"""
# meddles with the commits and files it was begun with
CHECK = """
echo check >> {begun}; grep -qx right answer; code=$?
echo check > by_check; echo check >> answer; git add -A; git commit -qm 'By a check'
echo check >> answer; echo 'answer:1: expected right'; exit $code
"""


@dataclass
class Checked(Doomed):
    """A server whose project has a check that its agent satisfies in its second turn."""

    @property
    def url(self) -> str:
        """The address of the server's database."""
        file = f"sqlite:///{self.server.data_dir / 'runyard.db'}"
        return self.server.settings.get("RUNYARD_DATABASE_URL", file)

    def begin(self) -> str:
        """Start a run of a new issue; return its id."""
        (self.folder / "begun").unlink(missing_ok=True)
        return self.run_an_issue()

    def add_check(self) -> None:
        """Give the project its check."""
        line = CHECK.format(begun=self.folder / "begun")
        checks = [Check("tests", ("/bin/sh", "-c", line)).as_data()]
        database = Database(self.url, publish=lambda _: None)
        try:
            with database.transaction() as tx:
                tx.exec(update(Project).values(checks=checks))
        finally:
            database.close()

    def steps(self) -> list[str]:
        """Return the steps that began, in order."""
        return (self.folder / "begun").read_text().split()


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    folder = tmp_path_factory.mktemp("checked")
    one = Checked(folder, RunyardServer(folder / "data"))
    with one.begun(AGENT.format(begun=folder / "begun")):
        one.add_check()
        yield one


# its twin goes through all points but those in git: services/checks/test_checks_taken_over.py
@pytest.mark.parametrize(
    "point",
    [
        "step.after_keep",
        "copy.half_put_back",
        *(
            pytest.param(point, marks=pytest.mark.soak)
            for point in (
                "check.state_kept",
                "check.begun",
                "step.before_launch",
                "step.after_launch",
                "check.ended",
                "check.decided",
                "delivery.after_push",
            )
        ),
    ],
)
def test_a_crash_while_a_run_is_checked_costs_nothing_and_repeats_nothing(
    doomed: Checked, point: str
) -> None:
    doomed.arm(point)
    run_id = doomed.begin()
    doomed.see_death()
    doomed.arm("")
    run = doomed.released(run_id)
    assert (run["status"], run["cause"]) == ("succeeded", "delivered"), run["because"]
    assert doomed.steps() == ["agent", "check", "agent", "check"]
    tip = run_git(doomed.folder / "origin", "rev-parse", f"refs/heads/{run['work_branch']}")
    assert tip == run["delivery"]["head_sha"]
    assert run_git(doomed.folder / "origin", "show", f"{tip}:answer") == "right"
    files = run_git(doomed.folder / "origin", "ls-tree", "--name-only", tip)
    assert files.split() == ["README.md", "answer"]
    assert not run["parked"]
