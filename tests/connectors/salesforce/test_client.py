"""
Logging in and calling: what goes over the wire, and what is never done.
"""

import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.connectors.salesforce.stand_in import HOST, ORG_ID, StandIn, client_of, json_reply, refused, stand_in
from worker.connectors.base import Usage
from worker.connectors.http import Ambiguous, Passing
from worker.connectors.salesforce.client import Credentials
from worker.connectors.salesforce.hosts import suffixes_of
from worker.core.errors import Fatal, Retriable


@pytest.fixture
def org() -> Iterator[StandIn]:
    with stand_in() as standing:
        standing.on("GET limits", json_reply({"DailyApiRequests": {"Max": 15000, "Remaining": 1.50}}))
        yield standing


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey) -> str:
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, none).decode()


def by_key(key: rsa.RSAPrivateKey, **changes: Any) -> Credentials:
    return Credentials(HOST, "headwater", username="integration@practice.test", private_key=pem(key), **changes)


def test_a_signed_assertion_names_app_user_and_audience(org: StandIn, key: rsa.RSAPrivateKey) -> None:
    client_of(credentials=by_key(key)).ask("GET", "limits")
    form = dict(pair.split("=") for pair in str(org.seen[0].body).split("&"))
    claims = jwt.decode(
        form["assertion"], key.public_key(), algorithms=["RS256"], audience="https://login.salesforce.com"
    )
    assert (claims["iss"], claims["sub"]) == ("headwater", "integration@practice.test")
    assert 0 < claims["exp"] - time.time() <= 300


def test_a_sandbox_is_another_audience(org: StandIn, key: rsa.RSAPrivateKey) -> None:
    org.instance_url = "https://acme--uat.sandbox.my.salesforce.com"
    sandbox = Credentials(org.instance_url, "headwater", username="u@acme.com.uat", private_key=pem(key))
    client_of(credentials=sandbox).ask("GET", "limits")
    form = dict(pair.split("=") for pair in str(org.seen[0].body).split("&"))
    assert jwt.decode(form["assertion"], options={"verify_signature": False})["aud"] == "https://test.salesforce.com"


def test_a_cloud_of_its_own_is_its_own_audience(org: StandIn, key: rsa.RSAPrivateKey) -> None:
    org.instance_url = "https://army.my.salesforce.mil"
    there = Credentials(org.instance_url, "headwater", username="u@army.mil", private_key=pem(key))
    client_of(credentials=there, host_suffixes=suffixes_of(org.instance_url)).ask("GET", "limits")
    form = dict(pair.split("=") for pair in str(org.seen[0].body).split("&"))
    claims = jwt.decode(form["assertion"], options={"verify_signature": False})
    assert claims["aud"] == "https://army.my.salesforce.mil"


def test_an_assertion_refused_for_our_wrong_clock_is_signed_again_by_theirs(
    org: StandIn, key: rsa.RSAPrivateKey
) -> None:
    expiries = []

    def log_in(form: Any) -> Any:
        expiries.append(jwt.decode(form["assertion"], options={"verify_signature": False})["exp"])
        ahead = formatdate(time.time() + 7200, usegmt=True)
        if len(expiries) == 1:
            refusal = {"error": "invalid_grant", "error_description": "expired authorization code"}
            return json_reply(refusal, 400, {"Date": ahead})
        body = {"access_token": "T", "instance_url": HOST, "id": f"{HOST}/id/{ORG_ID}/005000000000001AAA"}
        return json_reply(body, headers={"Date": ahead})

    org.login = log_in
    client_of(credentials=by_key(key)).ask("GET", "limits")
    assert 7190 < expiries[1] - expiries[0] < 7210


