"""Static files: named after their content, compressed once, and kept by browsers for good.

During an upgrade, a page of one version may ask a server of another one for its files. A name with the hash of other
content therefore returns the file as it is now, which browsers then do not keep.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

from flask import Blueprint, Response

from changegate.console.compression import accepts_gzip
from changegate.console.guards import allow_anyone
from changegate.errors import RecordNotFound

ENDPOINT = "assets.static"
HASH_LENGTH = 12
FOREVER = "public, max-age=31536000, immutable"
_OWN = Path(__file__).with_name("static")
# Files of packages: no other file of theirs is served.
FILES: Mapping[str, Path] = MappingProxyType(
    {
        "bootstrap.min.css": Path(str(files("flask_bootstrap") / "static/bootstrap5/css/bootstrap.min.css")),
        **{
            name: Path(str(files("flask_swagger_ui") / "dist" / name))
            for name in ("swagger-ui-bundle.js", "swagger-ui.css")
        },
        **{path.name: path for path in _OWN.iterdir() if path.is_file()},
    }
)
bp = Blueprint("assets", __name__, template_folder="templates")
bp.before_request(allow_anyone)


class Asset(NamedTuple):
    """A file: its name with the hash of its content, the content, and the same compressed."""

    name: str
    content: bytes
    compressed: bytes


@lru_cache
def load_asset(filename: str) -> Asset:
    """Return a file by its name without a hash."""
    content, name = FILES[filename].read_bytes(), PurePosixPath(filename)
    digest = hashlib.sha256(content).hexdigest()[:HASH_LENGTH]
    return Asset(f"{name.stem}.{digest}{name.suffix}", content, gzip.compress(content, mtime=0))


@bp.app_url_defaults
def name_by_content(endpoint: str, values: dict[str, Any]) -> None:
    """Add the hash to the name of a file in a URL that is being built."""
    if endpoint == ENDPOINT and values.get("filename") in FILES:
        values["filename"] = load_asset(values["filename"]).name


@bp.get("/static/<filename>", endpoint="static")
def file_view(filename: str) -> Response:
    """Return a file by its name, with or without a hash; raises `RecordNotFound`."""
    name = PurePosixPath(filename)
    plain = filename if filename in FILES else f"{PurePosixPath(name.stem).stem}{name.suffix}"
    if plain not in FILES:
        raise RecordNotFound
    asset, is_compressed = load_asset(plain), accepts_gzip()
    response = Response(
        asset.compressed if is_compressed else asset.content, mimetype=mimetypes.guess_type(plain)[0] or "text/plain"
    )
    response.headers["Cache-Control"] = FOREVER if filename == asset.name else "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.vary.add("Accept-Encoding")
    if is_compressed:
        response.content_encoding = "gzip"
    return response
