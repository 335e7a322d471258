"""Secrets in any encoding and across chunk borders: all are masked, and nothing else."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.secret_masks import (
    DOT,
    LEAST,
    MaskStream,
    Secret,
    SecretMask,
    dots,
    secret_in,
)

PLAIN = "sk-ant-api03-Zq8Jx2_VfQ71mPnR-ToY5LcWg9HbDk4EuA0iSsXtN6rC3yMvKjBhGzOwFpUlIdQe"
ODD = 'p4ss"w\\rd+with/slash&wörds%20'
FORMS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda value: value.encode(),
    "json": lambda value: json.dumps(value)[1:-1].encode(),
    "json, not ascii": lambda value: json.dumps(value, ensure_ascii=False)[1:-1].encode(),
    "url": lambda value: quote(value, safe="").encode(),
    "path of a url": lambda value: quote(value).encode(),
    "hex": lambda value: value.encode().hex().encode(),
    "base64": lambda value: base64.b64encode(value.encode()),
    "base64, one byte before": lambda value: base64.b64encode(b"\n" + value.encode()),
    "base64, two bytes before": lambda value: base64.b64encode(b":)" + value.encode() + b" end"),
    "base64 of a url": lambda value: base64.urlsafe_b64encode(value.encode()),
    "base64 in lines": lambda value: base64.encodebytes(value.encode()),
}


def in_stream(mask: SecretMask, pieces: list[bytes]) -> bytes:
    stream = MaskStream(mask)
    return b"".join([*map(stream.take, pieces), stream.end()])


def covered(masked: bytes) -> int:
    return sum(masked.count(sign) * len(sign) for sign in (DOT, dots(1), dots(2)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [PLAIN, ODD])
def test_a_secret_is_masked_in_every_form_wherever_its_writes_were_cut(
    value: str, form: str
) -> None:
    mask, held = SecretMask([Secret("KEY", value)]), FORMS[form](value)
    text = b"the key is <" + held + b">, says the agent\n"
    whole = mask.mask(text)
    assert len(whole) == len(text)
    assert held not in whole
    # characters an encoding shares with its neighbors, and those of an escape, may stay
    assert covered(whole) >= len(held) - len(held) // 4 - 4
    assert whole.startswith(b"the key is <")
    assert whole.endswith(b">, says the agent\n")
    for cut in range(len(text) + 1):
        assert in_stream(mask, [text[:cut], text[cut:]]) == whole
    assert in_stream(mask, [text[at : at + 1] for at in range(len(text))]) == whole


@pytest.mark.parametrize("lead", ["", "\n", "\\", "\\n", '"', "\u2028", "tab\there ", "\\\\"])
@pytest.mark.parametrize("value", ["n0teworthy-t0ken", "u00e9-u00e9-u00e9", "\\n-secret-\\", ODD])
def test_events_that_hold_a_secret_are_still_json(lead: str, value: str) -> None:
    mask = SecretMask([Secret("KEY", value)])
    for ascii_only in (True, False):
        line = json.dumps({"text": f"{lead}{value}{lead}"}, ensure_ascii=ascii_only).encode()
        told = json.loads(mask.mask(line))["text"]
        assert value not in told
        for at in range(len(line)):
            assert json.loads(in_stream(mask, [line[:at], line[at:]]))["text"] == told


def test_text_without_a_secret_is_passed_on_as_it_is_and_at_once() -> None:
    mask = SecretMask([Secret("KEY", PLAIN)])
    stream, text = MaskStream(mask), b"0 errors, 12 passed\n" * 1000
    assert mask.mask(text) is text
    assert stream.take(text) == text
    # only a possible start of a secret is held back
    assert stream.take(b"... sk-a") == b"... "
    assert stream.take(b"lways\n") == b"sk-always\n"


def test_without_secrets_nothing_is_looked_for() -> None:
    stream = MaskStream(SecretMask())
    assert stream.take(b"anything") == b"anything"
    assert stream.end() == b""


def test_short_values_are_left_in_ordinary_text() -> None:
    assert not SecretMask([Secret("KEY", "hunter2")])


def test_the_lines_of_a_key_file_are_masked_one_by_one() -> None:
    lines = ["".join(random.Random(at).choices(string.ascii_letters, k=64)) for at in range(3)]
    value = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])
    mask = SecretMask([Secret("DEPLOY_KEY", value)])
    assert mask.mask(f"> {lines[1]}\n".encode()) == b"> " + dots(64) + b"\n"
    assert mask.mask(b"-----BEGIN PRIVATE KEY-----") == b"-----BEGIN PRIVATE KEY-----"


def test_of_a_secret_that_begins_with_another_nothing_is_left() -> None:
    mask = SecretMask([Secret("A", "abcdefgh-1"), Secret("B", "abcdefgh-1-and-more-of-it")])
    assert mask.mask(b"[abcdefgh-1-and-more-of-it]") == b"[" + dots(25) + b"]"


def test_those_in_a_text_are_named_with_where_they_are_first_met() -> None:
    mask = SecretMask([Secret("A", "alpha-alpha-1"), Secret("B", "beta-beta-beta-2")])
    text = b"x beta-beta-beta-2 " + b"alpha-alpha-1".hex().encode() + b" alpha-alpha-1"
    assert mask.find(text) == {"A": 19, "B": 2}
    assert mask.find(b"nothing") == {}


@given(
    st.text(min_size=LEAST, max_size=60).filter(lambda value: len(value.strip()) >= LEAST),
    st.text(max_size=40),
    st.text(max_size=40),
    st.lists(st.integers(min_value=0, max_value=400), max_size=6),
)
def test_any_text_with_any_secret_keeps_its_length_and_its_json(
    value: str, before: str, after: str, cuts: list[int]
) -> None:
    mask = SecretMask([Secret("KEY", value)])
    line = json.dumps({"a": before, "b": f"{before}{value}{after}"}).encode()
    edges = [0, *sorted(min(cut, len(line)) for cut in cuts), len(line)]
    pieces = [line[at:to] for at, to in pairwise(edges)]
    masked = in_stream(mask, pieces)
    assert len(masked) == len(line)
    if not any(character in '"\\,: {}' for character in value):
        # a value made of JSON punctuation may match outside of strings
        json.loads(masked)


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("OPENAI_API_KEY", "sk-proj-0123456789abcdef", True),
        ("github_token", "ghp_0123456789abcdefghij", True),
        ("DB_PASSWORD", "correct horse", True),
        ("AWS_SECRET_ACCESS_KEY", "/bPxRfiCYEXAMPLEKEYwJalrXUtnFEMI+K7MDENG", True),
        ("HTTPS_PROXY", "http://me:s3cr3tpassword@proxy:3128", True),
        ("HTTPS_PROXY", "http://proxy.example.com:3128", False),
        ("database_url", "postgresql://postgres:postgres@db/shop", False),
        ("API_KEY", "short", False),
        ("SSH_KEY", "/home/me/.ssh/id_ed25519", False),
        ("SSL_KEY", "~/keys/server.pem", False),
        ("TOKEN_URL", "https://auth.example.com/token", False),
        ("MAX_OUTPUT_TOKENS", "100000000", False),
        ("KEYRING", "disabled", False),
        ("EDITOR", "some-long-program-name", False),
    ],
)
def test_which_variables_hold_a_secret(name: str, value: str, is_secret: bool) -> None:
    assert (secret_in(name, value) is not None) == is_secret


def test_a_variable_of_a_sign_in_is_a_secret_whatever_its_value_is_like() -> None:
    assert secret_in("ANTHROPIC_CUSTOM_HEADERS", "x-auth: 0123456", is_known=True) is not None
