"""Ids: their two shapes, their order, and the store that each shape implies."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import (
    Store,
    Unclassifiable,
    is_run_id,
    mint_control_id,
    mint_run_store_id,
    minted_between,
    shorten,
    store_of,
)

TIMES = st.integers(0, 2**48 - 1)
ENTROPY = st.binary(min_size=10, max_size=16)
PREFIXES = st.sampled_from(["run", "batch"])
BODY = "0123456789abcdefghijklmno"  # 25 characters
TOGETHER = "c" + BODY[:24]
OF_CONTROL = [
    *("proj", "person", "change", "session", "issue", "audit", "bulk", "notice", "outgoing"),
]


@given(PREFIXES, TIMES, ENTROPY)
def test_an_id_of_a_split_deployment_is_the_run_store_s(prefix: str, at: int, noise: bytes) -> None:
    made = mint_run_store_id(prefix, at_ms=at, entropy=noise, split=True)
    assert re.fullmatch(rf"{prefix}_[0-9a-v]{{25}}1", made)
    assert store_of(made) is Store.RUNS


@given(PREFIXES, TIMES, ENTROPY)
def test_an_id_of_a_deployment_with_one_database_is_the_control_store_s(
    prefix: str, at: int, noise: bytes
) -> None:
    made = mint_run_store_id(prefix, at_ms=at, entropy=noise, split=False)
    assert re.fullmatch(rf"{prefix}_c[0-9a-v]{{24}}", made)
    assert store_of(made) is Store.CONTROL


@given(st.booleans(), TIMES, TIMES, ENTROPY, ENTROPY)
def test_ids_sort_by_their_creation(
    split: bool, one: int, other: int, noise: bytes, more: bytes
) -> None:
    first = mint_run_store_id("run", at_ms=min(one, other), entropy=noise, split=split)
    second = mint_run_store_id("run", at_ms=max(one, other), entropy=more, split=split)
    assert one == other or first < second
    assert one == other or mint_control_id(
        "proj", at_ms=min(one, other), entropy=noise
    ) < mint_control_id("proj", at_ms=max(one, other), entropy=more)


@given(st.booleans(), TIMES, ENTROPY, ENTROPY)
def test_the_entropy_tells_ids_of_one_millisecond_apart(
    split: bool, at: int, noise: bytes, more: bytes
) -> None:
    # at least 70 of the 80 bits are used
    one = mint_run_store_id("run", at_ms=at, entropy=noise, split=split)
    other = mint_run_store_id("run", at_ms=at, entropy=more, split=split)
    assert (one == other) is (
        int.from_bytes(noise[:10], "big") >> (5 if split else 10)
        == int.from_bytes(more[:10], "big") >> (5 if split else 10)
    )


@given(st.sampled_from(OF_CONTROL), TIMES, ENTROPY)
def test_control_ids_have_a_shape_of_their_own(prefix: str, at: int, noise: bytes) -> None:
    made = mint_control_id(prefix, at_ms=at, entropy=noise)
    assert re.fullmatch(rf"{prefix}_[0-9a-v]{{24}}", made)
    assert store_of(made) is Store.CONTROL
    assert not is_run_id(made)


@pytest.mark.parametrize(
    ("id_", "store"),
    [
        (f"run_{BODY}1", Store.RUNS),
        (f"batch_{BODY}1", Store.RUNS),
        (f"run_{TOGETHER}", Store.CONTROL),
        (f"batch_{TOGETHER}", Store.CONTROL),
        # the shape decides, not the first character: 26 characters ending in 1
        (f"run_{TOGETHER}1", Store.RUNS),
        (f"proj_{BODY[:24]}", Store.CONTROL),
        (f"run_{BODY}0", None),
        (f"run_{BODY}", None),
        (f"run_{BODY[:24]}1", None),
        (f"run_{BODY}11", None),
        (f"run_{TOGETHER[:-1]}", None),
        (f"run_{BODY.upper()}1", None),
        (f"RUN_{BODY}1", None),
        (f"Run_{TOGETHER}", None),
        (f"run_{TOGETHER.replace('c', 'C', 1)}", None),
        (f"run-{BODY}1", None),
        (f"job_{BODY}1", None),
        (f"{BODY}1", None),
        (f"run_{BODY[:-1]}w1", None),
        (f"run_{BODY[:-1]}\u06611", None),
        (f"run_{BODY}1\n", None),
        (f" run_{BODY}1", None),
        (f"run_{BODY}1/../x", None),
        ("run_", None),
        ("_", None),
        ("", None),
        ("\0", None),
    ],
)
def test_the_shape_alone_says_which_store_owns_a_row(id_: str, store: Store | None) -> None:
    if store is None:
        with pytest.raises(Unclassifiable):
            store_of(id_)
    else:
        assert store_of(id_) is store
    assert is_run_id(id_) is (store is not None and id_.startswith("run_"))


@given(st.text(max_size=60))
def test_classifying_is_total(text: str) -> None:
    try:
        assert store_of(text) in Store
    except Unclassifiable:
        # any other exception fails the test
        assert not is_run_id(text)


@given(st.booleans(), TIMES, ENTROPY)
def test_an_id_is_safe_as_a_branch_a_file_and_a_host_name(
    split: bool, at: int, noise: bytes
) -> None:
    made = mint_run_store_id("run", at_ms=at, entropy=noise, split=split)
    assert re.fullmatch(r"[a-z0-9_]{4,63}", made)


def test_people_see_the_last_six_characters() -> None:
    assert shorten("run_c0123456789abcdefghijk7f3k1a") == "…7f3k1a"


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("at_ms", [0, 1, 1_767_323_045_678, 2**48 - 1])
def test_every_beginning_of_a_run_id_says_about_when_it_was_minted(at_ms: int, split: bool) -> None:
    minted = mint_run_store_id("run", at_ms=at_ms, entropy=b"\xa7" * 10, split=split)
    spans = [minted_between(minted[:length]) for length in range(4, len(minted) + 1)]
    assert all(span is not None and span[0] <= at_ms <= span[1] for span in spans)
    assert spans[-1] == (at_ms, at_ms)


@pytest.mark.parametrize("text", ["", "run", "ru", "batch_c", "run_w", "run_8", "RUN_C", "run_c0 "])
def test_what_no_run_id_begins_with_was_never_minted(text: str) -> None:
    assert minted_between(text) is None
