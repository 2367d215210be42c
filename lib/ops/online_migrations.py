"""Migrations of tables that other processes use meanwhile. For migrations with `atomic = False`.

Each operation is a separate transaction, so none holds a lock while it waits for another, and a migration that was
interrupted continues where it stopped. On PostgreSQL an operation gives up waiting for its lock after LOCK_TIMEOUT, because
everyone else would queue behind it, and tries again until it gets it.
"""

import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

LOCK_TIMEOUT = "250ms"
RETRY_SECONDS = 0.5
# PostgreSQL's lock_not_available.
_TIMED_OUT = "55P03"


def patiently(editor: BaseDatabaseSchemaEditor, change: Callable[[BaseDatabaseSchemaEditor], None]) -> None:
    """Run a change in a transaction, again and again if other processes keep it from its lock.

    PostgreSQL gets all of it in one message: it keeps the lock for as long as the change takes, and not while this process
    waits for its turn on a busy machine.
    """
    connection = editor.connection
    if connection.vendor != "postgresql":
        with transaction.atomic(connection.alias):
            change(editor)
        return
    with connection.schema_editor(collect_sql=True, atomic=False) as collector:
        change(collector)
    statements = [line for line in collector.collected_sql if not line.startswith("--")]
    message = " ".join(["BEGIN;", f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';", *statements, "COMMIT"])
    with connection.cursor() as cursor:
        while not _try(cursor, message):
            time.sleep(RETRY_SECONDS)


def _try(cursor: Any, message: str) -> bool:
    """Run the statements of a transaction. False if it did not get its lock in time."""
    try:
        cursor.execute(message)
    except DatabaseError as error:
        cursor.execute("ROLLBACK")
        if getattr(error.__cause__, "sqlstate", "") != _TIMED_OUT:
            raise
        return False
    return True


def _constraints(editor: BaseDatabaseSchemaEditor, table: str) -> set[str]:
    with editor.connection.cursor() as cursor:
        return set(editor.connection.introspection.get_constraints(cursor, table))


class AddColumn(migrations.AddField):
    """Adds a column with a constant default: PostgreSQL changes its catalogue alone, whatever the table's size."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
        if model._meta.get_field(self.name).column not in {column.name for column in columns}:
            add = super().database_forwards
            patiently(schema_editor, lambda editor: add(app_label, editor, from_state, to_state))


class AddCheck(migrations.AddConstraint):
    """Adds a check constraint. On PostgreSQL, new rows are checked from now on, and old ones by `ValidateCheck`."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.constraint.name in _constraints(schema_editor, model._meta.db_table):
            return
        if schema_editor.connection.vendor == "postgresql":
            statement = f"{self.constraint.create_sql(model, schema_editor)} NOT VALID"
            patiently(schema_editor, lambda editor: editor.execute(statement, None))
        else:
            add = super().database_forwards
            patiently(schema_editor, lambda editor: add(app_label, editor, from_state, to_state))


class RemoveCheck(migrations.RemoveConstraint):
    """Removes a check constraint."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.name in _constraints(schema_editor, model._meta.db_table):
            remove = super().database_forwards
            patiently(schema_editor, lambda editor: remove(app_label, editor, from_state, to_state))


class ValidateCheck(Operation):
    """Checks the old rows of a table, while others go on writing. Databases other than PostgreSQL did so before."""

    reversible = True

    def __init__(self, model_name: str, name: str) -> None:
        self.model_name, self.name = model_name, name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The models stay as they are."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            return
        quote = schema_editor.quote_name
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        statement = f"ALTER TABLE {quote(table)} VALIDATE CONSTRAINT {quote(self.name)}"
        patiently(schema_editor, lambda editor: editor.execute(statement))

    def database_backwards(self, *args: Any) -> None:
        """Nothing to undo."""

    def describe(self) -> str:
        return f"Validate constraint {self.name}"
