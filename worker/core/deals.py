"""
Decides, of a deal, whether it is open, won or lost and since when, and whether it may earn credit at all.

The close is the first entry of the stage history into a closed stage since the deal was last open: representatives type
CloseDate, so that serves for periods and rates only, and for the close where there is no history.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

import polars as pl

from worker.core.chain import queried
from worker.core.columns import filled, mapped
from worker.core.frames import DEAL, INSTANT, Schema

# One row an entry into a stage.
STAGE_ENTRY: Final[Schema] = {
    "opportunity_ref": pl.String,
    "stage": pl.String,
    "entered_at": INSTANT,
}

STAGE: Final[Schema] = {"name": pl.String, "is_closed": pl.Boolean, "is_won": pl.Boolean}


@dataclass(frozen=True)
class DealRules:
    """
    Which deals earn credit. An empty amount is not zero and stays in.
    """

    exclude_types: tuple[str, ...] = ("Renewal", "Amendment")
    exclude_record_types: tuple[str, ...] = ()
    exclude_stages: tuple[str, ...] = ()
    exclude_names: tuple[str, ...] = ()
    include_zero_amount: bool = False
    minimum_amount: Decimal | None = None


def outcomes(deals: pl.DataFrame, entries: pl.DataFrame, stages: pl.DataFrame, zone: str) -> pl.DataFrame:
    """
    outcome (open, won, lost) and closed_at beside record_id, for deals with record_id, stage, is_closed, is_won,
    close_on.

    ``entries`` is STAGE_ENTRY of these deals, ``stages`` the organisation's STAGE list. ``zone`` is its time zone: a
    deal that is closed without history closes at the end of its CloseDate there.
    """
    closing = stages.filter(pl.col("is_closed"))["name"].implode()
    told = entries.with_columns(closes=pl.col("stage").is_in(closing))
    last_open = told.filter(~pl.col("closes")).group_by("opportunity_ref").agg(open_at=pl.col("entered_at").max())
    closed = (
        told.filter(pl.col("closes"))
        .join(last_open, on="opportunity_ref", how="left")
        .filter(pl.col("open_at").is_null() | (pl.col("entered_at") > pl.col("open_at")))
        .group_by("opportunity_ref")
        .agg(entered_at=pl.col("entered_at").min())
    )
    end_of_day = (
        (pl.col("close_on").cast(pl.Datetime("us")) + pl.duration(days=1) - pl.duration(seconds=1))
        .dt.replace_time_zone(zone, ambiguous="latest", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    outcome = (
        pl.when(pl.col("is_won").fill_null(value=False))
        .then(pl.lit("won"))
        .when(pl.col("is_closed").fill_null(value=False))
        .then(pl.lit("lost"))
        .otherwise(pl.lit("open"))
    )
    return (
        deals.join(closed, left_on="record_id", right_on="opportunity_ref", how="left")
        .with_columns(outcome=outcome)
        .select(
            "record_id",
            "outcome",
            closed_at=pl.when(pl.col("outcome") != "open").then(pl.coalesce("entered_at", end_of_day)).cast(INSTANT),
        )
    )


# Currencies whose minor unit is not a hundredth (ISO 4217, table A.1).
MINOR_DIGITS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}

_POWERS_OF_TEN: Final = pl.Series([10**digits for digits in range(19)], dtype=pl.Int128)

LARGEST_UNITS: Final = 2**63 - 1  # money is counted in 64 bits

# All currencies of that table, without precious metals and codes for tests; those of old money are not among them.
CURRENCIES: Final = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
    CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
    GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD
    LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP
    PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP
    TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XCD XCG XDR XOF XPF XSU XUA YER ZAR
    ZMW ZWG
    """.split()  # noqa: SIM905 - a line of words reads better than 170 quoted ones
)


def as_deals(facts: pl.DataFrame, home_currency: str) -> pl.DataFrame:
    """
    DEAL rows of deals given with amount_units (text), amount_scale, currency (null = the organisation's own),
    opportunity and account id, instants and outcome. Money becomes whole units of the finer of the currency's minor
    unit and the amount's own digits; an amount too large to be counted so is null, and ``why_not_credited`` says it.
    """
    currency, scale = filled(facts["currency"], home_currency), filled(facts["amount_scale"], 0)
    minor = mapped(currency, MINOR_DIGITS, 2, scale.dtype)
    digits = minor.zip_with(minor > scale, scale)
    units = facts["amount_units"].cast(pl.Int128, strict=False) * _POWERS_OF_TEN[digits - scale]
    computed = {"currency": currency, "digits": digits, "amount_units": units.cast(pl.Int64, strict=False)}
    columns = {name: computed[name] if name in computed else facts[name] for name in DEAL}
    return pl.DataFrame([columns[name].cast(kind).alias(name) for name, kind in DEAL.items()])


