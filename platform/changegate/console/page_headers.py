"""Security headers of every page: content security policy, no caching, compression."""

from flask import Response

from changegate.console.compression import compress_page

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: over TLS, Flask-WTF's CSRF check compares the referrer with the host.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def add_page_headers(response: Response) -> Response:
    """Set the security headers of a page, and compress it."""
    response.headers.update(PAGE_HEADERS)
    return compress_page(response)
