"""
Who starts the servers, who stops them, what stays, and what happens when somebody is killed.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import kombu
import psutil
import pytest
import redis

from tests.embedded.conftest import answers, eventually, is_gone, processes_of, query
from tests.embedded.lodger import ROOT, lodger
from worker.core.errors import Fatal
from worker.embedded.home import Home
from worker.embedded.parts import EmbeddedParts, embedded, remove_abandoned


def sockets(redis_url: str) -> Path:
    return Path(redis_url.removeprefix("unix://").partition("?")[0]).parent


def test_the_first_user_starts_both_servers_and_the_last_to_leave_stops_them(homes: Path) -> None:
    home = homes / "shared"
    first = EmbeddedParts(home, durable=False).start()
    with lodger(home) as (_, told):
        assert told["database_url"] == first.database_url
        running = processes_of(home)
        folder = sockets(first.redis_url)
        first.stop()
        assert answers(told["database_url"])
        assert redis.from_url(told["redis_url"]).ping()
    assert all(is_gone(number) for number in running.values())
    assert not folder.exists()
    assert (home / "postgres" / "PG_VERSION").exists()


def test_users_that_come_in_at_once_share_one_pair_of_servers(homes: Path) -> None:
    home = homes / "rush"

    def visit(_: int) -> tuple[str, int]:
        with embedded(home, durable=False, keep=False) as parts:
            return parts.database_url, processes_of(home)["postgres"]

    with embedded(home, durable=False, keep=False), ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(visit, range(4)))) == 1
    assert not home.exists()


def test_users_that_come_and_go_never_find_the_servers_half_stopped(homes: Path) -> None:
    home = homes / "revolving door"

    def visit(_: int) -> bool:
        with embedded(home, durable=False) as parts:
            return answers(parts.database_url) and bool(redis.from_url(parts.redis_url).ping())

    with ThreadPoolExecutor(3) as pool:
        assert all(pool.map(visit, range(12)))
    assert not Home(home).kept()


def test_a_killed_user_does_not_keep_the_servers_running(homes: Path) -> None:
    home = homes / "killed"
    with lodger(home, "--volatile", "--ephemeral") as (process, told):
        running = processes_of(home)
        process.kill()
        process.wait()
        eventually(lambda: all(is_gone(number) for number in running.values()))
        eventually(lambda: not home.exists())
        assert not sockets(told["redis_url"]).exists()


def test_a_killed_keeper_takes_the_servers_with_it_and_the_user_is_told(homes: Path) -> None:
    home = homes / "beheaded"
    with embedded(home, durable=False) as parts:
        parts.check()
        running = processes_of(home)
        folder = sockets(parts.redis_url)
        os.kill(running["keeper"], signal.SIGKILL)
        eventually(lambda: all(is_gone(number) for number in running.values()))
        with pytest.raises(Fatal, match="HW-547"):
            parts.check()
        with embedded(home, durable=False) as next_one:
            assert answers(next_one.database_url)
            assert next_one.redis_url != parts.redis_url
            assert not folder.exists()
            next_one.check()
            with pytest.raises(Fatal, match="HW-547"):
                parts.check()


def test_when_user_and_keeper_are_killed_the_next_run_removes_what_they_left(homes: Path) -> None:
    home = homes / "both"
    with lodger(home, "--volatile", "--ephemeral") as (process, told):
        running = processes_of(home)
        os.kill(running["keeper"], signal.SIGSTOP)  # so that it cannot tidy up in between
        process.kill()
        process.wait()
        os.kill(running["keeper"], signal.SIGKILL)
        eventually(lambda: all(is_gone(number) for number in running.values()))
        assert home.exists()
        remove_abandoned(homes)
        assert not home.exists()
        assert not sockets(told["redis_url"]).exists()


def test_what_was_committed_is_there_the_next_time(homes: Path) -> None:
    home = homes / "kept"
    with embedded(home) as parts:
        query(parts.database_url, "CREATE TABLE river AS SELECT 'Rhine' AS name")
        redis.from_url(parts.redis_url).set("river", "Rhine")
    with embedded(home) as parts:
        assert query(parts.database_url, "SELECT name FROM river") == [("Rhine",)]
        assert redis.from_url(parts.redis_url).get("river") == b"Rhine"
        assert query(parts.database_url, "SHOW fsync") == [("on",)]


def test_a_fallen_postgresql_comes_back_at_the_same_address_with_what_was_committed(homes: Path) -> None:
    with embedded(homes / "fall") as parts:
        query(parts.database_url, "CREATE TABLE river AS SELECT 'Rhine' AS name")
        os.kill(processes_of(homes / "fall")["postgres"], signal.SIGKILL)
        eventually(lambda: answers(parts.database_url))
        assert query(parts.database_url, "SELECT name FROM river") == [("Rhine",)]
        parts.check()


def test_a_fallen_valkey_comes_back_at_the_same_address(homes: Path) -> None:
    with embedded(homes / "fall", durable=False) as parts:
        fallen = processes_of(homes / "fall")["valkey"]
        os.kill(fallen, signal.SIGKILL)
        eventually(lambda: is_gone(fallen) and (homes / "fall" / "running.json").exists())
        eventually(lambda: [child.name() for child in keeper_of(homes / "fall").children()].count("valkey-server") == 1)
        client = redis.from_url(parts.redis_url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.1), 50))
        assert client.ping()


def keeper_of(home: Path) -> psutil.Process:
    return psutil.Process(Home(home).told("running.json")["keeper"])  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--volatile"], ["--volatile", "--ephemeral"]], ids=["kept", "removed"])
def test_whoever_is_killed_and_whenever_the_next_user_finds_servers_and_nothing_is_left(
    homes: Path, options: list[str]
) -> None:
    home = homes / "battlefield"
    seed = random.randrange(10**6)
    sys.stdout.write(f"seed {seed}\n")
    fate = random.Random(seed)
    command = [sys.executable, "-m", "tests.embedded.lodger", str(home), *options, "--for"]
    visitors: list[subprocess.Popen[str]] = []
    killed: set[int] = set()
    for _ in range(40):
        if sum(each.poll() is None for each in visitors) < 4:
            line = [*command, str(fate.uniform(0, 1))]
            visitors.append(subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        victim = fate.choice(visitors)
        if fate.random() < 0.2 and victim.poll() is None:
            victim.kill()
            killed.add(victim.pid)
        facts = Home(home).told("running.json")
        if fate.random() < 0.07 and facts:
            with suppress(ProcessLookupError):
                os.kill(facts["keeper"], signal.SIGKILL)
        time.sleep(fate.uniform(0, 0.25))
    told = [(each.communicate(timeout=60)[0], each.returncode, each.pid) for each in visitors]
    assert [code for _, code, number in told if number not in killed and code != 0] == []
    eventually(lambda: not Home(home).kept())
    folders = {sockets(json.loads(words)["redis_url"]) for words, _, _ in told if words}
    with embedded(home, durable=False, keep="--ephemeral" not in options) as parts:
        assert answers(parts.database_url)  # and clears away what was left by those killed last
    assert [folder for folder in folders if folder.exists()] == []
    assert home.exists() == ("--ephemeral" not in options)


def test_a_server_that_falls_again_and_again_is_given_up_with_a_clear_error(homes: Path) -> None:
    home = homes / "hopeless"
    with embedded(home, durable=False) as parts:
        keeper = keeper_of(home)
        while Home(home).kept():
            with suppress(psutil.NoSuchProcess):
                for child in keeper.children():
                    if child.name() == "valkey-server":
                        child.kill()
        with pytest.raises(Fatal, match=r"HW-547: Valkey fell 6 times within 60 seconds") as caught:
            parts.check()
        assert caught.value.actions
    with embedded(home, durable=False) as parts:
        assert answers(parts.database_url)


def test_removing_the_folder_while_the_servers_run_stops_them(homes: Path) -> None:
    home = homes / "removed"
    with embedded(home, durable=False) as parts:
        running = processes_of(home)
        Home(home).remove()
        eventually(lambda: all(is_gone(number) for number in running.values()))
        eventually(lambda: not sockets(parts.redis_url).exists())


def test_celery_and_redis_py_each_get_an_address_they_understand(homes: Path) -> None:
    with embedded(homes / "urls", durable=False, keep=False) as parts:
        with kombu.Connection(parts.broker_url) as connection:
            queue = connection.SimpleQueue("river")
            queue.put({"name": "Rhine"})
            assert redis.from_url(parts.redis_url).llen("river") == 1
            assert queue.get(timeout=5).payload == {"name": "Rhine"}
            queue.close()
        assert parts.environment() == {"DATABASE_URL": parts.database_url, "REDIS_URL": parts.redis_url}


def test_a_forked_child_that_leaves_does_not_take_its_parent_with_it(homes: Path) -> None:
    with embedded(homes / "fork", durable=False, keep=False) as parts:
        child = os.fork()
        if child == 0:
            parts.stop()
            os._exit(0)
        os.waitpid(child, 0)
        assert answers(parts.database_url)
        assert Home(homes / "fork").in_use()


def test_a_folder_that_cannot_be_used_is_named_with_what_to_do(homes: Path) -> None:
    (homes / "a file").write_text("not a folder")
    with pytest.raises(Fatal, match="HW-546") as caught:
        EmbeddedParts(homes / "a file" / "home").start()
    assert "chown" in caught.value.actions[0]
    (homes / "a file").unlink()
