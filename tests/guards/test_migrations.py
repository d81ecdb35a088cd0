"""Migrations: numbered, one after the other, and together exactly what the models say."""

import hashlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Column, Connection, event, inspect, text
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.schema import CreateIndex

from changegate import create_app
from changegate.cli.prepare import prepare_instance
from changegate.database import Base
from changegate.database.schema import Schema, find_schema, newest_migration
from changegate.database.text_index import COPIED, document_of, find_text_index
from changegate.extensions import db
from changegate.services.process.numbering import next_number
from tests.conftest import ADMIN_PASSWORD
from tests.guards.source_tree import ROOT

VERSIONS = sorted((ROOT / "migrations" / "versions").glob("*.py"))
FILE_NAME = re.compile(r"(?P<number>[0-9]{4})_[a-z0-9_]+\.py")


@pytest.fixture
def blank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """An application whose database is empty, and its context: on SQLite, or on what the test is parametrised with."""
    overrides = {"admin_password": ADMIN_PASSWORD}
    if getattr(request, "param", "sqlite") == "postgresql":
        overrides["database_url"] = request.getfixturevalue("empty_postgres")
    app = create_app(instance_path=tmp_path / "blank", overrides=overrides)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


on_both_databases = pytest.mark.parametrize("blank", ["sqlite", "postgresql"], indirect=True)


def differences() -> list[object]:
    """Return what would have to change to make the database what the models say."""
    with db.engine.connect() as connection, warnings.catch_warnings():
        # Indexes on expressions, which are compared below.
        warnings.filterwarnings("ignore", ".* expression-based index")
        names = {"include_name": is_of_a_model, "include_object": is_of_the_database}
        options = {"compare_type": True, "compare_server_default": True, **names}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
        if db.engine.dialect.name != "sqlite":
            return list(found)
        return [*found, *(expression_indexes_of_models() ^ expression_indexes_of(connection))]


def is_of_a_model(name: str | None, _type: str, _parents: object) -> bool:
    """Leave out the trigram index, which no model can describe."""
    return not (name or "").startswith("task_text")


def is_of_the_database(item: object, *_about: object) -> bool:
    """Leave out the indexes that only the other database has."""
    condition = getattr(item, "_ddl_if", None)
    return condition is None or condition.dialect == db.engine.dialect.name


def expression_indexes_of_models() -> set[str]:
    """Return the statements for the indexes that Alembic cannot compare on SQLite."""
    return {
        str(CreateIndex(index).compile(dialect=db.engine.dialect))
        for table in Base.metadata.sorted_tables
        for index in table.indexes
        if not all(isinstance(expression, Column) for expression in index.expressions)
    }


def expression_indexes_of(connection: Connection) -> set[str]:
    statements = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index'").scalars()
    return {statement for statement in statements if statement and statement.count("(") > 1}


TEXT_INDEX_TRIGGERS = {"task_text_updated", "task_text_deleted"}


def test_triggers_note_each_task_whose_text_is_to_be_indexed(app: Flask) -> None:
    """A migration that rebuilds the table drops its triggers, and must create them again."""
    with app.app_context(), db.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    index = find_text_index(Base.metadata.tables["task"])
    assert index is not None
    statements = {row.name: row.sql for row in found}
    assert set(statements) >= TEXT_INDEX_TRIGGERS
    noted = dict.fromkeys([*index.names, *COPIED])
    assert f"AFTER UPDATE OF {', '.join(noted)} ON task" in statements["task_text_updated"]


def test_postgresql_uses_the_index_of_texts(either_app: Flask) -> None:
    with either_app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            return
        index = find_text_index(Base.metadata.tables["task"])
        assert index is not None
        connection.exec_driver_sql("SET enable_seqscan = off")
        query = f"EXPLAIN SELECT sys_id FROM task WHERE {document_of(index.names)} LIKE '%%wall%%'"
        assert "Bitmap Index Scan on task_text" in str(connection.exec_driver_sql(query).all())


def tables() -> set[str]:
    return {name for name in inspect(db.engine).get_table_names() if is_of_a_model(name, "table", None)}


def contents() -> dict[str, list[str]]:
    """Return every row of every table."""
    with db.engine.connect() as connection:
        return {
            name: sorted(repr(row) for row in connection.execute(table.select()))
            for name, table in Base.metadata.tables.items()
        }


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = [match["number"] for path in VERSIONS if (match := FILE_NAME.fullmatch(path.name))]
    assert numbers == [f"{number:04d}" for number in range(1, len(VERSIONS) + 1)]