def test_a_refused_login_says_what_to_do(org: StandIn, key: rsa.RSAPrivateKey) -> None:
    org.login = lambda _: json_reply(
        {"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}, 400
    )
    with pytest.raises(Fatal) as caught:
        client_of(credentials=by_key(key)).ask("GET", "limits")
    assert caught.value.code == "HW-204"
    assert "pre-authorize" in caught.value.actions[0]
    assert len(org.seen) == 1


def test_a_login_without_a_word_of_explanation_is_still_a_refusal(org: StandIn) -> None:
    org.login = lambda _: json_reply({"error": "invalid_client"}, 400)
    with pytest.raises(Fatal) as caught:
        client_of().ask("GET", "limits")
    assert (caught.value.code, caught.value.vendor) == ("HW-204", "invalid_client:")


def test_a_private_key_that_is_none_is_not_quoted(org: StandIn) -> None:
    credentials = Credentials(HOST, "headwater", username="u", private_key="-----BEGIN SECRET WORDS-----")
    with pytest.raises(Fatal) as caught:
        client_of(credentials=credentials).ask("GET", "limits")
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_secrets_stay_out_of_repr() -> None:
    credentials = Credentials(HOST, "headwater", private_key="the key", client_secret="the secret")
    assert "the key" not in repr(credentials)
    assert "the secret" not in repr(credentials)


@pytest.mark.parametrize(
    "instance", ["https://evil.example", "http://127.0.0.1:8380", "https://acme.my.salesforce.com.evil.example"]
)
def test_a_login_answer_that_leads_elsewhere_is_refused_before_the_token_is_sent(org: StandIn, instance: str) -> None:
    org.instance_url = instance
    with pytest.raises(Fatal) as caught:
        client_of().ask("GET", "limits")
    assert caught.value.code == "HW-201"
    assert len(org.seen) == 1


def test_every_call_says_who_we_are_and_keeps_assignment_rules_off(org: StandIn) -> None:
    client_of().ask("GET", "limits")
    headers = org.seen[-1].headers
    assert headers["Sforce-Auto-Assign"] == "FALSE"
    assert headers["Sforce-Duplicate-Rule-Header"] == "allowSave=true"
    assert headers["Sforce-Call-Options"] == "client=headwater"
    assert "X-PrettyPrint" not in headers


def test_an_expired_session_is_renewed_once_and_the_headers_stay(org: StandIn) -> None:
    client = client_of()
    org.refused_tokens = {"T1"}
    org.on("PATCH composite/sobjects", json_reply([]))
    client.tell("PATCH", "composite/sobjects", {"allOrNone": False, "records": []})
    writes = org.calls("PATCH", "composite/sobjects")
    assert [str(each.headers["Authorization"]) for each in writes] == ["Bearer T1", "Bearer T2"]
    assert all(each.headers["Sforce-Auto-Assign"] == "FALSE" for each in writes)
    assert org.logins == 2


def test_a_session_refused_for_good_does_not_storm_the_login(org: StandIn) -> None:
    client = client_of()
    org.refused_tokens = {f"T{number}" for number in range(100)}
    for _ in range(10):
        with pytest.raises(Fatal) as caught:
            client.ask("GET", "limits")
        assert caught.value.code == "HW-205"
    assert org.logins <= 4


def test_usage_and_numbers_are_read_exactly(org: StandIn) -> None:
    org.on(
        "GET limits",
        json_reply(
            {"share": 0.1}, headers={"Sforce-Limit-Info": "api-usage=18/5000; per-app-api-usage=17/250(appName=x)"}
        ),
    )
    client = client_of()
    assert str(client.ask("GET", "limits")["share"]) == "0.1"
    assert client.usage() == Usage(18, 5000)


def test_a_burst_of_503_is_waited_out(org: StandIn) -> None:
    answers = iter(
        [refused(503, "SERVER_UNAVAILABLE"), (502, {}, "<html>bad gateway</html>"), json_reply({"ok": True})]
    )
    org.on("GET limits", lambda _: next(answers))
    assert client_of().ask("GET", "limits") == {"ok": True}


def test_a_page_of_html_with_status_200_is_no_answer(org: StandIn) -> None:
    org.on("GET limits", (200, {"Content-Type": "text/html"}, "<html>maintenance</html>"))
    with pytest.raises(Passing) as caught:
        client_of().ask("GET", "limits")
    assert caught.value.code == "HW-203"
    assert len(org.calls("GET", "limits")) == 3


def test_a_write_is_never_repeated(org: StandIn) -> None:
    org.on("PATCH composite/sobjects", (500, {}, "<html>"))
    with pytest.raises(Ambiguous):
        client_of().tell("PATCH", "composite/sobjects", {})
    assert len(org.calls("PATCH", "composite/sobjects")) == 1


def test_a_used_up_day_is_not_hammered_at(org: StandIn) -> None:
    org.on("GET limits", refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."))
    with pytest.raises(Retriable) as caught:
        client_of().ask("GET", "limits")
    assert caught.value.code == "HW-206"
    assert len(org.calls("GET", "limits")) == 1


def test_a_redirect_of_the_api_is_not_followed(org: StandIn) -> None:
    org.on("GET limits", (302, {"Location": "https://evil.example/"}, ""))
    with pytest.raises(Fatal) as caught:
        client_of().ask("GET", "limits")
    assert caught.value.code == "HW-201"
    assert all("evil" not in str(each.url) for each in org.seen)


def test_thirty_reads_are_two_calls(org: StandIn) -> None:
    client = client_of()
    parts = client.batch([f"{client.path}/limits"] * 30)
    assert len(parts) == 30
    assert [len(part) for part in org.parts()] == [25, 5]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/services/data/v64.0/query/01g-2000",
        "//evil.example/services/data/v64.0/query/01g-2000",
        "@evil.example/services/data/v64.0/query/01g-2000",
        "/services/data/v64.0/sobjects/User",
        "/services/data/v64.0/query/../sobjects/User",
        "/services/data/v64.0/query/01g-2000?q=SELECT",
        "",
    ],
)
def test_a_next_page_elsewhere_is_not_fetched(org: StandIn, address: str) -> None:
    with pytest.raises(Fatal) as caught:
        client_of().more(address)
    assert caught.value.code == "HW-201"
    assert org.seen == []