def why_not_credited(deals: pl.DataFrame, rules: DealRules) -> pl.Series:
    """
    The reason a deal earns no credit, null where it may: for deals with name, type, record_type_ref, record_type (its
    API name; null where it is not known), stage, amount and currency. Rules name a record type either way.
    """
    names = ("type", "record_type", "record_type_ref", "stage", "amount", "currency")
    columns = [deals[name].to_list() for name in names]
    facts = zip(_words_said(deals, rules.exclude_names), *columns, strict=True)
    found = (
        next(_reasons(rules, said, kind, record_type, record_type_ref, stage), None)
        or next(_reasons_of_money(rules, *money), None)
        for said, kind, record_type, record_type_ref, stage, *money in facts
    )
    return pl.Series("reason", list(found), dtype=pl.String)


def _words_said(deals: pl.DataFrame, barred: tuple[str, ...]) -> list[str | None]:
    """
    The first of these words that each deal's name says, in small letters; None where it says none.
    """
    names = [(name or "").lower() for name in deals["name"].to_list()]
    if not any(word in name for word in _in_small_letters(barred) for name in names):
        return [None] * deals.height
    return queried(deals, _barred(barred)).to_list()


@lru_cache(maxsize=8)
def _barred(names: tuple[str, ...]) -> pl.Expr:
    words = "|".join(re.escape(words) for words in names)
    return pl.col("name").str.extract(rf"(?i)\b({words})\b", 1).str.to_lowercase()


def _reasons(
    rules: DealRules,
    said: str | None,
    kind: str | None,
    record_type: str | None,
    record_type_ref: str | None,
    stage: str | None,
) -> Iterator[str]:
    """
    Why a deal earns no credit, the first reason first.
    """
    if _is_among(kind, rules.exclude_types):
        yield f"type {kind}"
    if any(_is_among(name, rules.exclude_record_types) for name in (record_type, record_type_ref)):
        yield f"record type {record_type_ref if record_type is None else record_type}"
    if _is_among(stage, rules.exclude_stages):
        yield f"stage {stage}"
    if said is not None:
        yield f"name says {said}"


def _reasons_of_money(rules: DealRules, amount: Decimal | None, currency: str | None) -> Iterator[str]:
    """
    The same of its amount.
    """
    if amount is not None:
        if amount == 0 and not rules.include_zero_amount:
            yield "zero amount"
        if rules.minimum_amount is not None and abs(amount) < rules.minimum_amount:
            yield "amount below the minimum"
        if not _is_counted(amount, currency):
            yield "amount too large to be counted exactly"


def _is_counted(amount: Decimal, currency: str | None) -> bool:
    """
    Whether 64 bits hold the amount in units of the finer of the currency's minor unit, any currency's where it is not
    said, and its own digits.
    """
    minor = max(MINOR_DIGITS.values()) if currency is None else MINOR_DIGITS.get(currency, 2)
    own = -int(amount.normalize().as_tuple().exponent)
    return abs(amount).scaleb(max(minor, own)) <= LARGEST_UNITS


def _is_among(name: str | None, names: tuple[str, ...]) -> bool:
    return name is not None and name.lower() in _in_small_letters(names)


@lru_cache(maxsize=32)
def _in_small_letters(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def created_in_crm(members: pl.DataFrame, lead_stream: str, contact_stream: str) -> pl.DataFrame:
    """
    created_at by golden_id: the oldest lead's creation, the oldest contact's where there never was a lead, null where
    the person is known to the platform only. ``members`` has golden_id, stream and created_at.
    """
    leads = pl.col("created_at").filter(pl.col("stream") == lead_stream).min()
    contacts = pl.col("created_at").filter(pl.col("stream") == contact_stream).min()
    return members.group_by("golden_id").agg(created_at=pl.coalesce(leads, contacts))
