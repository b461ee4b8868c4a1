"""
Person accounts as the writer meets them: the contact half of one is written through its account, where each custom
field of the contact has a twin (``HW_Cycle__c`` is ``HW_Cycle__pc`` there).

It tells which contacts are such halves and turns their records into the accounts'; the writer makes the calls. Reading
needs none of this: a contact shows its own fields, whatever it is one half of.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from worker.connectors.base import Observed

CONTACT: Final = "Contact"
ACCOUNT: Final = "Account"
# A field that contacts have in organisations with person accounts alone.
TELLTALE: Final = "IsPersonAccount"
FACTS: Final = (TELLTALE, "AccountId")


def accounts_of(seen: Iterable[Observed]) -> dict[str, str | None]:
    """
    Contact -> the account it is one half of, None for a company's contact.
    """
    return {
        each.record_id: each.facts.get("AccountId") if each.facts.get(TELLTALE) == "true" else None for each in seen
    }


def twin_of(field: str) -> str:
    """
    The name of a contact's custom field on a person account. Raises ValueError for a standard field.
    """
    if not field.endswith("__c"):
        raise ValueError(f"{field} is no custom field, and is not written to a person account")
    return f"{field.removesuffix('__c')}__pc"


def through_account(record: Mapping[str, Any], account: str, twins: Collection[str]) -> dict[str, Any]:
    """
    A contact's record as one of its account. ``twins`` are the fields that the account has for us. Raises ValueError
    where one is not among them.
    """
    values = {twin_of(name): value for name, value in record.items() if name not in ("attributes", "id")}
    absent = sorted(set(values) - set(twins))
    if absent:
        raise ValueError(f"{ACCOUNT} has no {', '.join(absent)} for us: a person account is written through it")
    return {"attributes": {"type": ACCOUNT}, **values, "id": account}