def test_each_migration_follows_the_one_before(blank: Flask) -> None:
    directory = ScriptDirectory.from_config(blank.extensions["migrate"].migrate.get_config())
    chain = [(script.revision, script.down_revision) for script in directory.walk_revisions()]
    numbers = [path.name[:4] for path in VERSIONS]
    assert chain[::-1] == list(zip(numbers, [None, *numbers], strict=False))
    assert directory.get_heads() == numbers[-1:]


@on_both_databases
def test_an_empty_database_becomes_what_the_models_say(blank: Flask) -> None:
    flask_migrate.upgrade()
    assert differences() == []
    assert tables() == {*Base.metadata.tables, "alembic_version"}


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE jwks_cache",
        "ALTER TABLE task DROP COLUMN skills",
        "ALTER TABLE task ADD COLUMN gone_from_the_models TEXT",
        "DROP INDEX ix_task_state_page",
        "CREATE INDEX ix_forgotten ON sys_user (upper(user_name))",
    ],
)
def test_a_database_that_lags_behind_is_noticed(app: Flask, statement: str) -> None:
    with app.app_context():
        with db.engine.begin() as connection:
            connection.exec_driver_sql(statement)
        assert differences() != []


def test_tables_without_rowid_stay_so(app: Flask) -> None:
    """A table that a migration rebuilds loses this option unless the migration repeats it."""
    models = Base.metadata.tables.values()
    expected = {table.name for table in models if not table.dialect_options["sqlite"]["with_rowid"]}
    with app.app_context(), db.engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name FROM pragma_table_list WHERE wr").scalars()
        found = {name for name in names if is_of_a_model(name, "table", None)}
    assert "oauth_exchange" in expected
    assert found == expected


def test_migrations_can_be_taken_back_and_made_again(either_app: Flask) -> None:
    with either_app.app_context():
        flask_migrate.downgrade(revision="base")
        assert tables() == {"alembic_version"}
        flask_migrate.upgrade()
        assert differences() == []


@on_both_databases
def test_each_migration_can_be_taken_back_by_itself(blank: Flask) -> None:
    before = {"alembic_version"}
    for path in VERSIONS:
        # From the second on, the one before is made again too.
        flask_migrate.upgrade(revision=path.name[:4])
        after = tables()
        flask_migrate.downgrade(revision="-1")
        assert tables() == before
        before = after
    flask_migrate.upgrade()
    assert tables() == after


@on_both_databases
def test_renaming_the_replay_keys_keeps_them_unique(blank: Flask) -> None:
    flask_migrate.upgrade(revision="0024")
    add_exchange("assertion_claim", "0" * 32)

    flask_migrate.upgrade(revision="0025")
    with pytest.raises(IntegrityError):
        add_exchange("replay_key", "1" * 32)

    flask_migrate.downgrade(revision="0024")
    with pytest.raises(IntegrityError):
        add_exchange("assertion_claim", "1" * 32)


@on_both_databases
def test_rules_of_changes_are_copied_to_the_change_management_api(blank: Flask) -> None:
    flask_migrate.upgrade(revision="0026")
    kept = ("PATCH * change_request own description", "* * * - -", "POST v1 change_task - -")
    add_rules("ours", *kept, "PUT * change_request - -", "GET * sys_user - -")
    add_rules("newest", "GET v1 change_request - -", "GET v2 change_request own -")
    add_rules("switched", "GET v2 change_request - - inactive", "GET v1 change_request own -")

    flask_migrate.upgrade(revision="0027")
    copied = {*kept[:2], "POST * change_task - -"}
    assert rules_of("ours") == copied
    assert rules_of("newest") == rules_of("switched") == {"GET * change_request own -"}

    flask_migrate.downgrade(revision="0026")
    assert rules_of("ours") == rules_of("newest") == set()


