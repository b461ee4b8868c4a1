"""
Says of two versions of the rules which differences a preview cannot show, because they work on what is read, or on who
is who, and not on what is decided. Pure. Called by ``headwater check --impact``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

# Whose values survive and who is one person: golden records are made by these, and the preview takes them as they are.
IDENTITY: Final = (
    "person",
    "account",
    "opportunity",
    "free_mail_domains",
    "not_free_mail_domains",
    "role_mailboxes",
    "not_role_mailboxes",
)


def not_previewed(ruling: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[str]:
    """
    A sentence for each kind of difference between the two (sections as JSON, as the store keeps them).
    """
    return [*_read_later(ruling, proposed), *_golden(ruling, proposed), *_organisation(ruling, proposed)]


def changed_keys(ruling: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[str]:
    """
    "engagement.enter", "attribution.channels": what differs at all, two levels deep.
    """
    return [
        f"{section}.{key}"
        for section in proposed
        for key in proposed[section]
        if ruling.get(section, {}).get(key) != proposed[section][key]
    ]


def _read_later(ruling: Mapping[str, Any], proposed: Mapping[str, Any]) -> Iterator[str]:
    new_fields = sorted(
        f"{stream}.{name}"
        for stream, names in proposed["fields"]["extra"].items()
        for name in set(names) - set(ruling["fields"]["extra"].get(stream, ()))
    )
    if new_fields:
        yield f"{_count(new_fields, 'field')} not read yet, empty here: {', '.join(new_fields)}"
    was = ruling["fields"]["activities"]
    objects = sorted(name for name, each in proposed["fields"]["activities"].items() if was.get(name) != each)
    if objects:
        yield f"{_count(objects, 'object')} of acts not read yet in this way: {', '.join(objects)}"
    natives = sorted(_native_types(proposed) - _native_types(ruling))
    if natives:
        yield f"{_count(natives, 'activity type')} of Marketo's not read yet: {', '.join(natives)}"


def _native_types(rules: Mapping[str, Any]) -> set[str]:
    return {
        native
        for rule in rules["attribution"]["touches"]
        if rule["from_"] == "marketo.activity"
        for native in rule["native_type"]
        if native.isdigit()
    }


def _golden(ruling: Mapping[str, Any], proposed: Mapping[str, Any]) -> Iterator[str]:
    keys = [f"fields.{key}" for key in IDENTITY if ruling["fields"][key] != proposed["fields"][key]]
    if keys:
        yield f"{_count(keys, 'key')} of who is who and whose value survives, taken as it was: {', '.join(keys)}"


def _organisation(ruling: Mapping[str, Any], proposed: Mapping[str, Any]) -> Iterator[str]:
    was, org = ruling["service"]["org"], proposed["service"]["org"]
    if was["timezone"] != org["timezone"]:
        yield f"closes without a history stay at the end of the day in {was['timezone']}"
    if was["currency"] != org["currency"]:
        yield f"deals without a currency of their own are in {was['currency']} before and {org['currency']} after"


def _count(things: list[str], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"
