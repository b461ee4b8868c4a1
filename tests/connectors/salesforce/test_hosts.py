"""
The table of addresses: what is Salesforce, and what only looks like it.
"""

import pytest

from worker.connectors.salesforce.client import Credentials, SalesforceClient
from worker.connectors.salesforce.hosts import HostRule, checked_address, suffixes_of
from worker.core.errors import Fatal

GOOD = [
    ("https://acme.my.salesforce.com", "acme.my.salesforce.com"),
    ("https://acme.my.salesforce.com/", "acme.my.salesforce.com"),
    ("https://ACME.my.salesforce.com", "acme.my.salesforce.com"),
    ("https://acme.my.salesforce.com:443", "acme.my.salesforce.com"),
    ("https://acme--uat.sandbox.my.salesforce.com", "acme--uat.sandbox.my.salesforce.com"),
    ("https://acme-dev-ed.develop.my.salesforce.com", "acme-dev-ed.develop.my.salesforce.com"),
    ("https://login.salesforce.com", "login.salesforce.com"),
    ("https://test.salesforce.com", "test.salesforce.com"),
    ("http://127.0.0.1:8380", "127.0.0.1"),
    ("https://localhost:8343", "localhost"),
]

HOSTILE = [
    "",
    "acme.my.salesforce.com",
    "http://acme.my.salesforce.com",
    "ftp://acme.my.salesforce.com",
    "file:///etc/passwd",
    "https://",
    "https://evil.example",
    "https://evil.example/#.my.salesforce.com",
    "https://evil.example?.my.salesforce.com",
    "https://evil.example/.my.salesforce.com",
    "https://evil.example\\.my.salesforce.com",
    "https://evil.example\\@acme.my.salesforce.com",
    "https://acme.my.salesforce.com@evil.example",
    "https://acme.my.salesforce.com:443@evil.example",
    "https://user:word@acme.my.salesforce.com",
    "https://acme.my.salesforce.com.evil.example",
    "https://acme-my-salesforce.com",
    "https://evil.example/acme.my.salesforce.com",
    "https://acme.my.salesforce.com/services/oauth2/token",
    "https://acme.my.salesforce.com?next=https://evil.example",
    "https://acme.my.salesforce.com#evil",
    "https://acme.my.salesforce.com:8443",
    "https://acme.evil.my.salesforce.com",
    "https://a.b.sandbox.my.salesforce.com",
    "https://.my.salesforce.com",
    "https://-acme.my.salesforce.com",
    "https://acme_x.my.salesforce.com",
    "https://xn--acm-epa..my.salesforce.com",
    "https://acme.my.salesforce.com.",
    "https://acmé.my.salesforce.com",
    "https://acme.my.salesforce.com\n.evil.example",
    "https://169.254.169.254",
    "http://169.254.169.254/latest/meta-data",
    "https://10.0.0.1",
    "https://127.0.0.1.evil.example",
    "https://2130706433",
    "https://[::1]:8343",
    "https://0x7f.1",
    "http://localhost.evil.example",
    "https://my.salesforce.com",
    "https://salesforce.com",
    "https://na1.salesforce.com",
]


@pytest.mark.parametrize(("url", "host"), GOOD)
def test_a_salesforce_address_is_taken(url: str, host: str) -> None:
    assert checked_address(url).host == host


@pytest.mark.parametrize("url", HOSTILE)
def test_a_credential_is_never_sent_elsewhere(url: str) -> None:
    with pytest.raises(Fatal) as caught:
        checked_address(url)
    assert caught.value.code == "HW-201"


@pytest.mark.parametrize("url", HOSTILE)
def test_no_client_is_built_for_a_hostile_address(url: str) -> None:
    with pytest.raises(Fatal):
        SalesforceClient(Credentials(url, "headwater", client_secret="practice-secret"))


def test_a_configured_cloud_adds_its_own_suffix_and_nothing_more() -> None:
    suffixes = (".my.salesforce.mil",)
    assert checked_address("https://army.my.salesforce.mil", suffixes).host == "army.my.salesforce.mil"
    for url in (
        "https://army.my.salesforce.mil.evil.example",
        "https://evilmy.salesforce.mil",
        "https://a.b.c.my.salesforce.mil",
    ):
        with pytest.raises(Fatal):
            checked_address(url, suffixes)


def test_a_practice_org_may_call_itself_alone() -> None:
    rule = HostRule(checked_address("http://127.0.0.1:8380"))
    assert rule.allows("127.0.0.1", 8380)
    assert not rule.allows("127.0.0.1", 5432)
    assert not rule.allows("localhost", 8380)
    assert not rule.allows("acme.my.salesforce.com", None)


def test_a_real_org_never_reaches_this_machine() -> None:
    rule = HostRule(checked_address("https://acme.my.salesforce.com"))
    assert rule.allows("acme.my.salesforce.com", None)
    assert not rule.allows("127.0.0.1", None)
    assert not rule.allows("localhost", 443)
    assert not rule.allows("acme.my.salesforce.com", 8443)


@pytest.mark.parametrize(
    ("url", "suffixes"),
    [
        ("https://army.my.salesforce.mil", (".my.salesforce.mil",)),
        ("https://acme.my.sfcrmproducts.cn", (".my.sfcrmproducts.cn",)),
        ("https://acme.my.salesforce.com", ()),
        ("https://my.salesforce.mil.evil.example", ()),
        ("http://127.0.0.1:8380", ()),
    ],
)
def test_a_cloud_of_its_own_is_known_by_the_configured_address(url: str, suffixes: tuple[str, ...]) -> None:
    assert suffixes_of(url) == suffixes
