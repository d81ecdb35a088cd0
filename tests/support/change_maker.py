"""Create changes from several threads at once and print their numbers, one a line: two of these make a crowd."""

import sys
from concurrent.futures import ThreadPoolExecutor

from changegate import create_app
from changegate.config import default_instance_path
from changegate.extensions import db
from changegate.services.access.caller import Caller
from changegate.services.access.permissions import Permissions
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record

ROOT = Caller("6816f79cc0a8016401c5a33be04be441", "admin", Permissions(frozenset({"admin"})))


def main(threads: int, each: int) -> None:
    app = create_app(instance_path=default_instance_path())

    def create(turn: int) -> str:
        with app.app_context():
            record = create_record(get_table("change_request"), ROOT, {"short_description": f"number {turn}"})
            db.session.commit()
            return str(record["number"])

    with ThreadPoolExecutor(threads) as pool:
        numbers = list(pool.map(create, range(threads * each)))
    sys.stdout.write("\n".join(numbers))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
