"""The sandbox's proxy admits one host and refuses another, by name and by address."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress

import pytest

from app.domain.sandbox.network_rules import Target
from tests.drivers.network import PATIENCE, WayOut, read_all, way_out, web_server
from tests.drivers.web.certificates import make_certificate
from tests.fakes.agents.runs import until

GET = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def port_of(server) -> int:
    return server.server_address[1]


def test_a_listed_address_is_reached_through_a_tunnel():
    with web_server() as server, way_out(f"127.0.0.1:{port_of(server)}") as way:
        client = way.tunnel(f"127.0.0.1:{port_of(server)}")
        with closing(client):
            client.sendall(GET.encode())
            assert read_all(client).endswith(b"GET / HTTP/1.1|x|")
    assert way.refused == []


def test_a_listed_name_is_reached_by_a_plain_request():
    with web_server() as server, way_out(f"localhost:{port_of(server)}") as way:
        place = f"localhost:{port_of(server)}"
        answer = way.ask(
            f"POST http://{place}/x HTTP/1.1\r\nHost: {place}\r\nContent-Length: 3\r\n\r\nabc"
        )
        assert answer.endswith(f"POST /x HTTP/1.1|{place}|abc".encode())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example", "[::1]"])
def test_another_host_is_refused_and_reported(host):
    with web_server() as server, way_out("127.0.0.1:1", "localhost:2") as way:
        target = f"{host}:{port_of(server)}"
        answer = way.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert f"This run may not reach {target} (not allowed)" in answer.decode()
        plain = way.ask(f"GET http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n")
        assert plain.startswith(b"HTTP/1.1 403 ")
        assert server.asked == []
    assert way.refused == [(target, "not allowed")] * 2


class Rebinding:
    """A name server that returns its addresses one after another, then repeats the last."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    def __call__(self, target: Target):
        self.asked += 1
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, (address, target.port))]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "::ffff:127.0.0.1", "fe80::1"],
)
def test_an_allowed_name_that_leads_to_a_closed_address_is_refused(address):
    with web_server() as server:
        names = Rebinding(address)
        target = f"api.example.com:{port_of(server)}"
        with way_out(known=(target,), resolve=names) as way:
            answer = way.ask(f"CONNECT {target} HTTP/1.1\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert server.asked == []
    assert [because.split(",")[0][:12] for _, because in way.refused] == ["it leads to "]


def test_a_name_is_asked_for_once_so_that_what_was_checked_is_what_is_reached():
    """The first answer is an allowed address; a second query would lead elsewhere."""
    with web_server() as server, web_server() as other:
        port = port_of(server)
        names = Rebinding("127.0.0.1", "127.0.0.2")
        with way_out(f"api.example.com:{port}", f"127.0.0.1:{port}", resolve=names) as way:
            with closing(way.tunnel(f"api.example.com:{port}")) as client:
                client.sendall(GET.encode())
                assert read_all(client).endswith(b"|x|")
            assert names.asked == 1
            again = way.ask(f"CONNECT api.example.com:{port} HTTP/1.1\r\n\r\n")
            assert again.startswith(b"HTTP/1.1 403 ")
        assert other.asked == []
    assert way.refused == [
        (f"api.example.com:{port}", "it leads to 127.0.0.2, an address of this machine")
    ]


def test_of_many_addresses_only_those_that_may_be_are_tried():
    with web_server() as server:
        port = port_of(server)

        def resolve(_):
            places = [("127.0.0.3", port), ("10.0.0.1", port), ("127.0.0.1", port)]
            return [(socket.AF_INET, place) for place in places]

        with (
            way_out(f"api.example.com:{port}", f"127.0.0.1:{port}", resolve=resolve) as way,
            closing(way.tunnel(f"api.example.com:{port}")) as client,
        ):
            client.sendall(GET.encode())
            assert read_all(client).endswith(b"|x|")


def test_a_second_request_behind_a_plain_one_reaches_nobody():
    with web_server() as server, way_out(f"localhost:{port_of(server)}") as way:
        place = f"localhost:{port_of(server)}"
        one = f"GET http://{place}/1 HTTP/1.1\r\nHost: {place}\r\n\r\n"
        answer = way.ask(one + "GET /2 HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200") + answer.count(b"HTTP/1.0 200") == 1
        assert server.asked == [f"GET /1 HTTP/1.1|{place}|".encode()]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("CONNECT localhost:1 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400),
        ("CONNECT localhost:1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("CONNECT localhost:1 HTTP/1.1\nHost: localhost:1\n\n" + "x" * 16384, 431),
        ("X" * 40000, 431),
        ("GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 400),
    ],
)
def test_a_request_that_smuggles_is_refused_and_the_connection_closed(request_, status):
    with way_out("localhost:1") as way:
        assert way.ask(request_).startswith(f"HTTP/1.1 {status} ".encode())
    assert way.refused == []


def test_a_host_that_does_not_answer_is_no_refusal():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with way_out(f"127.0.0.1:{port}") as way:
        assert way.ask(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 502 ")
    assert way.refused == []


def test_each_side_may_end_its_half_first():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with way_out(f"127.0.0.1:{port}") as way, closing(way.tunnel(f"127.0.0.1:{port}")) as here:
            there, _ = listening.accept()
            with closing(there):
                here.sendall(b"all of it")
                here.shutdown(socket.SHUT_WR)
                assert read_all(there) == b"all of it"
                there.sendall(b"and an answer")
                there.shutdown(socket.SHUT_WR)
                assert read_all(here) == b"and an answer"


def test_a_reader_that_stands_still_keeps_nobody_waiting():
    with socket.create_server(("127.0.0.1", 0)) as listening, web_server() as server:
        slow = f"127.0.0.1:{listening.getsockname()[1]}"
        quick = f"127.0.0.1:{port_of(server)}"
        with way_out(slow, quick) as way, closing(way.tunnel(slow)) as stuck:
            there, _ = listening.accept()
            flood = threading.Thread(target=_flood, args=(there,), daemon=True)
            flood.start()
            with closing(way.tunnel(quick)) as client:
                client.sendall(GET.encode())
                assert read_all(client).endswith(b"|x|")
            stuck.close()
            flood.join(PATIENCE)
            assert not flood.is_alive()


def _flood(there: socket.socket) -> None:
    with closing(there):
        try:
            for _ in range(1000):
                there.sendall(b"x" * 65536)
        except OSError:
            return


def test_much_goes_through_whole_in_both_directions():
    sent = bytes(range(256)) * 20000
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = f"127.0.0.1:{listening.getsockname()[1]}"
        with way_out(place) as way, closing(way.tunnel(place)) as here:
            there, _ = listening.accept()

            def echo() -> None:
                with closing(there):
                    while part := there.recv(65536):
                        there.sendall(part)

            def send() -> None:
                here.sendall(sent)
                here.shutdown(socket.SHUT_WR)

            threads = [threading.Thread(target=one, daemon=True) for one in (echo, send)]
            for thread in threads:
                thread.start()
            assert read_all(here) == sent
            for thread in threads:
                thread.join(PATIENCE)


def test_a_connection_on_which_nothing_moves_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = f"127.0.0.1:{listening.getsockname()[1]}"
        with way_out(place, idle_seconds=0.1) as way, closing(way.tunnel(place)) as here:
            assert read_all(here) == b""


def test_beyond_its_connections_it_says_so_and_takes_the_next_once_one_is_over():
    with web_server() as server:
        place = f"127.0.0.1:{port_of(server)}"
        with way_out(place, max_connections=1) as way:
            with closing(way.tunnel(place)) as first:
                with closing(way.connect()) as second:
                    assert read_all(second).startswith(b"HTTP/1.1 503 ")
                first.sendall(GET.encode())
                assert read_all(first).endswith(b"|x|")
            until(lambda: _is_taken(way), "the slot of the first is free again", PATIENCE)


def _is_taken(way: WayOut) -> bool:
    with closing(way.connect()) as client:
        client.settimeout(PATIENCE)
        # a refused connection is not read, and may be reset before its answer arrives
        with suppress(ConnectionError):
            client.sendall(b"CONNECT evil.example:1 HTTP/1.1\r\n\r\n")
            return read_all(client).startswith(b"HTTP/1.1 403 ")
    return False


def test_curl_and_python_find_their_way_through():
    with web_server() as server, way_out(f"localhost:{port_of(server)}") as way:
        proxy, url = f"http://127.0.0.1:{way.port}", f"http://localhost:{port_of(server)}/a?b=c"
        curl = shutil.which("curl")
        assert curl
        for more in ((), ("--proxytunnel",)):
            answer = _run([curl, "-sS", "--noproxy", "", "-x", proxy, *more, url])
            assert answer.stdout.startswith("GET /a?b=c HTTP/1.1|localhost:")
        program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode())"
        env = {"http_proxy": proxy, "no_proxy": ""}
        answer = _run([sys.executable, "-c", program, url], env)
        assert answer.stdout.startswith("GET /a?b=c HTTP/1.1|localhost:")
        refused = _run([curl, "-sS", "-x", proxy, "https://evil.example/"])
        assert refused.returncode != 0
        assert "403" in refused.stderr


def _run(argv: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, capture_output=True, text=True, timeout=PATIENCE, check=False, env=env or {}
    )


def test_tls_is_between_the_program_and_its_server_alone(tmp_path):
    """A handshake with our own certificate succeeds, so the proxy does not terminate TLS."""
    cert, key = make_certificate(tmp_path)
    with web_server(certificate=(cert, key)) as server:
        place = f"localhost:{port_of(server)}"
        with way_out(place) as way:
            curl = ["curl", "-sS", "--noproxy", "", "--cacert", str(cert)]
            answer = _run([*curl, "-x", f"http://127.0.0.1:{way.port}", f"https://{place}/t"])
    assert answer.stdout.startswith("GET /t HTTP/1.1|localhost:"), answer.stderr
