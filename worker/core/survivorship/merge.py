"""
Merges the source records of each cluster into one golden record, by rules per field, and says where each value is from.

It decides no cluster and reads nothing. A golden record of one source record takes its values as they are; only records
of several are gone through by rule. Called by the resolve flow for people, accounts and opportunities.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from worker.core.errors import Fatal
from worker.core.frames import INSTANT, Schema
from worker.core.survivorship.rules import (
    ANY_TRUE,
    FIRST_FILLED,
    LARGEST,
    NEWEST,
    PLATFORM,
    SALESFORCE,
    SMALLEST,
    FieldRule,
    MergeRules,
)

# What every member must carry beside the key and the fields that the rules name.
MEMBER_ENVELOPE: Final[Schema] = {
    "stream": pl.String,
    "record_id": pl.String,
    "stamp_at": INSTANT,
    "created_at": INSTANT,
    "is_deleted": pl.Boolean,
}
ONLY_SOURCE: Final = "only source"
ALL_FIELDS: Final = "*"

_SYSTEM = pl.col("_stream").str.extract(r"^([^.]+)", 1)


@dataclass(frozen=True)
class Merged:
    """
    ``golden``: the key, one column a field (its own type), provenance (JSON), disagreements and members (Int32), in the
    order of the key. ``disagreements``: the key, field, kept_stream, kept_value, other_stream, other_value (text), one
    row a field and system that says otherwise.
    """

    golden: pl.DataFrame
    disagreements: pl.DataFrame


def merge(members: pl.DataFrame, rules: MergeRules, *, key: str = "golden_id") -> Merged:
    """
    One golden record a distinct ``key``. ``members`` has the key, MEMBER_ENVELOPE and a column for each field of the
    rules.

    ``provenance`` is ``{field: {"value", "stream", "record_id", "at", "rule", "lost": [{"stream", "record_id",
    "value"}]}}`` of the filled fields, with values as text and in ``lost`` the values that differ from the one kept.
    Of a golden record with one member it is ``{"*": {...}}`` without a value: all came from there
    (``read_provenance`` reads both). The answer does not depend on the order of rows. A missing column is Fatal.
    """
    plain = _checked(members, rules, key)
    counted = plain.with_columns(pl.len().over(key).cast(pl.Int32).alias("members"))
    single = counted.filter(pl.col("members") == 1)
    several = counted.filter(pl.col("members") > 1)
    alone = _golden_of_one(single, rules, key)
    if several.is_empty():
        return Merged(alone.sort(key), _no_disagreements(key, plain))
    kept, disagreements = _merge_several(several, rules, key)
    return Merged(pl.concat([alone, kept.select(alone.columns)]).sort(key), disagreements)


def read_provenance(text: str, values: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """
    The provenance of one golden record, written out for each of its filled fields. ``values`` are the record's own.
    """
    held: dict[str, dict[str, Any]] = json.loads(text)
    source = held.get(ALL_FIELDS)
    if source is None:
        return held
    return {name: {"value": _as_text(value), **source} for name, value in values.items() if value is not None}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _checked(members: pl.DataFrame, rules: MergeRules, key: str) -> pl.DataFrame:
    """
    The key, the envelope under names of its own (a field may be called created_at too), and the fields, blank texts
    null.
    """
    missing = sorted({key, *MEMBER_ENVELOPE, *rules.fields} - set(members.columns))
    if missing:
        raise Fatal("HW-901", f"the records to merge lack the columns {', '.join(missing)}")
    if members[key].null_count():
        raise Fatal("HW-901", f"{members[key].null_count()} records to merge have no {key}; number new clusters first")
    if members.select(key, "stream", "record_id").is_duplicated().any():
        raise Fatal("HW-901", "a record was given to merge more than once")
    truth = [name for name, rule in rules.fields.items() if rule.keep == ANY_TRUE and members[name].dtype != pl.Boolean]
    if truth:
        raise Fatal("HW-150", f"keep is any_true for {', '.join(truth)}, which holds no true or false")
    order = {stream: place for place, stream in enumerate(rules.stream_order)}
    return members.select(
        pl.col(key),
        *(pl.col(name).cast(dtype).alias(f"_{name}") for name, dtype in MEMBER_ENVELOPE.items()),
        pl.col("stream").replace_strict(order, default=len(order), return_dtype=pl.Int32).alias("_order"),
        *(
            pl.when(pl.col(name).str.strip_chars() != "").then(pl.col(name)).alias(name)
            if members[name].dtype == pl.String
            else pl.col(name)
            for name in rules.fields
        ),
    ).with_columns(
        pl.col("_is_deleted").fill_null(value=False),
        _SYSTEM.alias("_system"),
        pl.col("_stamp_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("_at"),
    )


def _golden_of_one(single: pl.DataFrame, rules: MergeRules, key: str) -> pl.DataFrame:
    source = pl.struct(
        pl.col("_stream").alias("stream"),
        pl.col("_record_id").alias("record_id"),
        pl.col("_at").alias("at"),
        pl.lit(ONLY_SOURCE).alias("rule"),
    ).struct.json_encode()
    return single.select(
        key,
        *rules.fields,
        (pl.lit('{"*":') + source.str.strip_suffix("}") + pl.lit(',"lost":[]}}')).alias("provenance"),
        pl.lit(0, pl.Int32).alias("disagreements"),
        "members",
    )


def _merge_several(several: pl.DataFrame, rules: MergeRules, key: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    The golden records of several members each, and the disagreements among them.

    Fields whose rule asks for the same order of records share one sort: sorting is what costs.
    """
    golden = several.select(key, "members").unique(key)
    differing: list[pl.DataFrame] = []
    by_order: dict[str, list[str]] = {}
    for name, rule in rules.fields.items():
        # These three order records by the field's own value.
        order = f"{rule.keep} {name}" if rule.keep in (ANY_TRUE, LARGEST, SMALLEST) else rule.keep
        by_order.setdefault(order, []).append(name)
    for names in by_order.values():
        ranked = several.sort(*_order(rules.fields[names[0]], names[0]))
        for name in names:
            held, others = _survivors(ranked, name, rules.fields[name], key)
            golden = golden.join(held, on=key, how="left")
            differing.append(_disagreements(others, name, rules.fields[name], key))
    disagreements = pl.concat([_no_disagreements(key, several), *differing]).sort(key, "field", "other_stream")
    counted = disagreements.group_by(key).agg(pl.col("field").n_unique().cast(pl.Int32).alias("disagreements"))
    told = [f"_{name}_told" for name in rules.fields]
    golden = golden.join(counted, on=key, how="left").with_columns(
        pl.col("disagreements").fill_null(0),
        (pl.lit("{") + pl.concat_str(told, separator=",", ignore_nulls=True) + pl.lit("}")).alias("provenance"),
    )
    return golden, disagreements


