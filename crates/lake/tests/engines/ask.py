"""Asks DuckDB and ClickHouse the same of a lake: statements from standard input, answers as text cells to standard output.

    ask.py LAKE < statements.json

A statement names tables as {events}, {timeline} and {hours}. {us} stands for the function that gives a time in microseconds,
{length} for the one that gives a list's length, {each} for the one that makes a row of each of its elements, {of} for the one
that gives a part of such an element.
"""

import json
import os
import pathlib
import sys

import chdb
import duckdb
import duckdb_extension_delta

TABLES = {"events": "events", "timeline": "timeline", "hours": "endpoint_hours"}


def duckdb_rows(lake, statements):
    connection = duckdb.connect()
    files = pathlib.Path(duckdb_extension_delta.__file__).parent
    connection.load_extension(str(next(files.rglob("*.duckdb_extension"))))
    tables = {name: f"delta_scan('{lake / folder}')" for name, folder in TABLES.items()}
    for statement in statements:
        text = statement.format(us="epoch_us", length="len", each="unnest", of="struct_extract", **tables)
        yield connection.sql(text).fetchall()


def clickhouse_rows(lake, statements):
    tables = {name: f"deltaLakeLocal('{lake / folder}')" for name, folder in TABLES.items()}
    for statement in statements:
        text = statement.format(
            us="toUnixTimestamp64Micro", length="length", each="arrayJoin", of="tupleElement", **tables
        )
        yield json.loads(str(chdb.query(text, "JSONCompact")))["data"]


def main():
    lake, statements = pathlib.Path(sys.argv[1]).resolve(), json.load(sys.stdin)
    # ClickHouse reads what is below the directory that it runs in.
    os.chdir(lake)
    answers = {}
    for name, rows_of in (("duckdb", duckdb_rows), ("clickhouse", clickhouse_rows)):
        answers[name] = [[[str(cell) for cell in row] for row in rows] for rows in rows_of(lake, statements)]
    json.dump(answers, sys.stdout)


main()
