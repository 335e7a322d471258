"""Caddy and nginx in front of a server, each with its file from deploy/ and a certificate."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drivers.servers.processes import free_port
from tests.drivers.web.certificates import make_certificate
from tests.fakes.agents.runs import until

ROOT = Path(__file__).parents[3]
# scripts/install-test-needs unpacks the proxies here: nothing is installed, no service starts
UNPACKED = ROOT / "build" / "proxies"
HOST = "runyard.example.org"
NGINX_FRAME = """daemon off;
pid {folder}/pid;
error_log {folder}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its ports, the certificate to trust, and where it logs.

    At `plain_port` nginx alone redirects to https.
    """

    program: str
    port: int
    plain_port: int
    certificate: Path
    log: Path

    @property
    def url(self) -> str:
        """The public URL of the server behind it."""
        return f"https://{HOST}:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """A client's context that trusts this proxy alone."""
        return ssl.create_default_context(cafile=str(self.certificate))


def program_of(name: str) -> str | None:
    """Return the path of a proxy's program, None if this machine has none."""
    unpacked = next((one for one in UNPACKED.glob(f"usr/*bin/{name}") if one.is_file()), None)
    return str(unpacked) if unpacked else shutil.which(name)


@contextmanager
def proxy_before(upstream: int, name: str, folder: Path, port: int) -> Generator[Proxy]:
    """Run `caddy` or `nginx` with its file from deploy/, in front of a port of this machine."""
    program = program_of(name)
    assert program is not None, f"NO {name.upper()}: scripts/install-test-needs soak fetches it"
    folder.mkdir(mode=0o700)
    certificate, key = make_certificate(folder, HOST)
    proxy = Proxy(name, port, free_port(), certificate, folder / "log")
    made = _caddy_file if name == "caddy" else _nginx_file
    config = folder / f"{name}.conf"
    config.write_text(made(folder, upstream, proxy, key))
    argv = {
        "caddy": [program, "run", "--adapter", "caddyfile", "--config", str(config)],
        "nginx": [program, "-p", str(folder), "-c", str(config), "-e", str(proxy.log)],
    }[name]
    with proxy.log.open("ab") as log:
        process = subprocess.Popen(
            argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_home(folder)
        )
    try:
        until(lambda: _listens(process, proxy), f"{name} listens")
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=30)


def _caddy_file(folder: Path, upstream: int, proxy: Proxy, key: Path) -> str:
    told = (ROOT / "deploy" / "Caddyfile").read_text()
    told = _once(told, rf"(?m)^{re.escape(HOST)} \{{", f"{proxy.url} {{\n\tbind 127.0.0.1")
    told = _once(told, r"\n\treverse_proxy ", f"\n\ttls {proxy.certificate} {key}\\g<0>")
    told = _once(told, r"127\.0\.0\.1:8080", f"127.0.0.1:{upstream}")
    return "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + told


def _nginx_file(folder: Path, upstream: int, proxy: Proxy, key: Path) -> str:
    told = (ROOT / "deploy" / "nginx.conf").read_text()
    # each port is named by the default server and by ours, for IPv4 and IPv6
    told = _each(2, told, r"(?m)^    listen \[::\]:80\b.*\n", "")
    told = _each(2, told, r"(?m)^    listen \[::\]:443\b.*\n", "")
    told = _each(2, told, r"(?m)^    listen 80\b", f"    listen 127.0.0.1:{proxy.plain_port}")
    told = _each(2, told, r"(?m)^    listen 443\b", f"    listen 127.0.0.1:{proxy.port}")
    told = _each(2, told, r"/etc/ssl/\S+\.pem", str(proxy.certificate))
    told = _each(2, told, r"/etc/ssl/\S+\.key", str(key))
    told = _once(told, r"127\.0\.0\.1:8080", f"127.0.0.1:{upstream}")
    return NGINX_FRAME.format(folder=folder, servers=told)


def _once(text: str, pattern: str, instead: str) -> str:
    return _each(1, text, pattern, instead)


def _each(times: int, text: str, pattern: str, instead: str) -> str:
    changed, count = re.subn(pattern, instead, text)
    assert count == times, (pattern, count)
    return changed


def _home(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


def _listens(process: subprocess.Popen[bytes], proxy: Proxy) -> bool:
    assert process.poll() is None, proxy.log.read_text()
    try:
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5).close()
    except OSError:
        return False
    return True