@on_both_databases
def test_versions_of_templates_get_a_template_whose_highest_version_is_the_current_one(blank: Flask) -> None:
    flask_migrate.upgrade(revision="0036")
    stamps = {"sys_created_on": "2026-01-01 00:00:00", "sys_updated_on": "2026-01-01 00:00:00", "sys_mod_count": 0}
    stamps |= {"sys_created_by": "system", "sys_updated_by": "system", "version": 1, "active": True}
    with db.engine.begin() as connection:
        for name in ("Restart - 1", "Restart - 2", "Restart - 10", "Plain"):
            values = {"sys_id": sys_id_like(name), "name": name, "template": f"description={name}^EQ", **stamps}
            insert_row(connection, "std_change_producer_version", values)

    flask_migrate.upgrade(revision="0037")
    columns = "version.name, version.version, version.active, template.name, template.version, template.template"
    joined = "version.std_change_producer = template.sys_id ORDER BY template.name, version.version"
    tables = "std_change_producer_version AS version JOIN std_change_record_producer AS template"
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM {tables} ON {joined}").all()
        current = set(connection.exec_driver_sql("SELECT current_version FROM std_change_record_producer").scalars())
    assert [tuple(row) for row in rows] == [
        ("Plain", 1, True, "Plain", 1, "description=Plain^EQ"),
        ("Restart - 1", 1, False, "Restart", 10, "description=Restart - 10^EQ"),
        ("Restart - 2", 2, False, "Restart", 10, "description=Restart - 10^EQ"),
        ("Restart - 10", 10, True, "Restart", 10, "description=Restart - 10^EQ"),
    ]
    assert current == {sys_id_like("Plain"), sys_id_like("Restart - 10")}

    flask_migrate.downgrade(revision="0036")
    with db.engine.connect() as connection:
        names = connection.exec_driver_sql("SELECT name, std_change_producer FROM std_change_producer_version").all()
    assert set(map(tuple, names)) == {
        ("Plain", "Plain"),
        *((f"Restart - {number}", "Restart") for number in (1, 2, 10)),
    }


@on_both_databases
def test_old_exchanges_without_a_report_are_moved_back(blank: Flask) -> None:
    flask_migrate.upgrade(revision="0056")
    kinds = ({"is_accepted": True, "algorithm": "RS256"}, {"is_accepted": False, "reason": "expired"})
    with db.engine.begin() as connection:
        for number, kind in enumerate(kinds, start=1):
            insert_row(connection, "oauth_exchange_kind", {"id": number, **kind})
            exchange = {"correlation_id": str(number) * 32, "happened_at": "2026-01-01 00:00:00", "kind": number}
            own = {} if kind["is_accepted"] else {"algorithm": "ES256", "client_id": "unknown"}
            insert_row(connection, "oauth_thinned_exchange", exchange | own)
    flask_migrate.downgrade(revision="0055")
    columns = "correlation_id, is_accepted, reason, algorithm, client_id"
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM oauth_exchange ORDER BY correlation_id").all()
    assert [tuple(row) for row in rows] == [
        ("1" * 32, True, None, "RS256", None),
        ("2" * 32, False, "expired", "ES256", "unknown"),
    ]


def add_rules(scope: str, *rules: str) -> None:
    stamps = {"sys_created_on": "2026-01-01 00:00:00", "sys_updated_on": "2026-01-01 00:00:00", "sys_mod_count": 0}
    stamps |= {"sys_created_by": "system", "sys_updated_by": "system"}
    with db.engine.begin() as connection:
        insert_row(connection, "sys_auth_scope", {"sys_id": sys_id_like(scope), "name": scope, **stamps})
        for rule in rules:
            method, version, table, own, fields, *switched_off = rule.split()
            named = {"http_method": method, "version": version, "table": table, "rest_api": "now/table"}
            limits = {"own_records": own == "own", "writable_fields": None if fields == "-" else fields}
            key = {"sys_id": sys_id_like(f"{scope} {rule}"), "scope": sys_id_like(scope), "active": not switched_off}
            insert_row(connection, "sys_api_access_scope", {**key, **named, **limits, **stamps})


