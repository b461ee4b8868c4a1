"""
Checks the addresses of the environment: of the right kind, of the right company, with nothing hidden in them.

Every function raises ValueError with the end of a sentence that begins with the variable's name, never with a value.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # reading it is what checks it
    except ValueError as error:
        raise ValueError("is no address; a bracket or the port is wrong") from error
    if any(character.isspace() or ord(character) < 32 for character in text):
        raise ValueError("has a space or a line break inside")
    return parts


def checked_database_url(secret: SecretStr) -> SecretStr:
    """
    A PostgreSQL address in SQLAlchemy's spelling for psycopg 3, whichever of the usual ones came in.
    """
    text = secret.get_secret_value()
    parts = _split(text)
    if parts.scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise ValueError("is no PostgreSQL address; it must begin with postgresql://")
    if not parts.path.strip("/"):
        raise ValueError("names no database; it must end in /NAME")
    return SecretStr("postgresql+psycopg" + text[len(parts.scheme) :])


def checked_redis_url(secret: SecretStr) -> SecretStr:
    """
    A Redis or Valkey address as it came in.
    """
    parts = _split(secret.get_secret_value())
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("is no Redis address; it must begin with redis:// or rediss://")
    return secret


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _web_address(text: str) -> tuple[str, str]:
    """
    Scheme, host and port of an address with nothing before or behind them; and the host alone.
    """
    parts = _split(text)
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must hold no user name or password")
    if parts.query or parts.fragment:
        raise ValueError("must end after the host")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("must begin with https://; http is for this machine alone")
    return f"{parts.scheme}://{parts.netloc.lower()}", host


def checked_salesforce_url(text: str) -> str:
    """
    Only Salesforce's own hosts: whoever gets this address wrong would otherwise post the login to a stranger.
    """
    address, host = _web_address(text)
    if urlsplit(text).path.strip("/"):
        raise ValueError("must end after the host, as https://acme.my.salesforce.com")
    if not (_is_loopback(host) or host.endswith((".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn", ".test"))):
        raise ValueError("is no host of Salesforce's; it ends in .salesforce.com, as https://acme.my.salesforce.com")
    return address


def checked_marketo_url(text: str) -> str:
    """
    The instance's host. Marketo shows it with /rest or /identity behind, which both belong to it.
    """
    address, host = _web_address(text)
    if urlsplit(text).path.rstrip("/") not in ("", "/rest", "/identity"):
        raise ValueError("must end after the host, as https://123-ABC-456.mktorest.com")
    if not (_is_loopback(host) or host.endswith((".mktorest.com", ".test"))):
        raise ValueError("is no host of Marketo's; it ends in .mktorest.com, as https://123-ABC-456.mktorest.com")
    return address
