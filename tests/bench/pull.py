"""
Times a first pull of leads by Bulk 2.0 into the store against a bare COPY of the same CSV, and a pull that finds
nothing new against the first.

The practice org and the pulling process are processes of their own. Both sides fill the same table definition
(``pull.sql``) on the same server, and alternate within one run; the yardstick reads its CSV from a file and the pull
gets it from the org by HTTPS. Ours also compares each row with what is stored, notes what changed, and keeps its place.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from config.rulefiles import load_rules
from config.settings import load_settings
from tests.bench.ground import HOMES, ROOT, Alternating, Report, ground, load, plain, risen, settled_counters
from tests.practice_org import PracticeOrg
from worker.connectors.salesforce.mapping import OBJECTS
from worker.embedded.databases import create_database, drop_database, ensure_template
from worker.embedded.parts import EmbeddedParts
from worker.store import migrate
from worker.wiring import salesforce_client

SEED = 20261118
RULES = Path(__file__).parent / "rules"
YARDSTICK = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
STREAM = "salesforce.lead"
RECORDS_A_CALL = 5_000
CHUNK_BYTES = 1 << 20
MOST_SECONDS = 900.0
FAR_SECONDS = 0.2


def run(report: Report, *, small: bool, rounds: int | None = None) -> None:
    """
    Both sizes, then what ten times the rows cost in memory.
    """
    sizes = (5_000, 50_000) if small else (50_000, 500_000)
    with ground() as parts:
        peaks = [size_of(report, parts, size, rounds or (5 if size == sizes[0] else 3)) for size in sizes]
    report.bound("peak memory at the larger size", peaks[1], goal=160, must=256, unit=" MiB")
    report.bound("more of it for ten times the rows", peaks[1] - peaks[0], goal=32, unit=" MiB")


def size_of(report: Report, parts: EmbeddedParts, size: int, rounds: int) -> float:
    """
    The figures of one size; returns the pulling process's peak in MiB.
    """
    ensure_template(parts.database_url, "migrated", migrate.upgrade)
    turns = Alternating()
    pulls: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    csv_file = HOMES / f"run-{os.getpid()}" / "leads.csv"
    with PracticeOrg() as org:
        fill(org, size)
        report.say(f"{size:,} leads of 32 columns, {rounds} rounds; {load()}")
        for _ in range(rounds):
            url = create_database(parts.database_url, "bench_pull", template="migrated")
            with pulling(org, parts, url) as process:
                first = pulled(org, process)
                if not csv_file.exists():
                    save_csv(org, csv_file)
                turns.note("pull", first["seconds"])
                before = settled_counters(url)
                second = pulled(org, process)
                written = risen(before, settled_counters(url))
            turns.note("again", second["seconds"])
            turns.note("copy", copied(url, csv_file, size))
            second["writes"] = sum(
                written.get("source_person", {}).get(name, 0) for name in ("n_tup_ins", "n_tup_upd", "n_tup_del")
            )
            stored = stored_rows(url)
            assert stored == size, f"{stored:,} leads are stored, not {size:,}"
            pulls.append(first)
            again.append(second)
            drop_database(parts.database_url, "bench_pull")
            turns.note("far", pulled_from_afar(org, parts, size))
    tell(report, size, turns, pulls, again, csv_file.stat().st_size)
    csv_file.unlink()
    return float(max(each["peak_mib"] for each in pulls))


def pulled_from_afar(org: PracticeOrg, parts: EmbeddedParts, size: int) -> float:
    """
    Seconds of a first pull from an org that is slower by FAR_SECONDS at every call.
    """
    url = create_database(parts.database_url, "bench_pull", template="migrated")
    org.fault({"delay_seconds": FAR_SECONDS}, system="salesforce")
    try:
        with pulling(org, parts, url) as process:
            seconds = float(pulled(org, process)["seconds"])
    finally:
        org.control("DELETE", "faults")
    assert stored_rows(url) == size
    drop_database(parts.database_url, "bench_pull")
    return seconds


def tell(
    report: Report,
    size: int,
    turns: Alternating,
    pulls: list[dict[str, Any]],
    again: list[dict[str, Any]],
    csv_bytes: int,
) -> None:
    middle = sorted(pulls, key=lambda each: each["seconds"])[len(pulls) // 2]
    report.table(
        ("", "median s", "rows/s", "runs"),
        [
            (name, turns.median(key), int(size / turns.median(key)), " ".join(f"{s:.2f}" for s in turns.seconds[key]))
            for name, key in (
                ("first pull", "pull"),
                ("COPY of the CSV", "copy"),
                ("pulled again", "again"),
                (f"first pull, {1000 * FAR_SECONDS:.0f} ms more at every call", "far"),
            )
        ],
    )
    report.say(
        f"  CSV {csv_bytes / 1e6:,.0f} MB; of the first pull {middle['own_cpu']:.2f} s of processor in the pulling"
        f" process and {middle['org_cpu']:.2f} s in the org; peak {max(each['peak_mib'] for each in pulls):.0f} MiB"
    )
    report.bound("first pull / COPY", turns.ratio("pull", "copy"), goal=2.5, must=4)
    report.bound("pulled again / first pull", turns.ratio("again", "pull"), goal=0.7, must=1)
    more = statistics.median(a - b for a, b in zip(turns.seconds["far"], turns.seconds["pull"], strict=True))
    report.bound(f"seconds more for {1000 * FAR_SECONDS:.0f} ms at every call", more, goal=3, must=3, unit=" s")
    report.bound("rows written by pulling again", max(each["writes"] for each in again), goal=0, unit="")


def fill(org: PracticeOrg, size: int) -> None:
    """
    Leads in an org: names and streets with commas, quotes, line breaks and letters beyond ASCII, some fields empty.
    """
    rng = random.Random(SEED)
    for start in range(0, size, RECORDS_A_CALL):
        org.create("Lead", [lead(rng, number) for number in range(start, min(size, start + RECORDS_A_CALL))])
    org.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})
    org.control("DELETE", "journal")


def lead(rng: random.Random, number: int) -> dict[str, Any]:
    firm = rng.randrange(1 + number // 10)
    return {
        "Salutation": rng.choice(("Ms.", "Mr.", "Dr.")),
        "FirstName": rng.choice(("Ana", "Björn", "Chloé", "Dmitri", "Eun-ji", "Fatima")),
        "LastName": f"Lead{number}",
        "Email": f"lead{number}@firm{firm}.example",
        "Title": rng.choice(("VP, Finance", "Director of Operations", 'Head of "Digital"', "Analyst")),
        "Phone": f"+1 555 {number:07d}",
        "MobilePhone": f"+1 556 {number:07d}" if number % 3 else None,
        "Company": f"Firm {firm}, Inc.",
        "Website": f"https://www.firm{firm}.example",
        "Industry": rng.choice(("Manufacturing", "Retail", "Healthcare")),
        "NumberOfEmployees": rng.randrange(10, 50_000),
        "AnnualRevenue": rng.randrange(1, 10**8),
        "Street": f"{number} Market Street\nFloor {number % 40}",
        "City": rng.choice(("Zürich", "São Paulo", "Springfield")),
        "State": None if number % 4 else "ZH",
        "PostalCode": f"{number % 99999:05d}",
        "Country": rng.choice(("Switzerland", "Brazil", "United States")),
        "LeadSource": rng.choice(("Web", "Partner", "Event")),
        "Status": "Open - Not Contacted",
        "Rating": rng.choice(("Hot", "Warm", "Cold", None)),
        "HasOptedOutOfEmail": number % 50 == 0,
        "DoNotCall": False,
        "CreatedDate": f"2025-{1 + number % 12:02d}-{1 + number % 28:02d}T{number % 24:02d}:00:00.000Z",
        "SystemModstamp": f"2026-{1 + number % 10:02d}-{1 + number % 28:02d}T{number % 24:02d}:00:00.000Z",
    }


@contextmanager
def pulling(org: PracticeOrg, parts: EmbeddedParts, url: str) -> Iterator["subprocess.Popen[str]"]:
    """
    The process of ``pulling.py``; it ends when its input does.
    """
    environment = {**os.environ, **parts.environment(), **org.env(), "HEADWATER_LOG": "json"}
    environment |= {"DATABASE_URL": url, "HEADWATER_RULES": str(RULES)}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.pulling", str(org.pid)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def pulled(org: PracticeOrg, process: "subprocess.Popen[str]") -> dict[str, Any]:
    """
    One whole pull, its clock from the moment the org's job is complete.
    """
    tell_process(process, "ask")
    org.control("POST", "salesforce/release_jobs", {})
    figures = tell_process(process, "pull")
    tell_process(process, "leave")
    return figures


def tell_process(process: "subprocess.Popen[str]", step: str) -> dict[str, Any]:
    """
    One step; lines that are not an answer are the process's log.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(step + "\n")
    process.stdin.flush()
    for line in process.stdout:
        facts = json.loads(line) if line.startswith("{") else {}
        if facts.keys() & {"asked", "seconds", "left"}:
            return dict(facts)
    raise RuntimeError(f"the pulling process ended in step {step!r}; its words are on standard error")


