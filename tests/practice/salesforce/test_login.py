"""
Logging in: the token flows, their refusals, and how sessions end.
"""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _token(org: PracticeOrg, form: dict[str, str], **headers: str) -> requests.Response:
    return requests.post(f"{org.url}/services/oauth2/token", data=form, headers=headers, timeout=30)


def _assertion(org: PracticeOrg, key: str | None = None, **changes: Any) -> dict[str, str]:
    claims = {
        "iss": "headwater",
        "sub": "integration@practice.test",
        "aud": "https://login.salesforce.com",
        "exp": int(time.time()) + 180,
        **changes,
    }
    signed = jwt.encode(claims, key or Path(org.private_key_file).read_text(), algorithm="RS256")
    return {"grant_type": BEARER, "assertion": signed}


def test_client_credentials_in_body_or_basic_open_a_session(org: PracticeOrg) -> None:
    form = {"grant_type": "client_credentials"}
    basic = base64.b64encode(b"headwater:practice-secret").decode()
    for answer in (
        _token(org, {**form, "client_id": "headwater", "client_secret": "practice-secret"}),
        _token(org, form, Authorization=f"Basic {basic}"),
    ):
        body = answer.json()
        assert answer.status_code == 200
        assert body.keys() == {
            "access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at",
        }  # fmt: skip
        assert body["instance_url"] == org.url
        assert body["issued_at"].isdigit()
        assert len(body["issued_at"]) == 13
        header = {"Authorization": f"Bearer {body['access_token']}"}
        assert requests.get(f"{org.url}/services/data/v60.0/limits", headers=header, timeout=30).status_code == 200


@pytest.mark.parametrize("changes", [{}, {"aud": "https://test.salesforce.com"}])
def test_a_signed_assertion_opens_a_session(org: PracticeOrg, changes: dict[str, Any]) -> None:
    assert _token(org, _assertion(org, **changes)).status_code == 200
    assert _token(org, _assertion(org, aud=org.url)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"iss": "somebody"}, "invalid_client_id", "client identifier invalid"),
        ({"sub": "stranger@practice.test"}, "invalid_grant", "user hasn't approved this consumer"),
        ({"aud": "https://example.test"}, "invalid_grant", "audience is invalid"),
        ({"exp": int(time.time()) - 60}, "invalid_grant", "expired authorization code"),
        ({"exp": int(time.time()) + 3600}, "invalid_grant", "expired authorization code"),
    ],
)
def test_a_wrong_claim_is_refused_by_name(
    org: PracticeOrg, changes: dict[str, Any], error: str, description: str
) -> None:
    answer = _token(org, _assertion(org, **changes))
    assert (answer.status_code, answer.json()) == (400, {"error": error, "error_description": description})


def test_a_foreign_key_opens_nothing(org: PracticeOrg) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    answer = _token(org, _assertion(org, key.decode()))
    assert answer.json() == {"error": "invalid_grant", "error_description": "invalid assertion"}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}, "invalid_client_id"),
        ({"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "y"}, "invalid_client"),
        ({"grant_type": "device"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "client_id": "headwater", "refresh_token": "z"}, "invalid_grant"),
    ],
)
def test_other_refusals(org: PracticeOrg, form: dict[str, str], error: str) -> None:
    answer = _token(org, form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_login_host_refuses_client_credentials(org: PracticeOrg) -> None:
    form = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}
    answer = _token(org, form, Host="login.salesforce.com")
    assert answer.json() == {"error": "invalid_grant", "error_description": "request not supported on this domain"}


def test_a_session_ends_by_the_clock_and_on_command(org: PracticeOrg, client: Client) -> None:
    expired = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert client.call("GET", "limits").status_code == 200
    org.advance(7201)
    answer = client.call("GET", "limits")
    assert (answer.status_code, answer.json()) == (401, expired)
    fresh = Client(org)
    assert fresh.call("GET", "limits").status_code == 200
    org.control("POST", "salesforce/expire_sessions")
    assert fresh.call("GET", "limits").json() == expired


def test_a_user_switched_off_cannot_log_in(org: PracticeOrg) -> None:
    admin = Client(org)
    user = admin.values("SELECT Id FROM User WHERE Username = 'integration@practice.test'")[0]
    org.control("POST", "salesforce/update", {"object": "User", "records": [{"Id": user, "IsActive": False}]})
    assert _token(org, _assertion(org)).status_code == 400


# -- refresh, introspection, identity


def _by_password(org: PracticeOrg, **changes: str) -> dict[str, Any]:
    form = {"grant_type": "password", "client_id": "headwater", "client_secret": "practice-secret"}
    answer = _token(org, {**form, "username": "admin@practice.test", "password": "any", **changes})
    body: dict[str, Any] = answer.json()
    return body


def _refresh(org: PracticeOrg, token: str) -> dict[str, Any]:
    body: dict[str, Any] = _token(
        org, {"grant_type": "refresh_token", "client_id": "headwater", "refresh_token": token}
    ).json()
    return body


def test_a_refresh_token_is_kept_unless_the_org_rotates_them(org: PracticeOrg) -> None:
    first = _by_password(org)["refresh_token"]
    assert "refresh_token" not in _refresh(org, first)
    org.control("POST", "salesforce/settings", {"rotate_refresh_tokens": True})
    second = _refresh(org, first)["refresh_token"]
    assert second != first
    assert _refresh(org, first) == {"error": "invalid_grant", "error_description": "expired access/refresh token"}
    assert "access_token" in _refresh(org, second)


