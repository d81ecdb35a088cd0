"""Changegate: a change management server that trusts identity providers instead of stored secrets."""

import gc

# What imports create lives as long as the process. The garbage collector would look through all of it again and again,
# which takes a third of the start of a command, and once more at its end, which takes another tenth.
gc.disable()

from changegate.factory import create_app  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["create_app"]
