"""Search in a log: stepping through hits, and the position among them."""

from __future__ import annotations

from app.api.schemas import LogHitOut, LogHitsOut
from app.state.runs.log_find import LogFind


class Hits:
    """A log with a hit every ten bytes, returned a few at a time."""

    def __init__(self, count: int, at_once: int, *, counts: bool = True) -> None:
        self.count, self.at_once, self._counts = count, at_once, counts

    async def search(self, words: str, cursor: str | None) -> LogHitsOut:
        after = int(cursor) if cursor else -1
        every = [LogHitOut(offset=10 * n, line=n, text=words) for n in range(self.count)]
        behind = [hit for hit in every if hit.offset > after]
        some = behind[: self.at_once]
        more = str(some[-1].offset) if len(behind) > len(some) else None
        is_whole = self._counts or (after < 0 and more is None)
        return LogHitsOut(total=self.count if is_whole else None, items=some, next_cursor=more)


async def test_hits_are_led_to_one_after_the_other_and_around() -> None:
    find = LogFind(Hits(3, at_once=2).search)
    assert (find.place, find.hit) == ("", None)
    await find.look("needle")
    places = []
    for _ in range(4):
        assert find.hit is not None
        places.append((find.place, find.hit.offset))
        await find.step(1)
    assert places == [("1 of 3", 0), ("2 of 3", 10), ("3 of 3", 20), ("1 of 3", 0)]
    await find.step(-1)
    await find.step(-1)
    assert find.place == "3 of 3"


async def test_before_the_first_of_many_hits_nothing_is_skipped() -> None:
    find = LogFind(Hits(30, at_once=10).search)
    await find.look("needle")
    await find.step(-1)
    assert find.place == "1 of 30"


async def test_what_a_live_log_got_since_is_found_behind_the_last_hit() -> None:
    hits = Hits(1, at_once=5)
    find = LogFind(hits.search)
    await find.look("needle")
    assert find.place == "1 of 1"
    hits.count = 2
    await find.step(1)
    assert find.place == "2 of 2"


async def test_where_not_all_are_counted_that_is_said_until_they_are() -> None:
    find = LogFind(Hits(3, at_once=2, counts=False).search)
    await find.look("needle")
    assert find.place == "1 of 2+"
    await find.step(1)
    await find.step(1)
    assert find.place == "3 of 3"


async def test_words_that_are_not_there_and_no_words_say_so() -> None:
    find = LogFind(Hits(0, at_once=2).search)
    await find.look("needle")
    assert (find.place, find.hit) == ("not found", None)
    await find.step(1)
    assert find.place == "not found"
    await find.look("")
    assert find.place == ""


async def test_what_was_typed_since_is_not_kept_waiting_by_a_long_look_for_nothing() -> None:
    looks = list[str]()

    async def search(words: str, _: str | None) -> LogHitsOut:
        looks.append(words)
        if len(looks) == 2:
            find.want("assistance")
        return LogHitsOut(total=None, items=[], next_cursor=str(len(looks)))

    find = LogFind(search)
    await find.look("assistant")
    assert looks == ["assistant", "assistant"]
    assert (find.is_wanted("assistant"), find.is_wanted("assistance")) == (False, True)


async def test_in_another_form_hits_are_counted_before_one_is_led_to() -> None:
    find = LogFind(Hits(3, at_once=5).search)
    await find.look("needle")
    await find.count()
    assert (find.place, find.hit) == ("3 found", None)
    await find.step(-1)
    assert find.place == "3 of 3"
