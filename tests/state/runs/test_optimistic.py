"""Undoing a submit restores the list exactly, despite other changes in between."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.schemas import RunOut, RunsPage
from app.domain.words import Status
from app.state.page.optimistic import OptimisticMutation, OptimisticRows
from app.state.runs.run_board import BoardRow, RunBoard, RunFilters, Submitting
from tests.builders.run_samples import run_of, submitting


def board_of(*runs: RunOut) -> RunBoard:
    board = RunBoard(RunFilters())
    board.load(RunsPage(items=list(runs)))
    return board


def made_by(key: str, number: int, status: Status = Status.RUNNING) -> RunOut:
    """Return the run created by the submit with this key."""
    return run_of(number, status, correlation_id=f"corr-of-{key}")


def names(board: RunBoard) -> list[str]:
    return [row.key if isinstance(row, Submitting) else row.id for row in board.rows()]


def test_a_submit_is_on_top_at_once_and_a_refusal_restores_the_list() -> None:
    board = board_of(run_of(2), run_of(1))
    mutation = board.begin(submitting("k"))
    assert names(board) == ["k", run_of(2).id, run_of(1).id]
    mutation.restore()
    assert tuple(board.rows()) == mutation.prior_state


def test_a_restored_list_is_made_from_the_list_as_it_was_before() -> None:
    board = board_of(run_of(3), run_of(2), run_of(1))
    mutation = board.begin(submitting("k"))
    board.apply(run_of(4))
    mutation.prior_state = mutation.prior_state[:1]
    mutation.restore()
    assert names(board) == [run_of(4).id, run_of(3).id], "restore() did not read prior_state"


def test_a_submit_whose_run_came_and_was_filtered_out_does_not_show_as_submitting_again() -> None:
    board = RunBoard(RunFilters(status=(Status.QUEUED,)))
    mutation = board.begin(submitting("k"))
    board.apply(made_by("k", 2, Status.QUEUED))
    board.apply(made_by("k", 2, Status.RUNNING))
    assert names(board) == []
    mutation.restore()
    assert names(board) == []


@pytest.mark.parametrize("was_shown", [True, False])
def test_an_answer_that_the_feed_has_overtaken_brings_no_run_to_a_list_that_it_has_left(
    was_shown: bool,
) -> None:
    board = RunBoard(RunFilters(status=(Status.QUEUED,)))
    mutation = board.begin(submitting("k"))
    if was_shown:
        board.apply(made_by("k", 2, Status.QUEUED))
    board.apply(made_by("k", 2, Status.RUNNING))
    assert names(board) == [], "its run is not among those that wait"
    board.confirm(mutation, made_by("k", 2, Status.QUEUED))
    assert names(board) == []


def test_what_came_meanwhile_stays_when_a_submit_is_undone() -> None:
    board = board_of(run_of(1))
    first = board.begin(submitting("k1"))
    board.apply(run_of(5, Status.QUEUED, project_id="proj_b"))
    board.apply(run_of(1, Status.STOPPED))
    board.begin(submitting("k2"))
    first.restore()
    assert names(board) == ["k2", run_of(5).id, run_of(1).id]
    last = board.rows()[-1]
    assert isinstance(last, RunOut)
    assert last.status is Status.STOPPED


def test_the_feeds_row_and_the_answers_row_are_one() -> None:
    board = board_of(run_of(1))
    mutation = board.begin(submitting("k"))
    board.apply(made_by("k", 2, Status.STARTING))
    assert names(board) == [run_of(2).id, run_of(1).id]
    board.confirm(mutation, made_by("k", 2, Status.QUEUED))
    assert names(board) == [run_of(2).id, run_of(1).id]
    newest = board.rows()[0]
    assert isinstance(newest, RunOut)
    assert newest.status is Status.STARTING


def test_a_retry_of_a_submit_whose_answer_was_lost_shows_no_second_row() -> None:
    board = board_of()
    first = board.begin(submitting("k"))
    board.apply(made_by("k", 2))
    first.restore()
    retry = board.begin(submitting("k"))
    assert names(board) == [run_of(2).id]
    board.confirm(retry, made_by("k", 2))
    assert names(board) == [run_of(2).id]


def test_a_like_run_of_somebody_else_takes_no_ones_place() -> None:
    board = board_of()
    mutation = board.begin(submitting("k"))
    board.apply(run_of(2))
    assert names(board) == ["k", run_of(2).id]
    board.confirm(mutation, run_of(3))
    assert names(board) == [run_of(3).id, run_of(2).id]


def test_ending_twice_does_nothing() -> None:
    board = board_of()
    mutation = board.begin(submitting("k"))
    board.confirm(mutation, run_of(1))
    mutation.restore()
    assert names(board) == [run_of(1).id]


def test_a_change_of_a_row_shows_in_its_place_and_goes_back() -> None:
    rows: OptimisticRows[tuple[str, str]] = OptimisticRows(lambda row: row[0], lambda row: row[0])
    rows.load([("a", "off"), ("b", "off")])
    mutation = rows.begin(("a", "on"))
    assert rows.visible() == [("b", "off"), ("a", "on")]
    mutation.restore()
    assert rows.visible() == list(mutation.prior_state)
    rows.begin(("a", "on")).confirm(("a", "on!"))
    assert rows.visible() == [("b", "off"), ("a", "on!")]


async def test_a_row_is_busy_while_it_is_stopped_and_the_answer_stays() -> None:
    board = board_of(run_of(2), run_of(1))
    seen: list[str] = []

    async def stop() -> RunOut:
        seen.append(board.word_of(run_of(1).id))
        return run_of(1, Status.STOPPED)

    await board.stop(run_of(1).id, stop, lambda: None)
    assert seen == ["Stopping…"]
    assert board.word_of(run_of(1).id) == ""
    assert board.rows() == [run_of(2), run_of(1, Status.STOPPED)]


async def test_a_stop_that_is_refused_leaves_the_row_as_the_feed_tells_it() -> None:
    board = board_of(run_of(1))

    async def stop() -> RunOut:
        board.apply(run_of(1, Status.SUCCEEDED))
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await board.stop(run_of(1).id, stop, lambda: None)
    assert board.rows() == [run_of(1, Status.SUCCEEDED)]


async def test_a_second_stop_of_the_same_row_asks_nobody() -> None:
    board, asked = board_of(run_of(1)), list[int]()

    async def stop() -> RunOut:
        asked.append(1)
        await board.stop(run_of(1).id, stop, lambda: None)
        return run_of(1, Status.STOPPED)

    await board.stop(run_of(1).id, stop, lambda: None)
    assert asked == [1]


async def test_a_stopped_run_that_the_filters_do_not_show_goes() -> None:
    board = RunBoard(RunFilters(status=(Status.RUNNING,)))
    board.load(RunsPage(items=[run_of(1)]))

    async def stop() -> RunOut:
        return run_of(1, Status.STOPPED)

    await board.stop(run_of(1).id, stop, lambda: None)
    assert board.rows() == []


def test_an_answer_does_not_set_back_what_the_feed_knew_first() -> None:
    rows: OptimisticRows[tuple[str, str]] = OptimisticRows(lambda row: row[0], lambda row: row[0])
    rows.load([("a", "running")])
    mutation = rows.begin(("a", "running"), word="Stopping…")
    rows.put(("a", "released"))
    mutation.confirm(("a", "stopped"))
    assert rows.visible() == [("a", "released")]


@dataclass
class World:
    """The true state, kept apart from the board under test."""

    board: RunBoard = field(default_factory=board_of)
    runs: dict[int, RunOut] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)
    waiting: dict[str, tuple[OptimisticMutation[BoardRow], int | None]] = field(
        default_factory=dict
    )
    count: int = 0

    def feed(self, number: int, status: Status = Status.QUEUED, **more: str) -> None:
        before = self.runs.get(number)
        same = {} if before is None else {"correlation_id": before.correlation_id}
        self.runs[number] = run_of(number, status, **{**same, **more})
        self.board.apply(self.runs[number])
        self.told.add(number)

    def do(self, step: str, pick: int) -> None:
        keys = sorted(self.waiting)
        self.count += 1
        if step == "submit":
            key = f"k{self.count}"
            self.waiting[key] = (self.board.begin(submitting(key)), None)
        elif step == "foreign":
            self.feed(self.count, project_id="proj_b")
        elif step == "like":
            self.feed(self.count)
        elif step == "change" and self.told:
            number = sorted(self.told)[pick % len(self.told)]
            self.feed(number, Status.RUNNING, project_id=self.runs[number].project_id)
        elif step == "accepted by the feed first" and keys:
            key = keys[pick % len(keys)]
            if self.waiting[key][1] is None:
                self.feed(self.count, Status.STARTING, correlation_id=f"corr-of-{key}")
                self.waiting[key] = (self.waiting[key][0], self.count)
        elif step == "confirm" and keys:
            self.confirm(keys[pick % len(keys)])
        elif step == "fail" and keys:
            self.waiting.pop(keys[pick % len(keys)])[0].restore()

    def confirm(self, key: str) -> None:
        mutation, number = self.waiting.pop(key)
        if number is None:
            number = self.count
            self.runs[number] = made_by(key, number, Status.QUEUED)
            self.told.add(number)
        self.board.confirm(mutation, made_by(key, number, Status.QUEUED))

    def check(self) -> None:
        rows = self.board.rows()
        real = [row for row in rows if isinstance(row, RunOut)]
        assert real == [self.runs[number] for number in sorted(self.told, reverse=True)]
        shown = [row.key for row in rows if isinstance(row, Submitting)]
        unheard = [key for key, (_, number) in self.waiting.items() if number is None]
        assert shown == unheard[::-1], "each submit shows once, as long as its run is not there"
        assert rows[: len(shown)] == [row for row in rows if isinstance(row, Submitting)]


STEPS = ["submit", "foreign", "like", "change", "accepted by the feed first", "confirm", "fail"]


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), max_size=30))
def test_in_any_order_the_list_is_prior_state_and_what_really_happened(
    steps: list[tuple[str, int]],
) -> None:
    world = World()
    for step, pick in steps:
        world.do(step, pick)
        world.check()
    for key in sorted(world.waiting):
        world.waiting.pop(key)[0].restore()
    world.check()
    assert all(isinstance(row, RunOut) for row in world.board.rows())


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), max_size=12))
def test_a_submit_refused_at_once_leaves_no_trace(steps: list[tuple[str, int]]) -> None:
    world = World()
    for step, pick in steps:
        world.do(step, pick)
    mutation = world.board.begin(submitting("last"))
    mutation.restore()
    assert tuple(world.board.rows()) == mutation.prior_state


Line = tuple[str, int, str]  # key, place, value


@dataclass
class Layer:
    """A pending change, as a layer over the server's state."""

    key: str
    row: Line
    before: Line | None
    maker: str
    mutation: OptimisticMutation[Line]
    is_known: bool = False


