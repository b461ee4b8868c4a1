"""
Brings e-mail addresses, domains and Salesforce ids into one spelling, so that equal things compare equal.

It decides nothing about who is who (keys and cluster do), reads no network (no deliverability), and returns null for
what cannot be an address, a company's domain or an id. The functions over a Series work on distinct values, so that
500,000 rows cost little more than their distinct values.
"""

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import cache, lru_cache
from typing import Final

import idna
import polars as pl
from email_validator import EmailNotValidError, validate_email
from publicsuffixlist import PublicSuffixList

from worker.core.matching.providers import FREE_MAIL, ROLE_MAILBOXES, SHARED_FOR_WEBSITES_ONLY, SHARED_HOSTS

__all__ = [
    "BARRED",
    "FREE_MAIL",
    "ROLE_MAILBOXES",
    "SHARED_HOSTS",
    "is_role_mailbox",
    "normalize_email",
    "normalize_emails",
    "registrable_domain",
    "registrable_domains",
    "salesforce_id",
    "salesforce_ids",
]

BARRED: Final[frozenset[str]] = FREE_MAIL | SHARED_HOSTS

# Letters that show nothing on the screen and come along when somebody pastes: zero-width spaces and joiners, soft
# hyphen, BOM.
_INVISIBLE: Final = re.compile("[\u200b\u200c\u200d\u2060\ufeff\u00ad]")
# What nearly every address looks like; an address that does not is looked at by email-validator. Lengths as in RFC
# 5321.
_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_TOP: Final = r"[a-z](?:[a-z0-9-]{0,61}[a-z])"  # a domain ends with a letter; an IP address does not
_PLAIN_EMAIL: Final = rf"^{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_TOP}$"
_TAGGED_LABEL: Final = (
    r"[@.][a-z0-9]{2}--"  # "xn--..." and other labels with a tag: only the slow way knows which are real
)
_IPV4: Final = re.compile(r"^\d{1,3}(?:\.\d{1,3}){3}$")
_HOST: Final = r"^(?:[a-z][a-z0-9+.-]*://|//|mailto:)?(?:[^/@\s]*@)?([^/?#:\s,;]+)"
_SUFFIX_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def normalize_email(text: str | None) -> str | None:
    """
    One spelling of an address: NFKC, case-folded, without ``mailto:``, display name, blanks and trailing dots, domain
    in punycode.

    None where the text is no address. Dots and plus-tags stay: only the mailbox's own provider knows what they mean.
    """
    if text is None:
        return None
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).strip().casefold()
    plain = plain.removeprefix("mailto:").split("?", 1)[0] if plain.startswith("mailto:") else plain
    plain = plain.strip().rstrip(".").strip()
    if _looks_plain(plain):
        return plain
    try:
        parsed = validate_email(
            plain,
            check_deliverability=False,
            allow_display_name=True,
            allow_quoted_local=True,
            globally_deliverable=False,
            strict=True,
        )
    except EmailNotValidError:
        return None
    host = (parsed.ascii_domain or "").casefold()
    address = f"{parsed.local_part.casefold()}@{host}"
    return address if re.fullmatch(rf"(?:{_LABEL}\.)+{_TOP}", host) and len(address) <= 254 else None


def normalize_emails(values: pl.Series) -> pl.Series:
    """
    ``normalize_email`` for a column: String in, String out, same order and name.
    """
    raw = values.cast(pl.String)
    lowered = raw.str.strip_chars().str.to_lowercase()
    at = lowered.str.find("@", literal=True)
    plain = (
        lowered.str.contains(_PLAIN_EMAIL)
        & ~lowered.str.contains(_TAGGED_LABEL)
        & (lowered.str.len_bytes() <= 254)
        & (at <= 64)
    ).fill_null(value=False)
    if (plain | raw.is_null()).all():
        return lowered
    odd = _over_distinct(raw.filter(~plain), normalize_email)
    frame = pl.DataFrame({"raw": raw, "lowered": lowered, "plain": plain}).join(
        odd, left_on="raw", right_on="value", how="left", maintain_order="left"
    )
    return frame.select(pl.when("plain").then("lowered").otherwise("result").alias(values.name)).to_series()


def is_role_mailbox(email: str, mailboxes: Collection[str] = ROLE_MAILBOXES) -> bool:
    """
    Whether a normalized address belongs to a function (``info@``, ``sales@``, ``sales+uk@``) and not to a person.
    """
    return email.partition("@")[0].partition("+")[0] in mailboxes


