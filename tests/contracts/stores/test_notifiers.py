"""The contract of every notifier: the one by Apprise, and the in-memory fake."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.adapters.notifications.apprise import AppriseNotifier
from app.domain.notifications import Message
from app.services.ports import Notifier, NotTaken
from tests.drivers.cli.shells import Shell
from tests.fakes.receivers import SECRET, FakeNotifier, local_receiver

HELLO = Message("Runyard: hello", "A line\nand <b>another</b> & :smile: \\n")


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """The text of our log; pytest's own capture would include loggers that do not propagate."""
    lines = io.StringIO()
    handler, root = logging.StreamHandler(lines), logging.getLogger()
    root.addHandler(handler)
    yield lines.getvalue
    root.removeHandler(handler)


@dataclass
class Post:
    """A notifier, a receiver's address, the messages it took, and a way to make it refuse."""

    notifier: Notifier
    address: str
    taken: Callable[[], list[Message]]
    refuse: Callable[[], object]


def by_apprise() -> Iterator[Post]:
    with local_receiver() as there:
        yield Post(
            AppriseNotifier(),
            there.address,
            lambda: [Message(one["title"], one["message"]) for one in there.taken],
            lambda: there.answers.append(500),
        )


def in_memory() -> Iterator[Post]:
    twin, address = FakeNotifier(), f"mem://{SECRET}"
    yield Post(
        twin,
        address,
        lambda: twin.taken.get(address, []),
        lambda: twin.refuses.update({address: "It answered 500."}),
    )


@pytest.fixture(params=[by_apprise, in_memory], ids=["apprise", "memory"])
def post(request: pytest.FixtureRequest) -> Iterator[Post]:
    yield from request.param()


def test_a_message_is_taken_once_and_as_it_was_written(post: Post) -> None:
    assert post.notifier.problem(post.address) is None
    post.notifier.send(post.address, HELLO)
    assert post.taken() == [HELLO]


def test_what_is_refused_is_not_taken_and_the_reason_has_no_secret(post: Post) -> None:
    post.refuse()
    with pytest.raises(NotTaken, match=r"^It answered 500\.$"):
        post.notifier.send(post.address, HELLO)
    assert post.taken() == []


@pytest.mark.parametrize(
    "address", [f"nonsense://{SECRET}", SECRET, "", f"slack://{SECRET}", f"json://{SECRET}:x/"]
)
def test_an_address_of_no_receiver_has_a_problem_and_takes_nothing(
    post: Post, address: str, logged: Callable[[], str]
) -> None:
    problem = post.notifier.problem(address)
    assert problem
    with pytest.raises(NotTaken) as refused:
        post.notifier.send(address, HELLO)
    assert SECRET not in problem + str(refused.value) + logged()


def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    with local_receiver("hangs") as there:
        notifier = AppriseNotifier(seconds=0.3)
        with pytest.raises(NotTaken, match=r"did not answer within 0\.3 seconds"):
            notifier.send(there.address, HELLO)
        there.release.set()
        assert there.taken == []


def test_a_receiver_that_closes_or_is_away_has_not_taken_it() -> None:
    with local_receiver("closes") as there:
        with pytest.raises(NotTaken) as refused:
            AppriseNotifier().send(there.address, HELLO)
        address = there.address
    assert SECRET not in str(refused.value)
    with pytest.raises(NotTaken, match="could not be reached"):
        AppriseNotifier().send(address, HELLO)


def test_what_apprise_logs_stays_out_of_the_log(logged: Callable[[], str]) -> None:
    with local_receiver(500) as there, pytest.raises(NotTaken):
        AppriseNotifier().send(there.address, HELLO)
    assert logged() == ""


def test_a_start_does_not_load_apprise(tmp_path: Path) -> None:
    program = (
        "import sys; from app.server import application; "
        "from app.adapters.notifications.apprise import AppriseNotifier; "
        "AppriseNotifier(); print('apprise' in sys.modules)"
    )
    ended = Shell(tmp_path).run("-c", program)
    assert ended.out == "False\n", ended.err