@dataclass
class Layers:
    """Reference implementation: undo removes a layer from above the server's state."""

    rows: OptimisticRows[Line] = field(
        default_factory=lambda: OptimisticRows(lambda line: line[0], lambda line: line[1])
    )
    settled: dict[str, Line] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    count: int = 0

    def do(self, step: str, pick: int) -> None:
        self.count += 1
        held = sorted(self.settled)
        some = held[pick % len(held)] if held else ""
        if step == "submit":
            self.begin((f"s{self.count}", self.count, "asked"), f"by {self.count}")
        elif step == "stop" and some:
            self.begin((some, self.settled[some][1], f"stopping {self.count}"), "")
        elif step == "foreign run":
            self.feed((f"r{self.count}", self.count, "queued"))
        elif step == "its run" and self.layers:
            maker = self.layers[pick % len(self.layers)].maker
            self.feed((f"r{self.count}", self.count, maker or "queued"))
        elif step == "change" and some:
            self.feed((some, self.settled[some][1], f"changed {self.count}"))
        elif step == "gone" and some:
            self.rows.drop(some)
            del self.settled[some]
        elif step == "snapshot":
            fresh = [self.settled[key] for key in held[pick % 3 :]]
            self.settled = {line[0]: line for line in fresh}
            self.rows.load(fresh)
        elif step in ("confirm", "fail") and self.layers:
            self.end(self.layers.pop(pick % len(self.layers)), is_done=step == "confirm")

    def begin(self, row: Line, maker: str) -> None:
        mutation = self.rows.begin(row, is_same=lambda line: bool(maker) and line[2] == maker)
        before = self.settled.get(row[0])
        self.layers.append(Layer(row[0], row, before, maker, mutation))

    def feed(self, line: Line) -> None:
        self.settled[line[0]] = line
        for layer in self.layers:
            layer.is_known = layer.is_known or line[2] == layer.maker
        self.rows.put(line)

    def end(self, layer: Layer, *, is_done: bool) -> None:
        if not is_done:
            layer.mutation.restore()
            return
        answer = (layer.key.replace("s", "r"), layer.row[1], layer.maker or "stopped")
        is_news = layer.before is not None or not layer.is_known
        if is_news and self.settled.get(answer[0]) == layer.before:
            self.settled[answer[0]] = answer
        layer.mutation.confirm(answer)

    def visible(self) -> list[Line]:
        new = [one for one in self.layers if one.before is None and not one.is_known]
        instead = {one.key: one.row for one in self.layers if one.before is not None}
        shown = [instead.get(key, line) for key, line in self.settled.items()]
        return [one.row for one in new[::-1]] + sorted(shown, key=lambda line: -line[1])


ACTS = [
    *("submit", "stop", "foreign run", "its run", "change", "gone", "snapshot"),
    *("confirm", "fail", "fail"),
]


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 7)), max_size=40))
def test_prior_state_and_what_happened_since_make_the_list_that_a_layer_taken_away_would(
    steps: list[tuple[str, int]],
) -> None:
    world = Layers()
    for step, pick in steps:
        world.do(step, pick)
        assert world.rows.visible() == world.visible(), step
    while world.layers:
        world.end(world.layers.pop(), is_done=False)
        assert world.rows.visible() == world.visible()
