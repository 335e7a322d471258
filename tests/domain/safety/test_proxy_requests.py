"""Proxy requests have exactly one reading, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sandbox.network_rules import Target
from app.domain.sandbox.proxy_requests import MAX_HEAD_BYTES, BadRequest, head_size, read_request

HOST = "Host: api.example.com:443"


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "lines",
    [
        ("CONNECT api.example.com:443 HTTP/1.1", HOST),
        ("CONNECT api.example.com:443 HTTP/1.0",),
        ("CONNECT API.Example.com.:443 HTTP/1.1", "Host: api.example.com"),
        ("CONNECT api.example.com:443 HTTP/1.1", HOST, "User-Agent: curl/8", "Proxy-Connection: x"),
        ("CONNECT api.example.com:443 HTTP/1.1", HOST, "Content-Length: 0"),
    ],
)
def test_a_tunnel_is_asked_for_as_curl_python_and_git_do(lines):
    request = read_request(head(*lines))
    assert request.is_tunnel
    assert request.target == Target("api.example.com", 443)


@pytest.mark.parametrize(
    "raw",
    [
        # the Host header differs from the request line
        head("CONNECT api.example.com:443 HTTP/1.1", "Host: evil.example:443"),
        head("CONNECT api.example.com:443 HTTP/1.1", "Host: api.example.com:444"),
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, "Host: evil.example"),
        head("GET http://api.example.com/ HTTP/1.1", "Host: evil.example"),
        head("GET http://api.example.com/ HTTP/1.1"),
        # request smuggling
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, "Content-Length: 9"),
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, "Transfer-Encoding: chunked"),
        head("POST http://a.example/ HTTP/1.1", "Host: a.example", "Transfer-Encoding: chunked"),
        head("POST http://a.example/ HTTP/1.1", "Host: a.example", "Content-Length: 1, 2"),
        head("POST http://a.example/ HTTP/1.1", "Host: a.example", "Content-Length: +1"),
        head("POST http://a.example/ HTTP/1.1", "Host: a.example", "Content-Length: 0x1"),
        head("POST http://a.example/ HTTP/1.1", "Host: a.example", *["Content-Length: 1"] * 2),
        head("POST http://a.example/ HTTP/1.1", "Host: a.example", "Content-Length : 1"),
        head("GET http://a.example/ HTTP/1.1", "Host: a.example", "Connection: host"),
        # line endings that other parsers may split differently
        b"CONNECT api.example.com:443 HTTP/1.1\nHost: api.example.com\n\n",
        b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\nX: y\r\n\r\n",
        b"CONNECT api.example.com:443 HTTP/1.1\r\nX: y\rHost: evil.example\r\n\r\n",
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, " folded"),
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, "no colon"),
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, "X: \x00"),
        head("CONNECT api.example.com:443 HTTP/1.1", HOST, ": empty"),
        # no host, or an ambiguous one
        head("CONNECT api.example.com HTTP/1.1"),
        head("CONNECT :443 HTTP/1.1"),
        head("CONNECT 127.1:443 HTTP/1.1"),
        head("CONNECT 0x7f000001:80 HTTP/1.1"),
        head("CONNECT [fe80::1%eth0]:443 HTTP/1.1"),
        head("CONNECT user@api.example.com:443 HTTP/1.1"),
        head("CONNECT http://api.example.com:443 HTTP/1.1"),
        head("CONNECT api.example.com:443/x HTTP/1.1"),
        head("CONNECT b\xfccher.example:443 HTTP/1.1"),
        head("CONNECT api.example.com:99999 HTTP/1.1"),
        head("GET http://user@a.example/ HTTP/1.1", "Host: a.example"),
        head("GET http://a.example\\@evil.example/ HTTP/1.1", "Host: a.example"),
        head("GET http://a.example#@evil.example/ HTTP/1.1", "Host: a.example"),
        head("GET http:///x HTTP/1.1", "Host: a.example"),
        # not a proxy request
        head("GET / HTTP/1.1", "Host: a.example"),
        head("GET https://a.example/ HTTP/1.1", "Host: a.example"),
        head("GET ftp://a.example/ HTTP/1.1", "Host: a.example"),
        head("TRACE http://a.example/ HTTP/1.1", "Host: a.example"),
        head("connect api.example.com:443 HTTP/1.1"),
        head("CONNECT  api.example.com:443 HTTP/1.1"),
        head("CONNECT api.example.com:443 HTTP/2.0"),
        head("CONNECT api.example.com:443"),
        head(""),
        head("CONNECT api.example.com:443 HTTP/1.1", *["X: y"] * 101),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n",
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_refused(raw):
    with pytest.raises(BadRequest, match=r"\.$"):
        read_request(raw)


def test_a_plain_request_goes_to_its_server_without_what_is_the_proxy_s():
    request = read_request(
        head(
            "POST HTTP://a.example:8080/path?q=1 HTTP/1.0",
            "Host: A.example:8080",
            "Content-Length: 5",
            "Proxy-Authorization: Basic c2VjcmV0",
            "Proxy-Connection: keep-alive",
            "Connection: keep-alive, X-Mine",
            "X-Mine: 1",
            "Accept: */*",
        )
    )
    assert request.target == Target("a.example", 8080)
    assert request.body_bytes == 5
    assert request.head.split(b"\r\n") == [
        b"POST /path?q=1 HTTP/1.1",
        b"Host: a.example:8080",
        b"Content-Length: 5",
        b"Accept: */*",
        b"Connection: close",
        *(b"", b""),
    ]


def test_a_plain_request_for_a_host_alone_asks_for_its_root():
    request = read_request(head("GET http://[2606:4700::1] HTTP/1.1", "Host: [2606:4700:0::1]:80"))
    assert request.target == Target("2606:4700::1", 80)
    assert request.head.startswith(b"GET / HTTP/1.1\r\nHost: [2606:4700::1]\r\n")


def test_a_head_is_waited_for_and_has_an_end():
    whole = head("CONNECT api.example.com:443 HTTP/1.1")
    assert head_size(whole[:-1]) is None
    assert head_size(whole + b"rest") == len(whole)
    for endless in (b"x" * MAX_HEAD_BYTES, b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"):
        with pytest.raises(BadRequest):
            head_size(endless)


@given(st.binary(max_size=300))
def test_no_bytes_are_read_as_anything_but_a_request_or_a_refusal(raw):
    try:
        request = read_request(raw + b"\r\n\r\n")
    except BadRequest:
        return
    assert request.target.port > 0


_LINE = st.sampled_from(
    ["Host: a.example", "Host: evil.example", "Connection: x", "X: y", "Content-Length: 3", "x"]
)


@given(
    st.sampled_from(["CONNECT a.example:80", "GET http://a.example/x", "GET http://evil.example"]),
    st.lists(_LINE, max_size=4),
)
def test_what_goes_on_to_a_server_names_the_host_that_was_checked(first, lines):
    try:
        request = read_request(head(f"{first} HTTP/1.1", *lines))
    except BadRequest:
        return
    if not request.is_tunnel:
        sent = request.head.split(b"\r\n")
        hosts = [line for line in sent if line.lower().startswith(b"host:")]
        assert hosts == [f"Host: {request.target.host}".encode()]
        assert (
            read_request(request.head.replace(b" /", f" http://{request.target}/".encode(), 1)).head
            == request.head
        )
