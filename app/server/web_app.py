"""The manifest and the service worker, by which browsers can install the pages as an app.

Both are the same for everybody, and served without signing in. Pages link them only where they have
a public https address: elsewhere browsers install nothing.
"""

# stands alone: the two are neither pages nor assets

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Response

from app import __version__
from app.server.page_files import PageFiles

GROUND = "#f6f6f3"
ICONS = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable-512.png", "512x512", "maskable"),
)
MANIFEST = {
    "id": "/",
    "name": "Runyard",
    "short_name": "Runyard",
    "description": "A control room for unattended coding agents.",
    "start_url": "/",
    "scope": "/",
    "display": "standalone",
    "background_color": GROUND,
    "theme_color": GROUND,
    "icons": [
        {"src": f"/assets/{name}", "sizes": sizes, "type": "image/png", "purpose": purpose}
        for name, sizes, purpose in ICONS
    ],
}
_NO_VERSION = 'const VERSION = "development";'


def routes(folder: Path, files: PageFiles) -> APIRouter:
    """Build `/manifest.webmanifest` and `/sw.js`; the worker changes with any of the assets."""
    router = APIRouter(include_in_schema=False)
    version = sha256(f"{__version__} {files.version}".encode()).hexdigest()[:16]
    worker = (folder / "service_worker.js").read_text(encoding="utf-8")
    worker = worker.replace(_NO_VERSION, f'const VERSION = "{version}";')
    manifest = json.dumps(MANIFEST)

    @router.api_route("/manifest.webmanifest", methods=["GET", "HEAD"])
    def show_manifest() -> Response:
        return Response(manifest, media_type="application/manifest+json")

    @router.api_route("/sw.js", methods=["GET", "HEAD"])
    def show_worker() -> Response:
        return Response(worker, media_type="text/javascript; charset=utf-8")

    return router
