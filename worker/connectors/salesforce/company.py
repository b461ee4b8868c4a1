"""
Holds the organisation's own settings against what the rules say of the company: time zone, corporate currency, fiscal
year.

It names the reads and judges their answers; ``doctor`` makes them, in a call that carries its other questions too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.connectors.salesforce.client import Part, SalesforceClient
from worker.connectors.salesforce.findings import Finding
from worker.core.errors import HeadwaterError

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class Company:
    """
    What the rules say: the time zone in which a day without a time begins (Europe/Berlin), the corporate currency
    (EUR).
    """

    zone: str
    currency: str


def questions(client: SalesforceClient) -> list[str]:
    """
    The reads, as paths of a common call, in the order in which ``company_findings`` takes their answers.
    """
    organization = (
        "SELECT Name, TimeZoneSidKey, DefaultLocaleSidKey, LanguageLocaleKey, FiscalYearStartMonth, "
        "UsesStartDateAsFiscalYearName, IsSandbox FROM Organization"
    )
    return [
        client.query_path(organization),
        client.query_path("SELECT IsoCode FROM CurrencyType WHERE IsCorporate = true"),
        f"{client.path}/connect/organization",
        client.query_path("SELECT Name FROM FiscalYearSettings WHERE IsStandardYear = false"),
    ]


def company_findings(answers: Sequence[Part], company: Company, now: datetime) -> Iterator[Finding]:
    """
    What the organisation says of itself, and each difference with its cure.
    """
    organization, corporate, settings, custom_years = answers
    rows = _rows(organization)
    if not rows:
        message = "the organisation's own settings cannot be read: time zone and fiscal year are not compared"
        cure = "Give the integration user's permission set View Setup and Configuration."
        yield Finding("company", "warning", message, (cure,), "HW-209")
        return
    yield _itself(rows[0])
    yield _zone(str(rows[0].get("TimeZoneSidKey")), company.zone, now)
    yield _currency(_rows(corporate), settings, company.currency)
    yield _fiscal_year(rows[0], _rows(custom_years))


def _rows(part: Part) -> list[Mapping[str, Any]]:
    # An organisation with one currency has no CurrencyType, one without custom years no such settings.
    try:
        return [row for row in part.result().get("records") or [] if isinstance(row, dict)]
    except HeadwaterError:
        return []


def _itself(row: Mapping[str, Any]) -> Finding:
    kind = "a sandbox" if row.get("IsSandbox") else "production"
    message = (
        f"{row.get('Name')}, {kind}; language {row.get('LanguageLocaleKey')}, locale {row.get('DefaultLocaleSidKey')}"
    )
    return Finding("company", "ok", message)


def _zone(theirs: str, ours: str, now: datetime) -> Finding:
    if theirs == ours or _same_clock(theirs, ours, now.year):
        return Finding("company", "ok", f"its time zone is the rules' ({ours})")
    message = (
        f"the organisation's time zone is {theirs} and the rules say {ours}: acts that have a day and no time, and the "
        "ends of periods, fall on other days than in its reports"
    )
    cure = (
        f'service.yaml:  org: {{timezone: "{theirs}"}}',
        "Or Setup > Company Information > Default Time Zone, where the rules are right.",
    )
    return Finding("company", "warning", message, cure, "HW-242")


def _same_clock(one: str, other: str, year: int) -> bool:
    # Zones have several names (Asia/Calcutta, Asia/Kolkata). The same offsets on every third day of three years make
    # two names one zone, for all that is counted here.
    try:
        zones = ZoneInfo(one), ZoneInfo(other)
    except (KeyError, ValueError, OSError):
        return False  # no key of a zone that this machine knows
    began_at = datetime(year - 1, 1, 1, 12, tzinfo=UTC)
    days = [began_at + timedelta(days=number) for number in range(0, 1_095, 3)]
    return all(day.astimezone(zones[0]).utcoffset() == day.astimezone(zones[1]).utcoffset() for day in days)


def _currency(corporate: Sequence[Mapping[str, Any]], settings: Part, ours: str) -> Finding:
    theirs, how_many = _currency_of(corporate, settings)
    if theirs is None:
        return Finding("company", "ok", f"its currency cannot be asked here; the rules say {ours}")
    if theirs == ours:
        return Finding("company", "ok", f"its currency is the rules' ({ours}; {how_many})")
    message = f"the organisation's corporate currency is {theirs} and the rules say {ours}: amounts bear the wrong name"
    if corporate:
        message = f"{message}, and are converted by rates of another"
    return Finding("company", "error", message, (f"service.yaml:  org: {{currency: {theirs}}}",), "HW-242")


def _currency_of(corporate: Sequence[Mapping[str, Any]], settings: Part) -> tuple[str | None, str]:
    if corporate and corporate[0].get("IsoCode"):
        return str(corporate[0]["IsoCode"]), "of several"
    body = settings.body if settings.status < 300 and isinstance(settings.body, dict) else {}
    features = body.get("features")
    code = features.get("defaultCurrencyIsoCode") if isinstance(features, dict) else None
    return (str(code) if code else None), "the only one"


def _fiscal_year(row: Mapping[str, Any], custom: Sequence[Mapping[str, Any]]) -> Finding:
    if custom:
        message = f"it has {len(custom)} custom fiscal years: reports take their periods from Salesforce"
        return Finding("company", "ok", message)
    month = row.get("FiscalYearStartMonth")
    first = int(month) if isinstance(month, int) and 1 <= month <= len(_MONTHS) else 1
    ends = "begins" if row.get("UsesStartDateAsFiscalYearName") or first == 1 else "ends"
    message = f"its fiscal year begins in {_MONTHS[first - 1]} and is named by the year in which it {ends}"
    return Finding("company", "ok", message)