def sys_id_like(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def insert_row(connection: Connection, table: str, values: dict[str, object]) -> None:
    quoted = ", ".join(f'"{name}"' for name in values)
    bound = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({quoted}) VALUES ({bound})"), values)


def rules_of(scope: str) -> set[str]:
    """Return the rules of a scope for the Change Management API, in the notation of `add_rules`."""
    columns = 'http_method, version, "table", own_records, writable_fields'
    where = f"rest_api = 'sn_chg_rest/change' AND scope = '{sys_id_like(scope)}' AND active"
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT {columns} FROM sys_api_access_scope WHERE {where}").all()
    return {
        f"{method} {version} {table} {'own' if own else '-'} {fields or '-'}"
        for method, version, table, own, fields in rows
    }


def add_exchange(column: str, correlation_id: str) -> None:
    """Insert an exchange that has the same replay key as all others."""
    values = f"'{correlation_id}', '2026-01-01 00:00:00', false, '{'a' * 64}'"
    with db.engine.begin() as connection:
        names = f"correlation_id, happened_at, is_accepted, {column}"
        connection.exec_driver_sql(f"INSERT INTO oauth_exchange ({names}) VALUES ({values})")


def test_preparing_again_changes_nothing(either_app: Flask) -> None:
    with either_app.app_context():
        first = contents()
        assert first["sys_user"]
        prepare_instance(either_app)
        assert contents() == first


def test_numbers_start_where_they_should_after_migrating(either_app: Flask) -> None:
    with either_app.app_context():
        assert next_number("change_request") == "CHG0030001"


# The first migration that notes what it breaks; before it, no version could use a newer schema.
FIRST_NOTED = "0046"
BEFORE = VERSIONS[int(FIRST_NOTED) - 2].name[:4]
# What a version before the migration might still use, or not fill. New columns without a value need a default.
CONTRACTIONS = re.compile(
    r"op\.(?:drop_column|drop_table|rename_table|alter_column)\("
    r"|nullable=False(?!.*server_default)|DROP (?:TABLE|COLUMN)"
)


def upgrade_of(path: Path) -> str:
    """Return the part of a migration that upgrades, without the tables that it creates."""
    body = path.read_text().partition("def upgrade()")[2].partition("def downgrade()")[0]
    return re.sub(r"op\.create_table\(.*?\n    \)\n", "", body, flags=re.DOTALL)


def test_a_migration_that_breaks_older_versions_says_so() -> None:
    """Nodes of the version before serve on during an upgrade; see `changegate.database.schema`."""
    later = [path for path in VERSIONS if path.name[:4] > FIRST_NOTED]
    breaking = {path.name for path in later if CONTRACTIONS.search(upgrade_of(path))}
    noted = {path.name for path in later if "breaks_older_versions = True" in path.read_text()}
    assert breaking <= noted


def test_an_index_of_an_existing_table_is_built_beside_its_writers() -> None:
    for path in VERSIONS:
        if path.name[:4] > FIRST_NOTED:
            created = set(re.findall(r"op\.create_table\(\s*(\w+|\"\w+\")", path.read_text()))
            indexed = set(re.findall(r"op\.create_index\([^,]+,\s*(\w+|\"\w+\")", upgrade_of(path)))
            assert indexed <= created, f"{path.name}: use create_index_online of changegate.database.schema"


@pytest.mark.parametrize("blank", ["postgresql"], indirect=True)
def test_nodes_have_indexes_until_those_that_replace_them_are_ready(blank: Flask) -> None:
    def indexes() -> set[str]:
        statement = "SELECT substring(indexdef FROM 'ON .*') FROM pg_indexes"
        with db.engine.connect() as connection:
            return set(connection.exec_driver_sql(statement).scalars())

    def interrupt(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        if statement.startswith("CREATE INDEX CONCURRENTLY") and "ix_sysapproval_approver_group" in statement:
            raise TimeoutError

    flask_migrate.upgrade(revision="0048")
    before = indexes()
    event.listen(db.engine, "before_cursor_execute", interrupt)
    with pytest.raises(PendingRollbackError):
        flask_migrate.upgrade(revision="0049")
    event.remove(db.engine, "before_cursor_execute", interrupt)
    assert before < indexes()

    flask_migrate.upgrade()
    assert not differences()


@on_both_databases
def test_the_oldest_version_that_can_use_the_schema_is_noted(blank: Flask) -> None:
    flask_migrate.upgrade(revision=BEFORE)
    with db.engine.connect() as connection:
        assert find_schema(connection) == (BEFORE, "")
    flask_migrate.upgrade()
    with db.engine.connect() as connection:
        found = find_schema(connection)
    assert found.revision == newest_migration(blank.extensions["migrate"].directory) == VERSIONS[-1].name[:4]
    assert FIRST_NOTED <= found.oldest <= found.revision
    assert found.find_obstacle(found.revision) is None


@pytest.mark.parametrize(
    ("schema", "own", "is_usable"),
    [
        (Schema("0050", "0047"), "0050", True),
        (Schema("0050", "0047"), "0047", True),
        (Schema("0050", "0047"), "0046", False),
        (Schema("0050", "0047"), "0051", False),
        (Schema("", ""), "0050", False),
    ],
)
def test_a_node_uses_schemas_that_are_new_enough_and_not_too_new(schema: Schema, own: str, is_usable: bool) -> None:
    assert (schema.find_obstacle(own) is None) == is_usable


def test_an_instance_that_is_not_migrated_is_not_ready(blank: Flask) -> None:
    assert blank.test_client().get("/readyz").status_code == 503
    flask_migrate.upgrade(revision=BEFORE)
    assert blank.test_client().get("/readyz").status_code == 503
    flask_migrate.upgrade()
    assert blank.test_client().get("/readyz").get_json()["status"] == "ready"
