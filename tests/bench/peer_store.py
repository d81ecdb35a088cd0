"""What the peer's two ways of keeping rows have in common."""

SCOPE = "change_request.create"


class SeenBefore(Exception):
    """An assertion has bought its token."""
