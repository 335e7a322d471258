"""The scripts and style sheets of the pages: few, compressed once, named by their hash.

NiceGUI's style sheets and libraries are joined with ours, so that a page needs few answers, and
each is cached for ever under an address with its hash.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import nicegui
from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Scope

STYLE, SCRIPT, VUE, BEHAVIOR = "page.css", "page.js", "vue.js", "shell.js"
FOR_EVER = "public, max-age=31536000, immutable"
SHEETS = ("theme.css", "shell.css", "icons.css", "palette.css")
SCRIPTS = ("clock.js", "keys.js", "palette.js", "draft.js")
# the first page has both, so that it asks for one sheet less
HOME, HOME_SHEETS = "home.css", ("inbox.css", "projects.css")
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_THEIRS = Path(nicegui.__file__).parent / "static"
_THEIR_ADDRESS = f"/_nicegui/{nicegui.__version__}/static"
# the layers and the corrections of NiceGUI's own page
_LAYERS = """
@layer theme, base, quasar, nicegui, components, utilities, overrides, quasar_importants;
@layer quasar {
  blockquote, dd, dl, figure, h1, h2, h3, h4, h5, h6, hr, p, pre { margin: revert-layer; }
  code, kbd, pre, samp { font-family: revert-layer; }
  .q-position-engine { visibility: hidden; }
}
@layer overrides {
  .column.inline, .flex.inline, .row.inline { display: inline-flex; }
  .nicegui-dialog-open, .nicegui-select-popup-open, .nicegui-table-fullscreen {
    scroll-behavior: auto !important;
  }
}
"""
_SHEETS = {
    "fonts.css": "base",
    "quasar.unimportant.prod.css": "quasar",
    "quasar.important.prod.css": "quasar_importants",
    "nicegui.css": "nicegui",
}
_LIBRARIES = ("socket.io.min.js", "quasar.umd.prod.js", "nicegui.js", "lang/en-US.umd.prod.js")
_ADD_STYLE = (
    "addStyle = (css) => document.head.append("
    'Object.assign(document.createElement("style"), { textContent: css }));'
)
_FONT = re.compile(r"url\((?=fonts/)")
_ADDRESS = re.compile(r'(?<=")/assets/([\w.]+\.(?:css|js))(?=")')


class PageFile:
    """A text file as browsers get it."""

    def __init__(self, text: str, media_type: str) -> None:
        self._text = text
        self.media_type = media_type
        self.version = sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def packed(self) -> bytes:
        """The file compressed; computed once, which takes up to 50 ms."""
        return gzip.compress(self._text.encode(), 9, mtime=0)

    def unpacked(self) -> bytes:
        """Return the file for a client that reads no compressed answers."""
        return self._text.encode()


class PageFiles(StaticFiles):
    """The folder of assets, with its scripts and style sheets and those of the libraries."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        own = {
            path.name: path.read_text() for path in sorted(folder.iterdir()) if path.suffix in TYPES
        }
        texts = own | {
            STYLE: _style_sheet() + "".join(own[name] for name in SHEETS),
            HOME: "".join(own[name] for name in HOME_SHEETS),
            BEHAVIOR: "\n".join(own[name] for name in SCRIPTS),
            SCRIPT: "\n;\n".join([_ADD_STYLE, *(_read(name) for name in _LIBRARIES)]),
            VUE: _read("vue.esm-browser.prod.js"),
        }
        self._files: Mapping[str, PageFile] = {
            name: PageFile(text, TYPES[Path(name).suffix]) for name, text in texts.items()
        }

    def address(self, name: str) -> str:
        """Return the address of a file, with its hash."""
        return f"/assets/{name}?v={self._files[name].version}"

    @property
    def version(self) -> str:
        """A hash of all files together."""
        return sha256("".join(one.version for one in self._files.values()).encode()).hexdigest()

    def with_versions(self, html: str) -> str:
        """Return HTML whose addresses of our files have their hashes."""
        return _ADDRESS.sub(
            lambda found: self.address(found[1]) if found[1] in self._files else found[0], html
        )

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file; one asked for by its hash is cached for ever."""
        file = self._files.get(path)
        if file is None or scope["method"] not in ("GET", "HEAD"):
            return await super().get_response(path, scope)
        asked = Headers(scope=scope)
        is_lasting = scope["query_string"] == f"v={file.version}".encode()
        headers = {
            "Cache-Control": FOR_EVER if is_lasting else "no-cache",
            "ETag": f'W/"{file.version}"',
            "Vary": "Accept-Encoding",
        }
        if asked.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" not in asked.get("accept-encoding", ""):
            return Response(file.unpacked(), media_type=file.media_type, headers=headers)
        packed = await run_in_threadpool(lambda: file.packed)
        headers["Content-Encoding"] = "gzip"
        return Response(packed, media_type=file.media_type, headers=headers)


def _read(name: str) -> str:
    return (_THEIRS / name).read_text(encoding="utf-8")


def _style_sheet() -> str:
    layers = (f"@layer {layer}{{{_read(name)}}}\n" for name, layer in _SHEETS.items())
    return _LAYERS + _FONT.sub(f"url({_THEIR_ADDRESS}/", "".join(layers))
