"""Package registries on this machine, each with one small package, that count downloads."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHEEL = "yard_tool-1.0-py3-none-any.whl"
_GO = "/go/example.com/yard/@v"


class Registries:
    """The registries' shared server: its `url`, and download counts by path."""

    def __init__(self, url: str, fetched: Counter[str]) -> None:
        self.url = url
        self._fetched = fetched

    def fetched(self, end: str) -> int:
        """Return how many downloads had a path with this ending."""
        return sum(count for path, count in self._fetched.items() if path.endswith(end))


@contextmanager
def package_registries() -> Iterator[Registries]:
    """Serve registries for pip (`/pip/simple`), npm (`/npm`) and Go (`/go`)."""
    fetched: Counter[str] = Counter()
    files: dict[str, tuple[str, bytes]] = {}

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            fetched[path] += 1
            kind, content = files.get(path.rstrip("/"), ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Cache-Control", "max-age=86400")
            self.send_header("ETag", hashlib.sha256(content).hexdigest())
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    url = f"http://127.0.0.1:{server.server_port}"
    files.update(_pip(url) | _npm(url) | _go())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Registries(url, fetched)
    finally:
        server.shutdown()
        server.server_close()


def _zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


def _pip(url: str) -> dict[str, tuple[str, bytes]]:
    info = "yard_tool-1.0.dist-info"
    wheel = _zipped(
        {
            "yard_tool.py": "def main():\n    print('the tool of pip')\n",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: yard-tool\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": "[console_scripts]\nyard-tool = yard_tool:main\n",
            f"{info}/RECORD": "",
        }
    )
    page = f'<a href="{url}/pip/files/{WHEEL}">{WHEEL}</a>'.encode()
    return {
        "/pip/simple/yard-tool": ("text/html", page),
        f"/pip/files/{WHEEL}": ("application/zip", wheel),
    }


def _npm(url: str) -> dict[str, tuple[str, bytes]]:
    content = io.BytesIO()
    package = {"name": "yard-tool", "version": "1.0.0", "bin": {"yard-tool": "tool.js"}}
    script = "#!/usr/bin/env node\nconsole.log('the tool of npm')\n"
    with tarfile.open(fileobj=content, mode="w") as packed:
        for name, text in (("package.json", json.dumps(package)), ("tool.js", script)):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(text), 0o755
            packed.addfile(entry, io.BytesIO(text.encode()))
    archive = gzip.compress(content.getvalue())
    sums = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    place = f"{url}/npm/yard-tool/-/yard-tool-1.0.0.tgz"
    version = {**package, "dist": {"tarball": place, "integrity": f"sha512-{sums}"}}
    told = {
        "name": "yard-tool",
        "dist-tags": {"latest": "1.0.0"},
        "versions": {"1.0.0": version},
    }
    return {
        "/npm/yard-tool": ("application/json", json.dumps(told).encode()),
        "/npm/yard-tool/-/yard-tool-1.0.0.tgz": ("application/gzip", archive),
    }


def _go() -> dict[str, tuple[str, bytes]]:
    module = "module example.com/yard\n\ngo 1.20\n"
    source = 'package yard\n\nfunc Say() string { return "the module of go" }\n'
    packed = _zipped(
        {
            "example.com/yard@v1.0.0/go.mod": module,
            "example.com/yard@v1.0.0/yard.go": source,
        }
    )
    info = b'{"Version": "v1.0.0", "Time": "2026-01-01T00:00:00Z"}'
    return {
        f"{_GO}/list": ("text/plain", b"v1.0.0\n"),
        f"{_GO}/v1.0.0.info": ("application/json", info),
        f"{_GO}/v1.0.0.mod": ("text/plain", module.encode()),
        f"{_GO}/v1.0.0.zip": ("application/zip", packed),
    }
