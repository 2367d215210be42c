"""A change of a table waits for its lock without keeping others waiting."""

import psycopg
import pytest
from django.db import DataError, connection

from lib.ops.online_migrations import patiently

pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one lock; `make test-postgres` runs this"),
]


@pytest.fixture
def table():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE changed_online (id integer)")
        yield "changed_online"
        cursor.execute("DROP TABLE changed_online")


def columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def test_it_gives_up_its_place_in_the_queue_and_tries_again(table, monkeypatch):
    with psycopg.connect(**connection.get_connection_params(), autocommit=False) as reader:
        reader.execute(f"SELECT * FROM {table}")  # noqa: S608
        waits = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                reader.rollback()

        monkeypatch.setattr("lib.ops.online_migrations.time.sleep", wait)
        with connection.schema_editor(atomic=False) as editor:
            patiently(editor, lambda one: one.execute(f"ALTER TABLE {table} ADD COLUMN part integer NOT NULL DEFAULT 0"))
    assert len(waits) == 2
    assert columns(table) == ["id", "part"]


def test_any_other_failure_is_reported_and_leaves_nothing(table):
    with connection.schema_editor(atomic=False) as editor, pytest.raises(DataError, match="division"):

        def change(one) -> None:
            one.execute(f"ALTER TABLE {table} ADD COLUMN part integer")
            one.execute("SELECT 1 / 0")

        patiently(editor, change)
    assert columns(table) == ["id"]
