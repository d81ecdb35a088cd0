"""Uses the field that docs/adding-a-field.md adds to a copy of the product.

Run with the copy first on the path and the folder of a new instance as argument; writes what each place shows.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import flask_migrate
from sqlalchemy import select

from changegate import create_app
from changegate.cli import main
from changegate.cli.prepare import prepare_instance
from changegate.extensions import db
from changegate.models import SysAudit
from tests.console.visitor import Visitor
from tests.support.integration_api import LEAST, IntegrationApi

PASSWORD = "correct horse battery"
NAME = "cost_center"
CREDENTIALS = {"Authorization": "Basic YWRtaW46Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"}
TEXTS = {name: value for name, value in LEAST.items() if isinstance(value, str)}
OPTIONS = [part for name in TEXTS for part in (f"--{name.replace('_', '-')}", TEXTS[name])]


def printed(*arguments: str) -> str:
    """Run a command; answers what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(("integration", *arguments))
    return out.getvalue()


def used(folder: Path) -> dict[str, Any]:
    """Return what each place shows of the field."""
    os.environ |= {"CHANGEGATE_INSTANCE_PATH": str(folder), "CHANGEGATE_ADMIN_PASSWORD": PASSWORD}
    app = create_app(instance_path=folder)
    with app.app_context(), contextlib.redirect_stdout(io.StringIO()):
        flask_migrate.upgrade()
        flask_migrate.migrate(message="Add the cost center of an integration", rev_id="9999")
        db.engine.dispose()
    prepare_instance(app)

    found: dict[str, Any] = {"help": " ".join(printed("create", "--help").split())}
    created = json.loads(printed("create", *OPTIONS, "--cost-center", "A-1", "--json"))
    client_id = created["client_id"]
    found |= {"created": created[NAME], "updated": printed("update", client_id, "--cost-center", "A-2")}
    file = folder / "integrations.yaml"
    file.write_text(printed("export", client_id).replace("A-2", "A-3"))
    found |= {"applied": printed("apply", "-f", str(file)), "shown": printed("show", client_id)}

    api, path = IntegrationApi(app.test_client(), CREDENTIALS), f"/{client_id}"
    found["read"] = api.result("GET", path)[NAME]
    found["changed"] = api.result("PATCH", path, {NAME: "A-4"})[NAME]
    found["refused"] = api.refused("PATCH", path, {NAME: "x" * 41})
    document = app.test_client().get("/api/now/openapi.json", headers=CREDENTIALS).get_json()
    found["described"] = document["components"]["schemas"]["Integration.changes"]["properties"][NAME]

    console = Visitor(app.test_client())
    console.sign_in("admin", PASSWORD)
    page = console.open(f"/inbound-integrations/{client_id}")
    found["page"] = page.text
    console.send(page, "integration", {NAME: "A-5"})
    found["saved"] = api.result("GET", path)[NAME]
    found["stale"] = console.send(page, "integration", {NAME: "A-6"}).text
    with app.app_context():
        kept = select(SysAudit.oldvalue, SysAudit.newvalue).where(SysAudit.fieldname == NAME)
        found["history"] = [list(row) for row in db.session.execute(kept.order_by(SysAudit.newvalue))]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(used(Path(sys.argv[1]))))