def save_csv(org: PracticeOrg, file: Path) -> None:
    """
    The very CSV that the pull was given: its own job, made once more.
    """
    environment = {name: value for name, value in org.env().items() if name.startswith("SALESFORCE")}
    settings = load_settings(**{name.lower(): value for name, value in environment.items()}, rules=RULES)
    client = salesforce_client(settings, load_rules(RULES))
    asked = next(
        json.loads(entry["body"])
        for entry in org.journal("salesforce")
        if entry["method"] == "POST" and entry["path"].endswith("/jobs/query") and "FROM Lead" in entry["body"]
    )
    org.control("POST", "salesforce/settings", {"hold_bulk_jobs": False})
    job = client.tell("POST", "jobs/query", asked)["id"]
    deadline = time.monotonic() + MOST_SECONDS
    while client.ask("GET", f"jobs/query/{job}")["state"] != "JobComplete":
        if time.monotonic() > deadline:
            raise TimeoutError("the org's job did not end")
        time.sleep(0.1)
    with file.open("wb") as out:
        response = client.open_csv(f"jobs/query/{job}/results", {"maxRecords": "1000000000"})
        out.writelines(client.session.body(response))
    client.tell("DELETE", f"jobs/query/{job}", None)
    org.control("POST", "salesforce/settings", {"hold_bulk_jobs": True})


