"""
One session for all processes of an installation: who logs in, how often, and what is left where others could read it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet, MultiFernet

from tests.connectors.salesforce.stand_in import HOST, StandIn, client_of, json_reply, refused, stand_in
from tests.practice_org import PracticeOrg
from worker.broker.shelf import RedisShelf
from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.session import OwnShelf, Shelf
from worker.core.errors import Fatal, Retriable
from worker.store.secrets import SealedVault
from worker.store.session import connect

pytestmark = pytest.mark.slow

OLD, NEW = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
SEAL = MultiFernet([OLD])
Process = Callable[..., SalesforceClient]


@pytest.fixture
def process(org: PracticeOrg, redis_url: str) -> Process:
    """
    A client as another process of the same installation has it.
    """
    credentials = Credentials(
        org.https_url,
        "headwater",
        username="integration@practice.test",
        private_key=Path(org.private_key_file).read_text(),
    )

    def start(seal: MultiFernet | None = SEAL, *, shelf: Shelf | None = None, **changes: Any) -> SalesforceClient:
        options = HttpOptions(ca_file=org.ca_file, attempts=3, pause_seconds=0.01)
        given = shelf or RedisShelf(redis_url, seal)
        return SalesforceClient(replace(credentials), options=options, shelf=given, **changes)

    return start


@pytest.fixture
def somewhere() -> Iterator[StandIn]:
    with stand_in() as standing:
        standing.on("GET limits", json_reply({"DailyApiRequests": {"Max": 15_000}}))
        yield standing


def logins(org: PracticeOrg, after: int) -> int:
    return len([entry for entry in org.journal("salesforce", after) if entry["kind"] == "token"])


def mark(org: PracticeOrg) -> int:
    return int(org.control("GET", "journal")["next"])


def all_at_once(clients: list[SalesforceClient]) -> None:
    with ThreadPoolExecutor(len(clients)) as pool:
        for answer in pool.map(lambda client: client.ask("GET", "limits"), clients):
            assert "DailyApiRequests" in answer


def test_eight_processes_that_start_together_log_in_once(org: PracticeOrg, process: Process) -> None:
    before = mark(org)
    all_at_once([process() for _ in range(8)])
    assert logins(org, before) == 1


def test_when_the_session_ends_under_all_of_them_one_opens_the_next(org: PracticeOrg, process: Process) -> None:
    clients = [process() for _ in range(8)]
    all_at_once(clients)
    org.control("POST", "salesforce/expire_sessions")
    before = mark(org)
    all_at_once(clients)
    assert logins(org, before) == 1


def test_a_process_that_starts_later_finds_the_session_and_the_ids_with_it(org: PracticeOrg, process: Process) -> None:
    first = process()
    first.ask("GET", "limits")
    before = mark(org)
    later = process()
    assert (later.org_id(), later.user_id()) == (first.org_id(), first.user_id())
    later.ask("GET", "limits")
    assert logins(org, before) == 0


def test_the_clock_of_the_organisation_is_known_before_the_first_call_of_a_shared_session(
    org: PracticeOrg, process: Process
) -> None:
    process().ask("GET", "limits")
    clock = org.control("GET", "clock")["now"]
    assert process().now().isoformat()[:13] == clock[:13]


def test_threads_of_one_process_share_it_too(org: PracticeOrg, process: Process) -> None:
    before = mark(org)
    all_at_once([process(None, shelf=OwnShelf())] * 8)
    assert logins(org, before) == 1


def test_what_lies_in_the_broker_is_sealed(org: PracticeOrg, process: Process, redis_url: str) -> None:
    process().ask("GET", "limits")
    token = next(
        str(entry["headers"]["authorization"]).removeprefix("Bearer ")
        for entry in reversed(org.journal("salesforce"))
        if entry["kind"] != "token"
    )
    assert "!" in token
    with redis.from_url(redis_url) as broker:
        kept = [broker.get(key) for key in broker.keys("*") if broker.type(key) == b"string"]
    assert kept
    assert not any(token.encode() in value or b"instance" in value for value in kept if isinstance(value, bytes))


def test_without_a_key_nothing_is_kept_and_each_logs_in_for_itself(
    org: PracticeOrg, process: Process, redis_url: str
) -> None:
    before = mark(org)
    all_at_once([process(None) for _ in range(3)])
    assert logins(org, before) == 3
    with redis.from_url(redis_url) as broker:
        assert [key for key in broker.keys("*") if broker.type(key) == b"string"] == []


def test_a_key_is_replaced_by_listing_the_new_one_before_the_old(org: PracticeOrg, process: Process) -> None:
    process(MultiFernet([OLD])).ask("GET", "limits")
    before = mark(org)
    process(MultiFernet([NEW, OLD])).ask("GET", "limits")
    assert logins(org, before) == 0
    process(MultiFernet([NEW])).ask("GET", "limits")
    assert logins(org, before) == 1


def test_a_broker_that_is_not_there_costs_a_login_and_nothing_more(org: PracticeOrg, process: Process) -> None:
    nowhere = RedisShelf("redis://127.0.0.1:1/0", SEAL)
    before, started = mark(org), time.monotonic()
    for _ in range(2):
        client = process(shelf=nowhere)
        client.ask("GET", "limits")
        org.control("POST", "salesforce/expire_sessions")
        client.ask("GET", "limits")
    assert logins(org, before) == 4
    assert time.monotonic() - started < 10


def test_a_broker_that_lost_everything_is_an_empty_one(org: PracticeOrg, process: Process, redis_url: str) -> None:
    client = process()
    client.ask("GET", "limits")
    with redis.from_url(redis_url) as broker:
        broker.flushdb()
    before = mark(org)
    client.ask("GET", "limits")
    process().ask("GET", "limits")
    assert logins(org, before) == 1


def test_a_holder_that_died_with_the_turn_holds_nobody_up_for_ever(
    org: PracticeOrg, process: Process, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.broker.shelf.PATIENCE_SECONDS", 0.3)
    client = process()
    with redis.from_url(redis_url) as broker:
        name = Credentials.name.fget(client._keeper._credentials)  # type: ignore[attr-defined]
        broker.set(f"headwater:shelf:turn:{name}", "somebody", ex=30)
        client.ask("GET", "limits")
        assert broker.get(f"headwater:shelf:turn:{name}") == b"somebody"


ONE_CALL = """
import json, sys
from pathlib import Path
from cryptography.fernet import Fernet, MultiFernet
from worker.broker import shelf
from worker.connectors.http import HttpOptions
from worker.connectors.salesforce.client import Credentials, SalesforceClient

