"""The floors: a bare Flask app that does the least an honest answer needs, and nothing around it.

Everything it needs lies in the folder named by `BENCH_FLOORS_FOLDER`: `prepare` fills it, `app` serves it.
"""

import os
import sqlite3
import threading
from base64 import urlsafe_b64decode
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask, request

FOLDER_VARIABLE = "BENCH_FLOORS_FOLDER"
KEY_FILE = "rsa.pem"
DATABASE_FILE = "floors.db"
COLUMNS = ("sys_id", "number", "short_description", "description", "state", "sys_created_on")
SCHEMA = f"""
    CREATE TABLE change_request ({", ".join(COLUMNS)}, PRIMARY KEY (sys_id)) WITHOUT ROWID;
    CREATE TABLE access_token (id INTEGER PRIMARY KEY, token_hash BLOB, issued_to TEXT);
"""


def connect(folder: Path) -> sqlite3.Connection:
    """Open the floors' database with every commit durable."""
    connection = sqlite3.connect(folder / DATABASE_FILE, isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def prepare(folder: Path, public_key_pem: bytes, changes: int) -> list[str]:
    """Write the key and a database of `changes` records; return their sys_ids."""
    (folder / KEY_FILE).write_bytes(public_key_pem)
    rows = [
        (sha256(str(n).encode()).hexdigest()[:32], f"CHG{n:07}", f"Change {n}", "x" * 200, "-5", "2025-01-01")
        for n in range(changes)
    ]
    connection = connect(folder)
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    connection.executemany(f"INSERT INTO change_request VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    connection.execute("COMMIT")
    connection.close()
    return [row[0] for row in rows]


def make_app(folder: Path) -> Flask:
    """Make the WSGI app that serves the three floors."""
    app = Flask("floors")
    key = load_pem_public_key((folder / KEY_FILE).read_bytes())
    assert isinstance(key, RSAPublicKey)
    local = threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "connection"):
            local.connection = connect(folder)
        opened: sqlite3.Connection = local.connection
        return opened

    @app.get("/bare")
    def bare() -> str:
        return "ok"

    @app.post("/exchange")
    def exchange() -> str:
        signed, _, signature = request.get_data().rpartition(b".")
        key.verify(urlsafe_b64decode(signature + b"=="), signed, PKCS1v15(), SHA256())
        row = (sha256(signed).digest(), "floor")
        # No lock: writers that wait inside SQLite answer a tenth more per second, at a far worse p99.
        connection().execute("INSERT INTO access_token (token_hash, issued_to) VALUES (?, ?)", row)
        return "ok"

    @app.get("/change/<sys_id>")
    def change(sys_id: str) -> dict[str, object]:
        found = connection().execute("SELECT * FROM change_request WHERE sys_id = ?", (sys_id,)).fetchone()
        return {"result": dict(zip(COLUMNS, found, strict=True))}

    return app


def __getattr__(name: str) -> Flask:
    """Make `app` when the server asks for it, so that importing the module needs no folder."""
    if name != "app":
        raise AttributeError(name)
    return make_app(Path(os.environ[FOLDER_VARIABLE]))
