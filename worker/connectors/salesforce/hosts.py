"""
Which hosts are Salesforce: only they are ever sent a credential.

It decides on text alone; the session asks it before each request, the client when it is built and after each login.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from worker.connectors.http import LOOPBACK, Door
from worker.core.errors import Fatal

DOOR: Final = Door("Salesforce", address="HW-201", unreachable="HW-202", garbled="HW-203", certificate="HW-220")

# My Domain addresses as Salesforce documents them (enhanced domains, read 2026-11): production, and one label more for
# each kind of test org.
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_KINDS: Final = "sandbox|develop|scratch|demo|patch|trailblaze|free|trial|pc-rnd|wl-test"
_MY_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.(?:{_KINDS}))?\.my\.salesforce\.com")
LOGIN_HOSTS: Final = frozenset({"login.salesforce.com", "test.salesforce.com"})
# Clouds of their own, whose organisations are never served by the usual hosts, nor the other way round.
_OTHER_CLOUDS: Final = ("my.salesforce.mil", "my.sfcrmproducts.cn")
_SUFFIX: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")


@dataclass(frozen=True)
class Address:
    """
    One checked address: scheme, host in lower case, port as given.
    """

    scheme: str
    host: str
    port: int | None

    @property
    def is_loopback(self) -> bool:
        """
        Whether it is a practice org on this machine.
        """
        return self.host in LOOPBACK

    @property
    def netloc(self) -> str:
        """
        Host and, where one was given, port.
        """
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """
        The address without a slash at its end.
        """
        return f"{self.scheme}://{self.netloc}"


@dataclass(frozen=True)
class HostRule:
    """
    The hosts that may be called, given the address an administrator configured.

    A configured loopback address allows that very host and no other; any other allows My Domain hosts and the login
    hosts, and with ``suffixes`` (".my.salesforce.mil") those of other clouds.
    """

    configured: Address
    suffixes: Sequence[str] = ()

    def allows(self, host: str, port: int | None) -> bool:
        """
        Whether a request may go there.
        """
        if self.configured.is_loopback:
            return host == self.configured.host and port == self.configured.port
        return port in (None, 443) and _is_salesforce(host, self.suffixes)


def suffixes_of(url: str) -> tuple[str, ...]:
    """
    What ``checked_address`` and ``HostRule`` have to admit for an address in a cloud of its own; nothing for others.
    """
    host = (parse_url(url.strip()).host or "").lower()
    return tuple(f".{cloud}" for cloud in _OTHER_CLOUDS if host.endswith(f".{cloud}"))


def checked_address(url: str, suffixes: Sequence[str] = ()) -> Address:
    """
    The address in ``url``, which may have a slash at its end and nothing more.

    Raises Fatal HW-201 for anything that is neither a Salesforce host by https nor loopback.
    """
    if not url.isascii():
        raise _refused("it holds letters that no My Domain has")
    try:
        parts = parse_url(url.strip())
    except LocationParseError as error:
        raise _refused("it cannot be read") from error
    host = (parts.host or "").lower()
    address = Address(parts.scheme or "", host, parts.port)
    if parts.auth is not None or parts.path not in (None, "", "/") or parts.query or parts.fragment:
        raise _refused("it must be scheme and host only")
    if host in LOOPBACK and address.scheme in ("http", "https"):
        return address
    if address.scheme != "https":
        raise _refused("it must begin with https://")
    if parts.port not in (None, 443) or not _is_salesforce(host, suffixes):
        raise _refused(f"{host or 'no host'} is not a My Domain host")
    return Address("https", host, None)


def _is_salesforce(host: str, suffixes: Sequence[str]) -> bool:
    if host in LOGIN_HOSTS or _MY_DOMAIN.fullmatch(host):
        return True
    for suffix in suffixes:
        rest = suffix.lower().lstrip(".")
        if _SUFFIX.fullmatch(rest) and re.fullmatch(rf"(?:{_LABEL}\.)?{_LABEL}\.{re.escape(rest)}", host):
            return True
    return False


def _refused(why: str) -> Fatal:
    return Fatal(
        DOOR.address,
        f"this address is not called: {why}",
        actions=["Set SALESFORCE_LOGIN_URL to your My Domain address, https://YOURCOMPANY.my.salesforce.com"],
    )
