"""What Django does again for each test, done once or quicker: static files listed, the database's first rows restored."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from django.core import serializers
from django.db import connections, models, transaction
from django.db.models.constants import OnConflict
from whitenoise.middleware import WhiteNoiseMiddleware


def share_static_files() -> None:
    """Each new `Client` would list two hundred static files again: half of the time of a test that opens a page."""
    listed: dict[str, Any] = {}
    add_files = WhiteNoiseMiddleware.add_files_from_finders

    def add_once(middleware: WhiteNoiseMiddleware) -> None:
        if not listed:
            add_files(middleware)
            listed.update(middleware.files)
        middleware.files.update(listed)

    WhiteNoiseMiddleware.add_files_from_finders = add_once


def hasten_rollback() -> None:
    """Tests with real transactions empty the database and restore what the migrations wrote.

    Both are quicker than Django's: on PostgreSQL, TRUNCATE makes new files of all tables, which takes a second; and Django
    saves the first rows one by one, with a query for each whether it is there.
    """
    connection = connections["default"]
    if contents := getattr(connection, "_test_serialized_contents", None):
        # While Playwright's event loop runs, Django uses another connection to the same database in the same thread; only
        # the one that created the database has its initial content.
        type(connection)._test_serialized_contents = contents  # type: ignore[attr-defined]
    type(connection.creation).deserialize_db_from_string = insert_rows  # type: ignore[assignment, method-assign]
    if connection.vendor == "postgresql":
        type(connection.ops).sql_flush = delete_rows  # type: ignore[assignment, method-assign]


def insert_rows(creation: Any, data: str) -> None:
    """In place of `deserialize_db_from_string`: one statement a table."""
    alias = creation.connection.alias
    with transaction.atomic(using=alias):
        found = list(serializers.deserialize("json", data, using=alias))
        for model, rows in groupby((one.object for one in found), key=type):
            insert(model, list(rows), alias)
        for one in found:
            for name, keys in (one.m2m_data or {}).items():
                getattr(one.object, name).add(*keys)


def insert(model: type[models.Model], rows: list[models.Model], alias: str) -> None:
    """As they are: no signal, no new `created_at`. Before the first such test, the rows are there already."""
    fields, key = model._meta.local_concrete_fields, model._meta.pk
    model._base_manager._insert(  # type: ignore[attr-defined]
        rows, fields=fields, using=alias, raw=True, on_conflict=OnConflict.UPDATE,
        update_fields=[field for field in fields if field is not key], unique_fields=[key],
    )  # fmt: skip


def delete_rows(operations: Any, style: Any, tables: Iterable[str], **options: bool) -> list[str]:
    """In place of `sql_flush`. Foreign keys are checked at the end of the transaction: any order of the tables will do."""
    return [f"DELETE FROM {operations.quote_name(table)}" for table in tables]  # noqa: S608 - names of our tables
