"""
Logging in: the token flows, their refusals, and how sessions end.
"""

import base64
import time
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
