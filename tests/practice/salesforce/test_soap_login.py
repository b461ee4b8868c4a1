"""
Logging in by SOAP: the envelopes old clients send and what they look for in the answers.
"""

import re
from xml.etree import ElementTree as ET

import pytest
import requests

from tests.practice.salesforce.conftest import Client
from tests.practice_org import PracticeOrg

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
PARTNER = "urn:partner.soap.sforce.com"
USERNAME = "integration@practice.test"
LOGIN = f'<login xmlns="{PARTNER}"><username>{USERNAME}</username><password>practice-password</password></login>'


def _call(org: PracticeOrg, body: str, *, path: str = "u/60.0", session: str = "", **headers: str) -> requests.Response:
    head = f'<SessionHeader xmlns="{PARTNER}"><sessionId>{session}</sessionId></SessionHeader>' if session else ""
    envelope = f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Header>{head}</e:Header><e:Body>{body}</e:Body></e:Envelope>'
    headers = {"Content-Type": "text/xml", "SOAPAction": '""', **headers}
    return requests.post(f"{org.url}/services/Soap/{path}", data=envelope, headers=headers, timeout=30)


def _value(answer: requests.Response, name: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", answer.text)
    assert found is not None, answer.text
    return found[1]


def _login(org: PracticeOrg) -> str:
    return _value(_call(org, LOGIN), "sessionId")


def test_a_login_opens_a_session_of_the_whole_api(org: PracticeOrg, client: Client) -> None:
    answer = _call(org, LOGIN)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert _value(answer, "userId") == client.values(f"SELECT Id FROM User WHERE Username = '{USERNAME}'")[0]
    assert _value(answer, "organizationId") == client.values("SELECT Id FROM Organization")[0]
    assert _value(answer, "serverUrl").startswith(f"{org.url}/services/Soap/u/60.0/00D")
    assert _value(answer, "metadataServerUrl").startswith(f"{org.url}/services/Soap/m/60.0/00D")
    assert (_value(answer, "passwordExpired"), _value(answer, "sessionSecondsValid")) == ("false", "7200")
    bearer = {"Authorization": f"Bearer {_value(answer, 'sessionId')}"}
    assert requests.get(f"{org.url}/services/data/v60.0/limits", headers=bearer, timeout=30).status_code == 200


def test_a_login_at_a_shared_host_goes_on_at_the_orgs_own(org: PracticeOrg) -> None:
    answer = _call(org, LOGIN, Host="login.salesforce.com")
    assert _value(answer, "serverUrl").startswith("https://practice.my.salesforce.com/services/Soap/u/60.0/")


@pytest.mark.parametrize("changes", [(USERNAME, "stranger@practice.test"), ("practice-password", "")])
def test_a_refused_login_is_a_fault_in_salesforces_words(org: PracticeOrg, changes: tuple[str, str]) -> None:
    answer = _call(org, LOGIN.replace(*changes))
    words = "Invalid username, password, security token; or user locked out."
    assert answer.status_code == 500
    assert _value(answer, "faultcode") == "INVALID_LOGIN"
    assert _value(answer, "faultstring") == f"INVALID_LOGIN: {words}"
    assert (_value(answer, "sf:exceptionCode"), _value(answer, "sf:exceptionMessage")) == ("INVALID_LOGIN", words)
    tree = ET.fromstring(answer.content)  # noqa: S314 - the practice org wrote it
    assert tree.find(".//{urn:fault.partner.soap.sforce.com}LoginFault") is not None


@pytest.mark.parametrize(
    ("version", "code", "words"),
    [
        ("u/30.0", "UNSUPPORTED_API_VERSION", "Invalid Api version"),
        ("u/x", "UNSUPPORTED_API_VERSION", "Invalid Api version"),
        ("u/65.0", "INVALID_OPERATION", "not available in the API version specified (65.0)"),
    ],
)
def test_versions_without_a_login_say_so(org: PracticeOrg, version: str, code: str, words: str) -> None:
    answer = _call(org, LOGIN, path=version)
    assert (answer.status_code, _value(answer, "sf:exceptionCode")) == (500, code)
    assert words in _value(answer, "sf:exceptionMessage")


def test_an_org_may_have_the_login_switched_off(org: PracticeOrg) -> None:
    org.control("POST", "salesforce/settings", {"soap_login": False})
    try:
        answer = _call(org, LOGIN)
    finally:
        org.control("POST", "salesforce/settings", {"soap_login": True})
    assert _value(answer, "faultstring").startswith("INVALID_OPERATION: SOAP API login() is disabled by default")


def test_the_enterprise_api_logs_in_too(org: PracticeOrg) -> None:
    body = LOGIN.replace(PARTNER, "urn:enterprise.soap.sforce.com")
    assert "/services/Soap/c/60.0/" in _value(_call(org, body, path="c/60.0/00D000000000001"), "serverUrl")


def test_a_session_tells_who_and_when_and_ends_at_logout(org: PracticeOrg) -> None:
    session = _login(org)
    assert _value(_call(org, f'<getUserInfo xmlns="{PARTNER}"/>', session=session), "userName") == USERNAME
    stamp = _call(org, f'<getServerTimestamp xmlns="{PARTNER}"/>', session=session)
    assert _value(stamp, "timestamp").startswith("2026-11-18T09:30:")
    assert "<logoutResponse/>" in _call(org, f'<logout xmlns="{PARTNER}"/>', session=session).text
    after = _call(org, f'<getUserInfo xmlns="{PARTNER}"/>', session=session)
    assert (after.status_code, _value(after, "faultcode")) == (500, "sf:INVALID_SESSION_ID")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not xml", "the request is no XML"),
        ("<a/>", "the request is no SOAP envelope"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "the request is no SOAP envelope"),
        (f'<e:Envelope xmlns:e="{ENVELOPE}"><e:Body/></e:Envelope>', "the SOAP body is empty"),
    ],
)
def test_what_is_no_envelope_is_a_fault(org: PracticeOrg, content: str, words: str) -> None:
    answer = requests.post(f"{org.url}/services/Soap/u/60.0", data=content, timeout=30)
    assert (answer.status_code, _value(answer, "sf:exceptionCode")) == (500, "UNKNOWN_EXCEPTION")
    assert words in _value(answer, "faultstring")


def test_other_calls_are_refused_by_name(org: PracticeOrg) -> None:
    answer = _call(org, f'<merge xmlns="{PARTNER}"/>', session=_login(org))
    assert (answer.status_code, "request merge" in _value(answer, "faultstring")) == (500, True)
