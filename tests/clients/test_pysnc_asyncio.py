"""The asyncio twin of PySNC, over httpx, which trusts the CA that SSL_CERT_FILE names."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pysnc.asyncio import AsyncServiceNowClient
from pysnc.exceptions import AuthenticationException, RequestException

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.servers import Running

PLAN = b"1. Drain the pool\n2. Restart\n\x00\xff"
Session = Callable[[AsyncServiceNowClient], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def run(server: Running) -> Run:
    """Run a session of the client in a loop of its own."""

    def run_session(session: Session, password: str = PASSWORD) -> None:
        # In a thread of its own: the browser tests leave a loop running in the first one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(held(session, password))).result()

    async def held(session: Session, password: str) -> None:
        async with opened(server, password) as client:
            await session(client)

    return run_session


@asynccontextmanager
async def opened(server: Running, password: str) -> AsyncIterator[AsyncServiceNowClient]:
    client = AsyncServiceNowClient(server.url, (USER_NAME, password))
    try:
        yield client
    finally:
        await client.close()


async def insert(client: AsyncServiceNowClient, **fields: str) -> Any:
    record = await client.GlideRecord("change_request")
    record.initialize()
    for name, value in fields.items():
        record.set_value(name, value)
    assert await record.insert()
    return record


async def found_by(client: AsyncServiceNowClient, correlation_id: str, **options: Any) -> Any:
    record = await client.GlideRecord("change_request", **options)
    record.add_query("correlation_id", correlation_id)
    record.order_by("short_description")
    await record.query()
    return record


async def texts_of(record: Any) -> list[str]:
    return [row.get_value("short_description") async for row in record]


def test_inserts_finds_changes_and_deletes(run: Run) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        sys_id = (await insert(client, short_description="Renew the certificate")).sys_id
        record = await client.GlideRecord("change_request")
        assert await record.get(sys_id)
        record.set_value("short_description", "Renew two certificates")
        assert await record.update()
        again = await client.GlideRecord("change_request")
        assert await again.get("short_description", "Renew two certificates")
        assert again.sys_id == sys_id
        assert again.get_display_value("opened_by") == "Maria Keller"
        assert await again.delete()
        assert not await record.get(sys_id)

    run(session)


def test_reads_a_query_page_by_page(run: Run) -> None:
    wanted = [f"Patch host {number}" for number in range(7)]

    async def session(client: AsyncServiceNowClient) -> None:
        for short_description in wanted:
            await insert(client, short_description=short_description, correlation_id="async patches")
        record = await found_by(client, "async patches", batch_size=3)
        assert record.get_row_count() == len(wanted)
        assert await texts_of(record) == wanted

    run(session)


def test_changes_many_records_in_one_batch(run: Run) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        for number in range(4):
            await insert(client, short_description=f"Move rack {number}", correlation_id="async racks")
        record = await found_by(client, "async racks")
        async for row in record:
            row.set_value("short_description", f"{row.get_value('short_description')} again")
        assert await record.update_multiple()
        changed = await texts_of(await found_by(client, "async racks"))
        assert changed == [f"Move rack {number} again" for number in range(4)]

    run(session)


def test_deletes_many_records_in_one_batch(run: Run) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        for number in range(4):
            await insert(client, short_description=f"Drop table {number}", correlation_id="async tables")
        assert await (await found_by(client, "async tables")).delete_multiple()
        assert (await found_by(client, "async tables")).get_row_count() == 0

    run(session)


@pytest.fixture
def open_clients() -> Iterator[None]:
    """Let the test end with what it left open, or the garbage collector would tell a later test."""
    yield
    gc.collect()


# For the attachments of a record the client opens another of its kind, which it never closes.
@pytest.mark.usefixtures("open_clients")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_attaches_reads_and_deletes_a_file(run: Run, server: Running, tmp_path: Path) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        record = await insert(client, short_description="With a plan")
        location = await record.add_attachment("plan.bin", PLAN)
        sys_id = location.split("/")[-2]
        assert location == f"{server.url}/api/now/v1/attachment/{sys_id}/file"
        assert [file.file_name async for file in await record.get_attachments()] == ["plan.bin"]
        attachment = await client.Attachment("change_request")
        assert await attachment.get(sys_id)
        assert await attachment.read() == PLAN
        assert (await attachment.write_to(tmp_path)).read_bytes() == PLAN
        await attachment.delete()
        assert not await attachment.get(sys_id)

    run(session)


def test_sends_requests_side_by_side(run: Run) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        inserted = await asyncio.gather(*(insert(client, short_description=f"Deploy {part}") for part in "abcdef"))
        assert len({record.get_value("number") for record in inserted}) == len(inserted)

    run(session)


def test_a_wrong_password_is_an_authentication_error(run: Run) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        record = await client.GlideRecord("change_request")
        with pytest.raises(AuthenticationException, match=r"(?i)required to provide auth information"):
            await record.get("number", "CHG0000001")

    run(session, password="wrong")


def test_a_missing_table_is_an_error_and_not_a_missing_record(run: Run) -> None:
    async def session(client: AsyncServiceNowClient) -> None:
        record = await client.GlideRecord("no_such_table")
        with pytest.raises(RequestException, match="Invalid table no_such_table"):
            await record.get("f" * 32)

    run(session)
