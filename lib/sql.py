"""Hand-written statements, for the few places where composing one by the ORM takes longer than the database takes to run it.

They stand beside the models that they belong to and are the same on PostgreSQL and SQLite.
"""

from typing import Any

from django.db import connection


def execute(statement: str, *parameters: Any) -> int:
    """Run one statement and return the number of rows that it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