def copied(url: str, file: Path, size: int) -> float:
    """
    Seconds of one COPY of the file into the empty table, its commit included.
    """
    with psycopg.connect(plain(url), autocommit=True) as connection:
        for statement in YARDSTICK.split(";"):
            if statement.strip():
                connection.execute(statement)
        with file.open("rb") as source:
            columns = ", ".join(column_of(name.strip('"')) for name in source.readline().decode().strip().split(","))
        started = time.perf_counter()
        with connection.cursor() as cursor, file.open("rb") as source:
            statement = f"COPY yardstick ({columns}) FROM STDIN (FORMAT csv, HEADER, FORCE_NULL ({columns}))"
            with cursor.copy(statement) as copy:
                while chunk := source.read(CHUNK_BYTES):
                    copy.write(chunk)
            assert cursor.rowcount == size
        return time.perf_counter() - started


def column_of(field: str) -> str:
    """
    The column that holds a field of a lead.
    """
    columns: Mapping[str, Any] = OBJECTS[STREAM].columns
    known = {candidate: column for column, candidates in columns.items() for candidate in candidates}
    return (known | {"SystemModstamp": "stamp_at", "Salutation": "salutation"})[field]


def stored_rows(url: str) -> int:
    with psycopg.connect(plain(url)) as connection:
        row = connection.execute("SELECT count(*) FROM source_person WHERE stream = %s", (STREAM,)).fetchone()
    assert row is not None
    return int(row[0])
