"""A session of aiosnow, run by the Python of its own environment: prints what came of each step as JSON."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiosnow
from aiosnow.exceptions import AiosnowException
from aiosnow.models import TableModel, fields
from aiosnow.models.attachment import AttachmentModel

MARK = "aiosnow"
PLAN = b"1. Drain the pool\n2. Restart\n"


class Change(TableModel):
    sys_id = fields.String(is_primary=True)
    number = fields.String()
    short_description = fields.String()
    correlation_id = fields.String()
    state = fields.IntegerMap()
    opened_at = fields.DateTime()
    opened_by = fields.String()
    active = fields.Boolean()


async def main(address: str, user_name: str, password: str) -> None:
    client = aiosnow.Client(address, basic_auth=(user_name, password))
    async with Change(client, table_name="change_request") as changes:
        outcome = {
            "written": await write(changes),
            "streamed": await stream(changes),
            "attached": await attach(changes, client),
        }
    async with TableModel(client, table_name="no_such_table") as nothing:
        outcome["refused"] = await refusal(nothing)
    json.dump(outcome, sys.stdout, default=str)


async def write(changes: Any) -> dict[str, Any]:
    """Create, read, update and delete."""
    created = await changes.create({"short_description": "Renew the certificate"})
    sys_id = created["sys_id"]
    updated = await changes.update(sys_id, {"short_description": "Renew two certificates"})
    read = await changes.get_one(Change.short_description.equals("Renew two certificates") & Change.active.is_true())
    found = {
        "number": [created["number"], updated["number"], read["number"]],
        "state": [read["state"].key, read["state"].value],
        "opened_by": read["opened_by"],
        "opened_at": type(read["opened_at"]).__name__,
        "deleted": (await changes.delete(sys_id)).status,
    }
    return found | {"left": len((await changes.get(f"sys_id={sys_id}")).data)}


async def stream(changes: Any) -> list[str]:
    """Read pages as long as there is a link to a next one."""
    for number in range(7):
        await changes.create({"short_description": f"Patch host {number}", "correlation_id": f"{MARK} patches"})
    wanted = aiosnow.select(Change.correlation_id.equals(f"{MARK} patches")).order_asc(Change.short_description)
    return [record["short_description"] async for _, record in changes.stream(wanted, limit=100, page_size=3)]


async def attach(changes: Any, client: Any) -> dict[str, Any]:
    """Upload, list, download and delete a file."""
    sys_id = (await changes.create({"short_description": "With a plan"}))["sys_id"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "aiosnow plan.txt").write_bytes(PLAN)
        uploaded = await changes.upload_file(sys_id, str(folder / "aiosnow plan.txt"))
        listed = await changes.get_attachments(AttachmentModel.table_sys_id.equals(sys_id))
        mine = AttachmentModel.sys_id.equals(listed.data[0]["sys_id"])
        await changes.download_file(mine, str(folder / "read"))
        content = (folder / "read" / "aiosnow plan.txt").read_bytes()
    async with AttachmentModel(client, table_name="change_request") as attachments:
        deleted = await attachments.delete(listed.data[0]["sys_id"])
    return {
        "uploaded": [uploaded.status, uploaded["file_name"]],
        "listed": [file["file_name"] for file in listed.data],
        "is_whole": content == PLAN,
        "deleted": deleted.status,
    }


async def refusal(nothing: Any) -> str:
    """Request an unknown table."""
    try:
        await nothing.get("active=true")
    except AiosnowException as refused:
        return str(refused)
    return "not refused"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
