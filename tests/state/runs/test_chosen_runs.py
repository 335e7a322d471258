"""Bulk actions on chosen runs: a refusal concerns one run, which stays chosen with its reason."""

from __future__ import annotations

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import RunItem
from app.domain.words import Status
from app.state.runs.chosen_runs import ChosenRuns
from tests.builders.run_samples import run_of

RUNS = [run_of(number, Status.DIED) for number in range(6)]


async def test_what_is_refused_stays_chosen_and_the_others_are_done() -> None:
    chosen = ChosenRuns()
    chosen.choose_all(run.id for run in RUNS)
    seen: list[str] = []

    async def retry(run: RunItem) -> None:
        assert chosen.busy == "Retrying…"
        # a second press meanwhile does nothing
        assert await chosen.act(RUNS, retry, word="Retrying…", show=lambda: None) == 0
        seen.append(run.id)
        if run is RUNS[1]:
            raise ApiProblem(409, {"detail": "A retry is open."}, "corr")
        if run is RUNS[4]:
            raise NoAnswer("corr")

    assert await chosen.act(RUNS, retry, word="Retrying…", show=lambda: None) == 4
    assert sorted(seen) == [run.id for run in RUNS]
    assert chosen.refused == {
        RUNS[1].id: "A retry is open.",
        RUNS[4].id: "The server did not answer.",
    }
    assert chosen.among(RUNS) == [RUNS[1], RUNS[4]]
    assert chosen.busy == ""


def test_a_run_that_the_list_no_longer_shows_is_not_chosen() -> None:
    chosen = ChosenRuns()
    chosen.choose_all(run.id for run in RUNS)
    chosen.keep([RUNS[2].id])
    assert chosen.among(RUNS) == [RUNS[2]]
    chosen.clear()
    assert len(chosen) == 0
