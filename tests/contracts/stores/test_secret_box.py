"""The key of the stored secrets: a fresh one replaces it, and nothing is lost on the way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.adapters.machine.secret_box import SecretBox
from app.services.ports import WrongKey


class CutShortError(Exception):
    """What cuts a rotation short."""


@pytest.fixture
def box(tmp_path: Path) -> SecretBox:
    return SecretBox(tmp_path / "keys" / "secret.key")


def test_after_a_rotation_the_key_before_it_opens_nothing(box: SecretBox) -> None:
    first = box.seal("TOKEN")
    old = box.key_file.read_text()
    with box.rotation():
        # both open, and the fresh one encrypts
        assert box.unseal(first) == "TOKEN"
        second = box.seal("TOKEN")
        box.key_file.with_name("old.key").write_text(old)
        assert not SecretBox(box.key_file.with_name("old.key")).opens(second)
    assert box.unseal(second) == "TOKEN"
    assert not box.opens(first)
    assert len(box.key_file.read_text().split()) == 1
    assert stat.S_IMODE(box.key_file.stat().st_mode) == 0o600


def test_a_rotation_that_is_cut_short_keeps_both_keys_and_the_next_one_ends_it(
    box: SecretBox,
) -> None:
    first = box.seal("TOKEN")
    second = ""

    def cut_short() -> None:
        nonlocal second
        with box.rotation():
            second = box.seal("TOKEN")
            raise CutShortError

    with pytest.raises(CutShortError):
        cut_short()
    assert box.unseal(first) == box.unseal(second) == "TOKEN"
    # what a crash left beside it
    box.key_file.with_name(".secret.key.fresh").write_text("half a k")
    with box.rotation():
        third = box.seal(box.unseal(first))
    assert (box.opens(first), box.opens(second), box.opens(third)) == (False, False, True)
    left = {one.name for one in box.key_file.parent.iterdir()}
    assert left == {"secret.key", ".secret.key.lock"}


def test_a_link_to_the_key_file_stays_a_link(box: SecretBox, tmp_path: Path) -> None:
    box.seal("TOKEN")
    link = tmp_path / "linked.key"
    link.symlink_to(box.key_file)
    other = SecretBox(link)
    with other.rotation():
        sealed = other.seal("TOKEN")
    assert link.is_symlink()
    assert box.unseal(sealed) == "TOKEN"


@pytest.mark.parametrize("content", ["", "no key", "a\nb"])
def test_a_file_without_a_key_is_named(box: SecretBox, content: str) -> None:
    sealed = box.seal("TOKEN")
    box.key_file.write_text(content)
    assert not box.opens(sealed)
    with pytest.raises(WrongKey, match=r"secret\.key holds no key"):
        box.unseal(sealed)


def test_a_place_that_cannot_be_written_changes_nothing(box: SecretBox) -> None:
    sealed = box.seal("TOKEN")
    before = box.key_file.read_text()
    box.key_file.with_name(".secret.key.lock").mkdir()
    with pytest.raises(IsADirectoryError), box.rotation():
        pytest.fail("it began")
    assert (box.key_file.read_text(), box.unseal(sealed)) == (before, "TOKEN")
