"""The errors that stop the benchmark."""

from click import ClickException


class BenchFailed(ClickException):
    """An error that stops the benchmark with status 1 and a message."""


class FeedDry(BenchFailed):
    """A run used up the `used` requests that may be sent only once."""

    def __init__(self, what: str, used: int) -> None:
        super().__init__(f"{what}: the {used} requests prepared were too few.")
        self.used = used


class NothingAnswered(BenchFailed):
    """A run ended before the first answer."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: nothing was answered in time.")
