"""The one way in which the benchmark gives up."""

from click import ClickException


class BenchFailed(ClickException):
    """Stop the benchmark with status 1; the message is for the person who started it."""