def test_a_token_is_introspected_until_it_is_revoked(org: PracticeOrg) -> None:
    tokens = _by_password(org)
    form = {"client_id": "headwater", "client_secret": "practice-secret"}

    def ask(token: str, **changes: str) -> requests.Response:
        url = f"{org.url}/services/oauth2/introspect"
        return requests.post(url, data={**form, "token": token, **changes}, timeout=30)

    told = ask(tokens["access_token"]).json()
    assert (told["active"], told["username"], told["token_type"]) == (True, "admin@practice.test", "access_token")
    assert told["exp"] - told["iat"] == 7200
    assert ask(tokens["refresh_token"]).json()["token_type"] == "refresh_token"
    assert ask("nonsense").json() == {"active": False}
    assert ask(tokens["access_token"], client_secret="no").status_code == 401
    revoked = requests.post(f"{org.url}/services/oauth2/revoke", data={"token": tokens["access_token"]}, timeout=30)
    assert revoked.status_code == 200
    assert ask(tokens["access_token"]).json() == {"active": False}
    assert _refresh(org, tokens["refresh_token"])["token_type"] == "Bearer"
    unknown = requests.post(f"{org.url}/services/oauth2/revoke", data={"token": "nonsense"}, timeout=30)
    assert (unknown.status_code, unknown.json()["error"]) == (400, "unsupported_token_type")


def test_a_refresh_token_takes_its_sessions_along_when_it_is_revoked(org: PracticeOrg) -> None:
    tokens = _by_password(org)
    requests.post(f"{org.url}/services/oauth2/revoke", data={"token": tokens["refresh_token"]}, timeout=30)
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert requests.get(f"{org.url}/services/data/v60.0/limits", headers=header, timeout=30).status_code == 401


def test_userinfo_and_identity_tell_who_it_is(org: PracticeOrg, client: Client) -> None:
    info = client.call("GET", "/services/oauth2/userinfo").json()
    assert (info["preferred_username"], info["user_type"]) == ("integration@practice.test", "STANDARD")
    identity = requests.get(info["sub"], headers=dict(client.session.headers), params={"format": "json"}, timeout=30)
    body = identity.json()
    assert (body["username"], body["asserted_user"]) == ("integration@practice.test", True)
    assert body["urls"]["rest"] == f"{org.url}/services/data/v{{version}}/"
    assert client.call("GET", "").json()["identity"] == info["sub"]
    bad = requests.get(info["sub"], headers={"Authorization": "Bearer no"}, timeout=30)
    assert (bad.status_code, bad.text) == (403, "Bad_OAuth_Token")


# -- switches


def test_password_logins_can_be_switched_off(org: PracticeOrg) -> None:
    assert "access_token" in _by_password(org)
    org.control("POST", "salesforce/settings", {"password_login": False})
    assert _by_password(org) == {"error": "invalid_grant", "error_description": "authentication failure"}


def test_a_session_can_be_no_session_for_rest(org: PracticeOrg, client: Client) -> None:
    org.control("POST", "salesforce/settings", {"rest_sessions": False})
    refused = [{"message": "This session is not valid for use with the REST API", "errorCode": "INVALID_SESSION_ID"}]
    for each in (client, Client(org)):
        answer = each.call("GET", "limits")
        assert (answer.status_code, answer.json()) == (401, refused)


def test_parallel_logins_share_a_token_where_orgs_do_and_one_logout_ends_both(org: PracticeOrg) -> None:
    org.control("POST", "salesforce/settings", {"share_sessions": True})
    one, other = Client(org), Client(org)
    assert one.session.headers["Authorization"] == other.session.headers["Authorization"]
    token = str(one.session.headers["Authorization"]).removeprefix("Bearer ")
    requests.post(f"{org.url}/services/oauth2/revoke", data={"token": token}, timeout=30)
    assert other.call("GET", "limits").status_code == 401


# -- limits


def test_an_org_tells_what_its_connected_app_used_where_it_counts_that(org: PracticeOrg, client: Client) -> None:
    org.control("POST", "salesforce/limits", {"used": 4, "allowed": 100})
    assert client.call("GET", "sobjects").headers["Sforce-Limit-Info"] == "api-usage=5/100"
    org.control("POST", "salesforce/settings", {"app_requests": 50})
    told = client.call("GET", "sobjects").headers["Sforce-Limit-Info"]
    assert told == "api-usage=6/100; per-app-api-usage=6/50(appName=headwater)"


def test_too_many_long_requests_at_once_are_refused_and_short_ones_are_not(org: PracticeOrg, client: Client) -> None:
    org.control("POST", "salesforce/settings", {"concurrent_requests": 1, "long_request_seconds": 0.05})
    assert client.call("GET", "limits").status_code == 200
    org.fault({"gate": "slow"}, system="salesforce", path_contains="sobjects", times=1)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(client.call, "GET", "sobjects")
        org.wait_for_gate("slow")
        deadline = time.monotonic() + 20
        other = Client(org)
        while (answer := other.call("GET", "limits")).status_code == 200:
            assert time.monotonic() < deadline
        words = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
        assert (answer.status_code, answer.json()) == (
            403, [{"message": words, "errorCode": "REQUEST_LIMIT_EXCEEDED"}],
        )  # fmt: skip
        org.open_gate("slow")
        assert slow.result(30).status_code == 200
    assert other.call("GET", "limits").status_code == 200