def _order(rule: FieldRule, name: str) -> list[pl.Expr]:
    """
    What the records of a cluster are sorted by, best first; the last two make the order total.
    """
    later = (pl.lit(0) - pl.col("_stamp_at").dt.epoch("us")).fill_null(2**62)
    earlier = pl.col("_created_at").dt.epoch("us").fill_null(2**62)
    total = [pl.col("_stream"), pl.col("_record_id")]
    dead = pl.col("_is_deleted")
    if rule.keep == FIRST_FILLED:
        return [earlier, pl.col("_order"), *total]
    if rule.keep == NEWEST:
        return [dead, later, pl.col("_order"), *total]
    if rule.keep == ANY_TRUE:
        return [dead, ~pl.col(name).fill_null(value=False), pl.col("_order"), later, *total]
    if rule.keep in (LARGEST, SMALLEST):
        place = pl.col(name).rank("dense", descending=rule.keep == LARGEST).cast(pl.Int64).fill_null(2**62)
        return [dead, place, pl.col("_order"), later, *total]
    crm = pl.col("_system") == SALESFORCE
    preferred = crm if rule.keep == PLATFORM else pl.col("_system") != pl.lit(rule.keep)
    return [dead, preferred, pl.col("_order"), later, *total]


def _survivors(ranked: pl.DataFrame, name: str, rule: FieldRule, key: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    The kept value of each golden record with its told provenance, and every filled record beside the value that was
    kept.
    """
    columns = (key, name, "_stream", "_record_id", "_at", "_system", "_is_deleted")
    entries = ranked.select(*columns, comparable(pl.col(name), rule.compare).alias("_compared"))
    filled = entries.filter(pl.col(name).is_not_null())
    first = (entries if rule.blank_wins else filled).unique(key, keep="first", maintain_order=True)
    others = filled.join(first, on=key, suffix="_kept", maintain_order="left").with_columns(
        (pl.col("_compared") != pl.col("_compared_kept")).fill_null(value=True).alias("differs")
    )
    losers = pl.struct(
        pl.col("_stream").alias("stream"), pl.col("_record_id").alias("record_id"), as_text(pl.col(name)).alias("value")
    )
    lost = (
        others.filter("differs")
        .select(key, losers.struct.json_encode().alias("_lost"))
        .group_by(key, maintain_order=True)
        .agg(pl.col("_lost").str.join(","))
    )
    kept = pl.struct(
        as_text(pl.col(name)).alias("value"),
        pl.col("_stream").alias("stream"),
        pl.col("_record_id").alias("record_id"),
        pl.col("_at").alias("at"),
        pl.lit(rule.keep).alias("rule"),
    ).struct.json_encode()
    # A blank that won over a value is told too: it has a source and something that lost.
    told = (
        pl.lit(json.dumps(name) + ":")
        + kept.str.strip_suffix("}")
        + pl.lit(',"lost":[')
        + pl.col("_lost").fill_null("")
        + pl.lit("]}")
    )
    held = first.join(lost, on=key, how="left").select(
        key,
        name,
        pl.when(pl.col(name).is_not_null() | pl.col("_lost").is_not_null()).then(told).alias(f"_{name}_told"),
    )
    return held, others


def _disagreements(others: pl.DataFrame, name: str, rule: FieldRule, key: str) -> pl.DataFrame:
    """
    The systems whose own best live record says otherwise than the kept value.
    """
    if rule.compare == "never":
        others = others.clear()
    voices = others.filter(~pl.col("_is_deleted")).unique([key, "_system"], keep="first", maintain_order=True)
    return voices.filter(pl.col("differs") & (pl.col("_system") != pl.col("_system_kept"))).select(
        key,
        pl.lit(name).alias("field"),
        pl.col("_stream_kept").alias("kept_stream"),
        as_text(pl.col(f"{name}_kept")).alias("kept_value"),
        pl.col("_stream").alias("other_stream"),
        as_text(pl.col(name)).alias("other_value"),
    )


def _no_disagreements(key: str, members: pl.DataFrame) -> pl.DataFrame:
    words = ("field", "kept_stream", "kept_value", "other_stream", "other_value")
    return pl.DataFrame(schema={key: members.schema[key], **dict.fromkeys(words, pl.String)})


def as_text(value: pl.Expr) -> pl.Expr:
    """
    A value as it stands in JSON and in lists for people: booleans ``true`` and ``false``, everything else as polars
    writes it.
    """
    return value.cast(pl.String)


def comparable(value: pl.Expr, compare: str) -> pl.Expr:
    """
    What two values must have in common not to be a disagreement (see FieldRule).
    """
    text = value.cast(pl.String)
    if compare == "exact":
        return text
    plain = text.str.normalize("NFKC").str.strip_chars().str.to_lowercase()
    if compare == "digits":
        digits = plain.str.replace_all(r"\D", "")
        return pl.when(digits.str.len_chars() > 0).then(digits.str.tail(8)).otherwise(plain)
    if compare == "address":
        return plain.str.replace(r"^[a-z]+://", "").str.replace(r"^www\.", "").str.strip_chars_end("/.")
    # 250.0 and 250 are one number however a system writes it.
    return plain.str.replace_all(r"\s+", " ").str.replace(r"^(-?\d+)\.0+$", "$1")
