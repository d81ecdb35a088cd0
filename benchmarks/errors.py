"""The ways in which the benchmark gives up."""

from click import ClickException


class BenchFailed(ClickException):
    """Stop the benchmark with status 1; the message is for the person who started it."""


class FeedDry(BenchFailed):
    """A run used up requests that may be sent only once; `used` says how many there were."""

    def __init__(self, what: str, used: int) -> None:
        super().__init__(f"{what}: the {used} requests prepared were too few.")
        self.used = used


class NothingAnswered(BenchFailed):
    """A run was over before the first answer came."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: nothing was answered in time.")
