"""Hand-written statements, for the few places where the ORM takes longer to compose one than the database to run it.

They are kept next to their models and are the same on PostgreSQL and SQLite.
"""

from typing import Any

from django.db import connection


def execute(statement: str, *parameters: Any) -> int:
    """Run one statement and return the number of rows that it changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def select(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run one query and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
