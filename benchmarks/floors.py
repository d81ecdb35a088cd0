"""The floors: a bare Flask app that does the minimum for a valid response and nothing else.

Everything it needs lies in the folder named by `BENCH_FLOORS_FOLDER`: `prepare` fills it, `app` serves it.
"""

import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask, Response, request
from sqlalchemy import inspect

from benchmarks.raw import Database, connect
from changegate.models import ChangeRequest

FOLDER_VARIABLE = "BENCH_FLOORS_FOLDER"
KEY_FILE = "rsa.pem"
# The URLs of the floors' own database and of one that the product has filled.
DATABASES_FILE = "databases.json"
COLUMNS = ("sys_id", "number", "short_description", "description", "state", "sys_created_on")
TABLES = """
    CREATE TABLE change_request ({columns}, PRIMARY KEY (sys_id)) {without_rowid};
    CREATE TABLE access_token (id {serial} PRIMARY KEY, token_hash {binary}, issued_to TEXT)
"""
SQLITE_WORDS = {"without_rowid": "WITHOUT ROWID", "serial": "INTEGER", "binary": "BLOB"}
POSTGRESQL_WORDS = {"without_rowid": "", "serial": "BIGSERIAL", "binary": "BYTEA"}
INSERT_TOKEN = "INSERT INTO access_token (token_hash, issued_to) VALUES (?, ?)"
PAGE_SIZE = 20


def prepare(folder: Path, public_key_pem: bytes, changes: int, *, own_url: str, filled_url: str) -> list[str]:
    """Write the key, and a database of `changes` records; return their sys_ids."""
    (folder / KEY_FILE).write_bytes(public_key_pem)
    (folder / DATABASES_FILE).write_text(json.dumps([own_url, filled_url]))
    rows = [
        (sha256(str(n).encode()).hexdigest()[:32], f"CHG{n:07}", f"Change {n}", "x" * 200, "-5", "2025-01-01")
        for n in range(changes)
    ]
    database = Database(own_url)
    words = SQLITE_WORDS if database.is_sqlite else POSTGRESQL_WORDS
    connection = connect(own_url)
    for statement in TABLES.format(columns=", ".join(f"{name} TEXT" for name in COLUMNS), **words).split(";"):
        connection.execute(statement)
    insert = database.statement(f"INSERT INTO change_request VALUES ({', '.join('?' * len(COLUMNS))})")
    connection.execute("BEGIN")
    connection.cursor().executemany(insert, rows)
    connection.execute("COMMIT")
    connection.close()
    return [row[0] for row in rows]


def make_app(folder: Path) -> Flask:
    """Make the WSGI app that serves the floors."""
    app = Flask("floors")
    own_url, filled_url = json.loads((folder / DATABASES_FILE).read_text())
    add_commit_routes(app, Database(own_url), (folder / KEY_FILE).read_bytes())
    add_read_route(app, Database(own_url))
    add_list_route(app, Database(filled_url))

    @app.get("/bare")
    def bare() -> str:
        return "ok"

    return app


def add_commit_routes(app: Flask, database: Database, key_pem: bytes) -> None:
    """Add the floor of an exchange, which verifies and commits, and the one that only commits."""
    key = load_pem_public_key(key_pem)
    assert isinstance(key, RSAPublicKey)
    insert = database.statement(INSERT_TOKEN)

    @app.post("/exchange")
    def exchange() -> str:
        signed, _, signature = request.get_data().rpartition(b".")
        key.verify(urlsafe_b64decode(signature + b"=="), signed, PKCS1v15(), SHA256())
        # No lock: writers that wait inside SQLite answer a tenth more per second, at a far worse p99.
        database.execute(insert, (sha256(signed).digest(), "floor"))
        return "ok"

    @app.post("/commit")
    def commit() -> str:
        signed, _, _ = request.get_data().rpartition(b".")
        database.execute(insert, (sha256(signed).digest(), "floor"))
        return "ok"


def add_read_route(app: Flask, database: Database) -> None:
    """Add the floor of a read: one record by its key."""
    select = database.statement("SELECT * FROM change_request WHERE sys_id = ?")

    @app.get("/change/<sys_id>")
    def change(sys_id: str) -> dict[str, object]:
        found = database.execute(select, (sys_id,)).fetchone()
        return {"result": dict(zip(COLUMNS, found, strict=True))}


def add_list_route(app: Flask, database: Database) -> None:
    """Add the floor of a list: the count and the page of a group's changes, all columns, newest first.

    It reads the table that the product has filled, with its indexes: the ratio shows what the product adds to the
    database's work. Whether an index is missing is seen by comparing the two sizes.
    """
    columns: Sequence[str] = [column.name for column in inspect(ChangeRequest).columns]
    matching = "FROM task WHERE sys_class_name = 'change_request' AND assignment_group = ?"
    count = database.statement(f"SELECT count(*) {matching}")
    quoted = ", ".join(f'"{name}"' for name in columns)
    page = database.statement(f"SELECT {quoted} {matching} ORDER BY sys_created_on DESC LIMIT {PAGE_SIZE}")

    @app.get("/changes/<group>")
    def changes(group: str) -> Response:
        [(total,)] = database.execute(count, (group,)).fetchall()
        rows = database.execute(page, (group,)).fetchall()
        # With orjson, like the product: with Flask's own JSON, the product could be faster than its floor.
        body = orjson.dumps({"result": [dict(zip(columns, row, strict=True)) for row in rows]})
        return Response(body, mimetype="application/json", headers={"X-Total-Count": str(total)})


def __getattr__(name: str) -> Flask:
    """Make `app` when the server asks for it, so that importing the module needs no folder."""
    if name != "app":
        raise AttributeError(name)
    return make_app(Path(os.environ[FOLDER_VARIABLE]))