def registrable_domain(text: str | None, barred: Collection[str] = BARRED) -> str | None:
    """
    The domain a company registered, of an e-mail address, a website or a host: ``mail.acme.co.uk`` -> ``acme.co.uk``.

    None for IP addresses, single words, bare public suffixes, and domains that are ``barred`` (free mail, shared
    hosts).
    """
    if text is None:
        return None
    found = re.match(_HOST, unicodedata.normalize("NFKC", text).strip().casefold())
    return _domain_of_host(found.group(1), barred) if found else None


def registrable_domains(values: pl.Series, barred: Collection[str] = BARRED) -> pl.Series:
    """
    ``registrable_domain`` for a column: String in, String out, same order and name.
    """
    hosts = values.cast(pl.String).str.normalize("NFKC").str.strip_chars().str.to_lowercase().str.extract(_HOST, 1)
    known = _over_distinct(hosts, lambda host: _domain_of_host(host, barred))
    joined = hosts.rename("value").to_frame().join(known, on="value", how="left", maintain_order="left")
    return joined["result"].rename(values.name)


def email_domains(emails: pl.Series, free_mail: Collection[str] = FREE_MAIL) -> pl.Series:
    """
    Registrable domains of e-mail addresses; a company's own staff at a shared host (``@linkedin.com``) keeps its
    domain, addresses at a free-mail provider have none.
    """
    return registrable_domains(emails, (SHARED_HOSTS - SHARED_FOR_WEBSITES_ONLY) | frozenset(free_mail))


def salesforce_id(text: str | None) -> str | None:
    """
    The 18-character id: a 15-character one gets its suffix, an 18-character one is checked against its own.

    An 18-character id whose letters a spreadsheet has made all upper or all lower case is restored from the suffix.
    None for everything else.
    """
    if text is None:
        return None
    plain = text.strip()
    if len(plain) not in (15, 18) or not plain.isascii() or not plain.isalnum():
        return None
    body, suffix = plain[:15], plain[15:]
    if not suffix or suffix == _suffix(body):
        return body + _suffix(body)
    return _restored(body, suffix.upper()) if plain in (plain.upper(), plain.lower()) else None


def salesforce_ids(values: pl.Series) -> pl.Series:
    """
    ``salesforce_id`` for a column: String in, String out, same order and name.
    """
    known = _over_distinct(values.cast(pl.String), salesforce_id)
    joined = (
        values.cast(pl.String).rename("value").to_frame().join(known, on="value", how="left", maintain_order="left")
    )
    return joined["result"].rename(values.name)


def _looks_plain(address: str) -> bool:
    return (
        re.match(_PLAIN_EMAIL, address) is not None
        and re.search(_TAGGED_LABEL, address) is None
        and len(address) <= 254
        and address.index("@") <= 64
    )


def _over_distinct(values: pl.Series, one: Callable[[str], str | None]) -> pl.DataFrame:
    distinct = values.drop_nulls().unique()
    results = pl.Series("result", [one(value) for value in distinct.to_list()], dtype=pl.String)
    return pl.DataFrame({"value": distinct, "result": results})


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _domain_of_host(host: str, barred: Collection[str]) -> str | None:
    domain = _registered(host)
    return None if domain is None or domain in barred else domain


# The same companies come again with every change; so many names take some megabytes.
@lru_cache(maxsize=50_000)
def _registered(host: str) -> str | None:
    host = host.strip(".[]")
    if _IPV4.match(host) or "." not in host:
        return None
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError:
            return None
    if not re.fullmatch(rf"(?:_?{_LABEL}\.)+{_LABEL}", host):
        return None
    domain: str | None = _public_suffixes().privatesuffix(host)
    return domain


def _suffix(body: str) -> str:
    """
    Three letters, one for each five characters: bit i is set where character i is upper case.
    """
    return "".join(
        _SUFFIX_LETTERS[sum(1 << bit for bit in range(5) if "A" <= body[start + bit] <= "Z")] for start in (0, 5, 10)
    )


def _restored(body: str, suffix: str) -> str | None:
    if any(letter not in _SUFFIX_LETTERS for letter in suffix):
        return None
    upper = [_SUFFIX_LETTERS.index(suffix[place // 5]) >> place % 5 & 1 for place in range(15)]
    restored = "".join(c.upper() if up else c.lower() for c, up in zip(body, upper, strict=True))
    return restored + suffix if _suffix(restored) == suffix else None
