"""
dlt loads Salesforce into DuckDB with its own Salesforce source, as the package ingestr carries it.

Reads its task as JSON from standard input and prints one line of JSON: per resource the rows in the database, and how
dlt spells each field. It judges nothing, and nothing of dlt, of the source or of simple-salesforce is changed.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import duckdb
from ingestr.src.salesforce import salesforce_source


def load(task: dict[str, Any]) -> dict[str, Any]:
    """
    One run of the pipeline, and what is in the database after it.
    """
    folder = Path(task["folder"])
    database = folder / "loaded.duckdb"
    pipeline = dlt.pipeline(
        pipeline_name="practice",
        destination=dlt.destinations.duckdb(str(database)),
        dataset_name="salesforce",
        pipelines_dir=str(folder / "pipelines"),
    )
    source = salesforce_source(task["username"], task["password"], "", task["domain"])
    chosen = source.with_resources(*task["resources"])
    for resource in chosen.resources.values():
        # The source names the key "id"; rows come with Salesforce's "Id", which dlt looks for letter by letter.
        if resource.write_disposition == "merge":
            resource.apply_hints(primary_key="Id")
    pipeline.run(chosen).raise_on_failed_jobs()
    spell: Callable[[str], str] = pipeline.default_schema.naming.normalize_identifier
    tables = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for resource in task["resources"]:
            cursor = connection.execute(f'SELECT * FROM salesforce."{resource}"')
            names = [column[0] for column in cursor.description]
            tables[resource] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {"tables": tables, "spelling": {name: spell(name) for name in task["fields"]}}


def main() -> None:
    """
    Load, and say so in one line.
    """
    task = json.load(sys.stdin)
    line = {"capability": task["capability"], "saw": load(task)}
    sys.stdout.write(json.dumps(line, default=str) + "\n")


if __name__ == "__main__":
    main()
