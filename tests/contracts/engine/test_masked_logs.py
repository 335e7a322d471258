"""Secrets in logs: never on disk and never in an answer, however they are written or read."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.engine.run_log import RunLog
from app.adapters.supervisor.output import CappedLog
from app.domain.secret_masks import Secret, SecretMask, dots
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, run_to_end, shell

KEY = "sk-test-0123456789abcdefghijKLMNOPQRSTUVWXYZ"
SECRETS = (Secret("OPENAI_API_KEY", KEY),)
COVER = dots(len(KEY))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[KeepingEngine]:
    """An engine that knows a secret; its runs are ended afterwards."""
    engine = KeepingEngine(tmp_path / "runs", instance=uuid.uuid4().hex, secrets=lambda: SECRETS)
    yield engine
    assert all(engine.end(run_id) for run_id in engine.owned())
    engine.close()


def on_disk(tmp_path: Path) -> bytes:
    """Return everything on disk of a run except its prompt; the log's files come in order."""
    folder = tmp_path / "runs" / RUN
    tails = sorted(folder.glob("tail.*"), key=lambda one: int(one.name.removeprefix("tail.")))
    others = [one for one in folder.iterdir() if one.name != "prompt.md" and one not in tails]
    return b"".join(one.read_bytes() for one in [*others, *tails])


def test_a_secret_that_an_agent_prints_never_reaches_the_disk(
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path
) -> None:
    env = {"PATH": "/usr/bin:/bin", "OPENAI_API_KEY": KEY}
    text = 'env; printf %s "$OPENAI_API_KEY" | base64; echo "<$OPENAI_API_KEY>"; echo done'
    run_to_end(engine, ears, workdir, shell(text), env=env)
    log = engine.log(RUN).read().content
    assert b"OPENAI_API_KEY=" + COVER in log
    assert b"<" + COVER + b">\ndone\n" in log
    assert KEY.encode() not in on_disk(tmp_path)
    assert b"c2stdGVzdC0wMTIz" not in on_disk(tmp_path)


def test_a_secret_written_in_two_halves_is_masked_and_nothing_else_waits(
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path
) -> None:
    text = f"""printf 'key: {KEY[:20]}'; until [ -e go ]; do read -t 0.01 x; done
        printf '{KEY[20:]} done\n'"""
    engine.start(order(RUN, workdir, ["/bin/bash", "-c", text]))
    ears.wait_for_text(RUN, b"key: ")
    # the last bytes may start a secret, so they are held back until they prove harmless
    assert engine.log(RUN).read().content == b"key: "
    (workdir / "go").touch()
    ears.wait_for(RUN, "gone")
    assert engine.log(RUN).read().content == b"key: " + COVER + b" done\n"
    assert KEY[:20].encode() not in on_disk(tmp_path)


def test_the_beginning_of_a_secret_at_the_end_of_a_log_is_kept(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell(f"printf 'it begins with {KEY[:7]}'"))
    assert engine.log(RUN).read().content == b"it begins with " + KEY[:7].encode()


def test_positions_count_what_was_written_though_parts_were_masked_and_cut(
    engine: KeepingEngine, ears: Ears, workdir: Path, tmp_path: Path
) -> None:
    # the key spans every border between the log's files
    line = f"{KEY}{KEY}{KEY}\n"
    text = f"i=0; while [ $i -lt 3000 ]; do printf '{line}'; i=$((i+1)); done"
    run_to_end(engine, ears, workdir, shell(text), log_cap_bytes=10_000)
    log = engine.log(RUN)
    assert log.size == 3000 * len(line)
    assert log.is_cut
    assert b"sk-" not in on_disk(tmp_path)
    assert log.read(-len(line)).content == COVER * 3 + b"\n"


def test_an_event_with_a_secret_is_still_an_event(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    event = json.dumps({"type": "text", "text": f'a\n{KEY}\\"{KEY}'})
    run_to_end(engine, ears, workdir, ["/usr/bin/printf", "%s\n", event])
    told = json.loads(engine.log(RUN).read().content)["text"]
    assert told == "a\n" + COVER.decode() + '\\"' + COVER.decode()


@pytest.fixture
def earlier(tmp_path: Path) -> tuple[Path, bytes]:
    """A log written before its secrets were known, and the masked text expected when it is read."""
    text = f"begin {KEY} middle {KEY}{KEY} end\n".encode() * 5
    (tmp_path / "old").mkdir()
    folder = os.open(tmp_path / "old", os.O_RDONLY)
    log = CappedLog(folder, 400)
    for at in range(0, len(text), 7):
        log.write(text[at : at + 7])
    log.close()
    os.close(folder)
    return tmp_path / "old", text.replace(KEY.encode(), COVER)


def test_a_log_of_before_is_masked_wherever_a_range_of_it_begins_and_ends(
    earlier: tuple[Path, bytes],
) -> None:
    path, expected = earlier
    log = RunLog(path, lambda: SecretMask(SECRETS))
    assert RunLog(path).size == log.size == len(expected)
    # the end of the part that is kept after the gap
    for begin in range(log.size - 70, log.size):
        for limit in (1, 2, 5, 30, 75):
            piece = log.read(begin, limit)
            assert piece.content == expected[begin : begin + limit]
            assert piece.next_offset == min(begin + limit, log.size)
    for begin in range(150):
        assert log.read(begin, 1).content == expected[begin : begin + 1]
