"""Workers of the Change Management API survive a server that is killed."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import ADMIN_PASSWORD
from tests.support.live_desk import administer
from tests.support.servers import free_port, running_changegate

CHANGE_API = "/api/sn_chg_rest/change"
MOST_SECONDS = 120
ITEMS = 20


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_work_that_was_promised_is_done_after_the_server_was_killed(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    settings = {"admin_password": ADMIN_PASSWORD}
    if database == "postgresql":
        settings["database_url"] = request.getfixturevalue("prepared_postgres")
    instance, port = tmp_path / "instance", free_port()
    with running_changegate(instance, "--no-jobs", port=port, **settings) as server:
        items = [
            administer(server, "POST", "/api/now/table/cmdb_ci", name=f"node {number}")["sys_id"]
            for number in range(ITEMS)
        ]
        change = administer(server, "POST", CHANGE_API)["sys_id"]["value"]
        sent = {"association_type": "affected", "cmdb_ci_sys_ids": items}
        worker = administer(server, "POST", f"{CHANGE_API}/{change}/ci", **sent)
        # The session that the server was started in: its parent and every worker.
        os.killpg(server.process.pid, signal.SIGKILL)
    path = f"{CHANGE_API}/worker/{worker['worker']['sysId']}"
    with running_changegate(instance, port=port, **settings) as server:
        deadline = time.monotonic() + MOST_SECONDS
        while (polled := administer(server, "GET", path))["state"]["value"] < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert polled["messages"]["infoMessages"] == [f"{ITEMS} affected CIs were added"]
        listed = administer(server, "GET", f"{CHANGE_API}/{change}/ci?association_type=affected")
        assert sorted(row["ci_item"]["value"] for row in listed) == sorted(items)
