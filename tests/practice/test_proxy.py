"""
The CONNECT port: the way in for clients that insist on Salesforce's host names, and a way to nowhere else.
"""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.practice_org import PracticeOrg

LOGIN = {"grant_type": "client_credentials", "client_id": "headwater", "client_secret": "practice-secret"}


@pytest.fixture(scope="module")
def org() -> Iterator[PracticeOrg]:
    with PracticeOrg() as running:
        yield running


@pytest.fixture
def session(org: PracticeOrg) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.verify = org.ca_file
        made.proxies = {"https": org.proxy_url}
        yield made


def _say(org: PracticeOrg, head: bytes) -> bytes:
    address = urlsplit(org.proxy_url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        line.sendall(head)
        return line.recv(4096)


@pytest.mark.parametrize("host", ["acme.my.salesforce.com", "acme--dev.sandbox.my.salesforce.com", "localhost"])
def test_every_host_of_the_certificate_leads_to_the_org(session: requests.Session, host: str) -> None:
    answer = session.post(f"https://{host}/services/oauth2/token", data=LOGIN, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["instance_url"] == f"https://{host}"


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ("login.salesforce.com", "https://practice.my.salesforce.com"),
        ("test.salesforce.com", "https://practice--test.sandbox.my.salesforce.com"),
    ],
)
def test_a_login_at_a_shared_host_goes_on_at_the_orgs_own(session: requests.Session, shared: str, own: str) -> None:
    form = {**LOGIN, "grant_type": "password", "username": "integration@practice.test", "password": "practice-password"}
    token = session.post(f"https://{shared}/services/oauth2/token", data=form, timeout=30).json()
    assert token["instance_url"] == own
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert session.get(f"{own}/services/data/v60.0/limits", headers=bearer, timeout=30).status_code == 200


@pytest.mark.parametrize("host", ["www.example.com", "salesforce.com.example.com", "127.0.0.2", "10.0.0.1"])
def test_no_other_host_is_reached(org: PracticeOrg, host: str) -> None:
    answer = _say(org, f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 The practice proxy reaches only the practice server\r\n")


@pytest.mark.parametrize("head", [b"GET http://localhost/ HTTP/1.1\r\n\r\n", b"CONNECT localhost HTTP/1.1\r\n\r\n"])
def test_what_is_no_connect_is_refused(org: PracticeOrg, head: bytes) -> None:
    assert _say(org, head).startswith(b"HTTP/1.1 405 ")


def test_a_head_without_an_end_is_hung_up_on(org: PracticeOrg) -> None:
    assert _say(org, b"CONNECT localhost:443 HTTP/1.1\r\nX: " + b"x" * 40_000) == b""


def test_the_http_port_is_reached_by_its_number(org: PracticeOrg) -> None:
    port = urlsplit(org.url).port
    address = urlsplit(org.proxy_url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        line.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 200 ")
        line.sendall(b"GET /services/data HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_reset_connection_ends_the_tunnel_and_the_next_one_stands(
    org: PracticeOrg, session: requests.Session
) -> None:
    org.fault({"reset": "after"}, path_contains="/services/data", times=1)
    with pytest.raises(requests.ConnectionError):
        session.get("https://acme.my.salesforce.com/services/data", timeout=30)
    assert session.get("https://acme.my.salesforce.com/services/data", timeout=30).status_code == 200


def test_a_large_answer_comes_through_whole(org: PracticeOrg, session: requests.Session) -> None:
    org.create("Account", [{"Name": f"A{n}", "Description": "x" * 2000} for n in range(1500)])
    token = session.post("https://acme.my.salesforce.com/services/oauth2/token", data=LOGIN, timeout=30).json()
    answer = session.get(
        f"{token['instance_url']}/services/data/v60.0/query?q=SELECT+Name,Description+FROM+Account",
        headers={"Authorization": f"Bearer {token['access_token']}", "Accept-Encoding": "identity"},
        timeout=60,
    )
    assert len(answer.json()["records"]) == 1500
    assert len(answer.content) > 3_000_000
