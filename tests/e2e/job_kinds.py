"""A kind of job for the processes of a test: its effect is a configuration item, and it waits if told to."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from changegate.extensions import db
from changegate.models import CmdbCi
from changegate.services.jobs.handlers import handles

KIND = "test.process"


@handles(KIND)
def add_ci(payload: Mapping[str, Any]) -> None:
    """Add an item. In between, before or after the write, show that the job has begun, and wait for leave to go on."""
    if payload.get("waits") == "before":
        wait_for_leave(payload)
    db.session.add(CmdbCi(name=payload["name"]))
    db.session.flush()
    if payload.get("waits") == "after":
        wait_for_leave(payload)


def wait_for_leave(payload: Mapping[str, Any]) -> None:
    folder = Path(payload["folder"])
    (folder / "begun").touch()
    while not (folder / "leave").exists():
        time.sleep(0.01)
