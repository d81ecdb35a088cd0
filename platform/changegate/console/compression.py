"""Compression of pages, only for requests that this site or the user has begun.

The size of a compressed page shows how much a text of the request has in common with the rest of the page. Another site
could make a browser request a page repeatedly, with guesses in its URL (BREACH). Browsers send which site has begun a
request (`Sec-Fetch-Site`, Fetch Metadata Request Headers): the responses to requests of other sites, and to requests
without the header, are not compressed.
"""

import zlib

from flask import Response

from changegate.unproxied import current_request

# A page of 28 kB takes 0.6 ms and becomes 5.0 kB; level 6 takes half as long again, for 4.9 kB.
LEVEL = 4
GZIP = 16 + zlib.MAX_WBITS
LEAST_BYTES = 1024
OWN_REQUESTS = frozenset({"same-origin", "none"})


def accepts_gzip() -> bool:
    """Return whether the client accepts gzip."""
    return current_request().accept_encodings["gzip"] > 0


def compress_page(response: Response) -> Response:
    """Compress a page if its request allows it."""
    is_page = response.mimetype == "text/html" and not response.is_streamed and not response.content_encoding
    if not is_page:
        return response
    response.vary.update(("Accept-Encoding", "Sec-Fetch-Site"))
    content = response.get_data()
    is_own = current_request().headers.get("Sec-Fetch-Site") in OWN_REQUESTS
    if is_own and accepts_gzip() and len(content) >= LEAST_BYTES:
        packer = zlib.compressobj(LEVEL, wbits=GZIP)
        response.set_data(packer.compress(content) + packer.flush())
        response.content_encoding = "gzip"
    return response