given = json.loads(sys.argv[1])
shelf.TURN_SECONDS = 1
credentials = Credentials(
    given["url"], "headwater", username="integration@practice.test", private_key=Path(given["key"]).read_text()
)
shared = shelf.RedisShelf(given["redis"], MultiFernet([Fernet(given["seal"])]))
SalesforceClient(credentials, options=HttpOptions(ca_file=given["ca"]), shelf=shared).ask("GET", "limits")
"""


def test_a_process_killed_in_the_middle_of_its_login_holds_nobody_up(org: PracticeOrg, redis_url: str) -> None:
    given = {
        "url": org.https_url,
        "key": org.private_key_file,
        "redis": redis_url,
        "seal": Fernet.generate_key().decode(),
        "ca": org.ca_file,
    }
    command = [sys.executable, "-c", ONE_CALL, json.dumps(given)]
    before = mark(org)
    org.fault({"gate": "login"}, system="salesforce", path_contains="oauth2/token", times=1)
    first = subprocess.Popen(command)
    org.wait_for_gate("login")
    others = [subprocess.Popen(command) for _ in range(3)]
    first.kill()
    assert first.wait(timeout=10) != 0
    for other in others:
        assert other.wait(timeout=30) == 0
    org.open_gate("login")
    # The one that died, and one of those who waited: the others took that one's session.
    assert logins(org, before) == 2


def test_no_header_is_lost_on_a_repeated_call_or_a_new_login(org: PracticeOrg, process: Process) -> None:
    client = process()
    client.ask("GET", "limits")
    (account,) = org.create("Account", [{"Name": "Ridge"}])
    body = {"allOrNone": False, "records": [{"attributes": {"type": "Account"}, "id": account, "Rating": "Hot"}]}
    before = mark(org)
    org.control("POST", "salesforce/expire_sessions")
    client.tell("PATCH", "composite/sobjects", body)
    org.fault({"status": 503, "body": ""}, system="salesforce", path_contains="limits", times=1)
    client.ask("GET", "limits")
    calls = [entry for entry in org.journal("salesforce", before) if entry["kind"] != "token"]
    assert [entry["status"] for entry in calls] == [401, 200, 503, 200]
    for entry in calls:
        headers = {name.lower(): value for name, value in entry["headers"].items()}
        assert headers["sforce-auto-assign"] == "FALSE"
        assert headers["sforce-duplicate-rule-header"] == "allowSave=true"
        assert headers["sforce-call-options"] == "client=headwater"
        assert "gzip" in headers["accept-encoding"]


def test_logins_of_an_hour_are_counted_over_all_processes(org: PracticeOrg, process: Process) -> None:
    for _ in range(2):
        process(None, logins_per_hour=2).ask("GET", "limits")
    with pytest.raises(Retriable) as caught:
        process(None, logins_per_hour=2).ask("GET", "limits")
    assert caught.value.code == "HW-231"
    assert any("login history" in action for action in caught.value.actions)


def test_an_hour_later_one_may_log_in_again(org: PracticeOrg, process: Process) -> None:
    client = process(None, shelf=OwnShelf(), logins_per_hour=1)
    client.ask("GET", "limits")
    org.control("POST", "salesforce/expire_sessions")
    with pytest.raises(Retriable, match="HW-231"):
        client.ask("GET", "limits")
    org.advance(3700)
    with pytest.raises(Retriable, match="HW-231"):
        client.ask("GET", "limits")  # nothing has told it of the organisation's clock yet
    client.session.get(f"{org.https_url}/services/data")
    client.ask("GET", "limits")


def test_sessions_refused_at_their_first_use_are_no_expiry_and_end_the_asking(somewhere: StandIn) -> None:
    somewhere.refused_tokens = {f"T{number}" for number in range(100)}
    client = client_of()
    errors = []
    for _ in range(10):
        with pytest.raises(Fatal) as caught:
            client.ask("GET", "limits")
        errors.append(caught.value)
    assert {error.code for error in errors} == {"HW-205"}
    assert somewhere.logins == 3
    assert "asked again at" in errors[-1].message
    assert any("lock sessions" in action for action in errors[-1].actions)


@pytest.mark.parametrize(
    "words", ["This session is not valid for use with the REST API", "Connected app is not attached to Agent"]
)
def test_a_session_that_may_not_use_the_api_is_not_replaced_by_another(somewhere: StandIn, words: str) -> None:
    somewhere.on("GET limits", refused(401, "INVALID_SESSION_ID", words))
    client = client_of()
    for _ in range(5):
        with pytest.raises(Fatal) as caught:
            client.ask("GET", "limits")
        assert (caught.value.code, caught.value.vendor) == ("HW-205", f"INVALID_SESSION_ID: {words}")
    assert somewhere.logins == 1
    assert len(somewhere.calls("GET", "limits")) == 1


def test_a_session_that_ended_within_a_batch_is_renewed_for_the_whole_of_it(somewhere: StandIn) -> None:
    client = client_of()
    answers = iter([refused(401, "INVALID_SESSION_ID", "Session expired or invalid")])
    somewhere.on("GET limits", lambda _: next(answers, json_reply({"ok": True})))
    parts = client.batch([f"{client.path}/limits"] * 2)
    assert [part.status for part in parts] == [200, 200]
    assert somewhere.logins == 2


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        ({"error": "invalid_grant", "error_description": "invalid assertion"}, "openssl req"),
        ({"error": "invalid_grant", "error_description": "ip restricted"}, "login IP ranges"),
        ({"error": "invalid_grant", "error_description": "inactive user"}, "Activate the integration user"),
        ({"error": "invalid_grant", "error_description": "authentication failure"}, "SALESFORCE_USERNAME"),
        ({"error": "invalid_grant", "error_description": "request not supported on this domain"}, "My Domain"),
        ({"error": "invalid_grant", "error_description": "expired access/refresh token"}, "SALESFORCE_REFRESH_TOKEN"),
        ({"error": "invalid_app_access"}, "permission set"),
        ({"error": "something new"}, "login history"),
    ],
)
def test_a_refused_login_says_which_of_its_reasons_it_was(
    somewhere: StandIn, answer: dict[str, str], cure: str
) -> None:
    somewhere.login = lambda _: json_reply(answer, 400)
    with pytest.raises(Fatal) as caught:
        client_of().ask("GET", "limits")
    assert caught.value.code == "HW-204"
    assert any(cure in action for action in caught.value.actions)


def test_an_address_that_knows_no_login_is_named_as_the_wrong_host(somewhere: StandIn) -> None:
    somewhere.login = lambda _: (404, {"Content-Type": "text/html"}, "<html>not here</html>")
    with pytest.raises(Fatal) as caught:
        client_of().ask("GET", "limits")
    assert caught.value.code == "HW-201"
    assert "Setup > My Domain" in caught.value.actions[0]


def test_a_refresh_token_opens_a_session(org: PracticeOrg) -> None:
    form = {
        "grant_type": "password",
        "username": "integration@practice.test",
        "password": "any",
        "client_id": "headwater",
        "client_secret": "practice-secret",
    }
    token = org._session.post(f"{org.url}/services/oauth2/token", data=form).json()["refresh_token"]
    credentials = Credentials(org.https_url, "headwater", client_secret="practice-secret", refresh_token=token)
    assert credentials.flow == "refresh_token"
    client = SalesforceClient(credentials, options=HttpOptions(ca_file=org.ca_file))
    assert client.user_id()
    assert "refresh" not in repr(credentials).replace("refresh_token", "") + repr(client._keeper.current())
    assert token not in repr(credentials)


@pytest.fixture
def vault(database_url: str) -> Iterator[SealedVault]:
    engine = connect(database_url, pool_size=4)
    yield SealedVault(engine, SEAL)
    engine.dispose()


def rotating(spent: list[str]) -> Callable[[Any], Any]:
    """
    A login that takes each refresh token once: R0, then R1 ...
    """
    guard = threading.Lock()

    def log_in(form: Any) -> Any:
        with guard:
            if form["refresh_token"] != f"R{len(spent)}":
                return json_reply({"error": "invalid_grant", "error_description": "expired access/refresh token"}, 400)
            spent.append(form["refresh_token"])
            number = len(spent)
        body = {"access_token": f"T{number}", "instance_url": HOST, "refresh_token": f"R{number}"}
        return json_reply(body)

    return log_in


def test_a_refresh_token_that_replaced_another_is_kept_before_it_is_used(
    somewhere: StandIn, vault: SealedVault, database_url: str
) -> None:
    spent: list[str] = []
    somewhere.login = rotating(spent)
    credentials = Credentials(HOST, "headwater", refresh_token="R0")
    for _ in range(3):  # three processes, one after another, all of them set up with the first token
        client_of(credentials=credentials, vault=vault).ask("GET", "limits")
    assert spent == ["R0", "R1", "R2"]
    engine = connect(database_url, pool_size=1)
    with engine.connect() as connection:
        (sealed,) = connection.exec_driver_sql("SELECT sealed FROM secret").scalars()
    engine.dispose()
    assert OLD.decrypt(sealed.encode()) == b"R3"


def test_processes_that_log_in_at_once_use_each_refresh_token_once(somewhere: StandIn, vault: SealedVault) -> None:
    spent: list[str] = []
    somewhere.login = rotating(spent)
    credentials = Credentials(HOST, "headwater", refresh_token="R0")
    all_at_once([client_of(credentials=credentials, vault=vault) for _ in range(4)])
    assert spent == ["R0", "R1", "R2", "R3"]


def test_a_refresh_token_sealed_with_a_key_that_is_gone_says_how_to_get_it_back(
    somewhere: StandIn, vault: SealedVault
) -> None:
    somewhere.login = rotating([])
    credentials = Credentials(HOST, "headwater", refresh_token="R0")
    client_of(credentials=credentials, vault=vault).ask("GET", "limits")
    other = SealedVault(vault._engine, MultiFernet([NEW]))
    with pytest.raises(Fatal) as caught:
        client_of(credentials=credentials, vault=other).ask("GET", "limits")
    assert caught.value.code == "HW-233"
    assert "HEADWATER_TOKEN_KEY=NEW,OLD" in caught.value.actions[0]
    both = SealedVault(vault._engine, MultiFernet([NEW, OLD]))
    client_of(credentials=credentials, vault=both).ask("GET", "limits")


def test_refused_logins_are_given_a_rest_too(somewhere: StandIn) -> None:
    asked = []

    def refuse(form: Any) -> Any:
        asked.append(form)
        return json_reply({"error": "invalid_grant", "error_description": "inactive user"}, 400)

    somewhere.login = refuse
    client = client_of()
    for _ in range(6):
        with pytest.raises(Fatal) as caught:
            client.ask("GET", "limits")
        assert caught.value.code == "HW-204"
    assert len(asked) == 3
    assert "asked again at" in caught.value.message
    assert any("Activate the integration user" in action for action in caught.value.actions)


def test_no_token_and_no_assertion_is_ever_logged(
    org: PracticeOrg, process: Process, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    before = mark(org)
    client = process()
    client.ask("GET", "limits")
    org.control("POST", "salesforce/expire_sessions")
    client.ask("GET", "limits")
    process(shelf=RedisShelf("redis://127.0.0.1:1/0", SEAL)).ask("GET", "limits")
    told = caplog.text + "".join(capfd.readouterr())
    entries = org.journal("salesforce", before)
    tokens = {entry["headers"].get("authorization", "").removeprefix("Bearer ") for entry in entries} - {""}
    assertions = {entry["body"].partition("assertion=")[2] for entry in entries if entry["kind"] == "token"} - {""}
    assert len(tokens) >= 2
    assert assertions
    assert not any(secret in told for secret in tokens | assertions)
