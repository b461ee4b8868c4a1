"""
A seed file: in JSON, what an org shall have when it is new.

.. code-block:: json

    {"salesforce": {
       "objects": [{"name": "Touch__c", "fields": []}],
       "fields": [{"object": "Lead", "fields": [{"name": "Score__c", "type": "Number"}]}],
       "settings": {"small_pages": true},
       "records": {"Account": [{"ref": "acme", "Name": "Acme"}],
                   "Contact": [{"LastName": "Ng", "AccountId": {"ref": "acme"}}]},
       "calls": [{"call": "delete", "object": "Account", "ids": [{"ref": "acme"}]}]},
     "marketo": {"people": [], "programs": [], "members": [], "activities": []}}

Records are made in the order of the file; ``ref`` names one, ``{"ref": name}`` stands for its id wherever an id can
stand. ``calls`` are control calls of ``docs/practice.md``. Read by the server before it listens.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.practice.salesforce.control import actions_of
from worker.practice.salesforce.errors import RowError

if TYPE_CHECKING:
    from worker.practice.state import PracticeState

PARTS = ("objects", "fields", "settings", "records", "calls")
MARKETO_PARTS = ("people", "programs", "members", "activities")
Ids = dict[str, str]


def plant(state: "PracticeState", file: Path) -> None:
    """
    Make what ``file`` says. Raises ``ValueError`` naming the file and the part that is wrong.
    """
    try:
        seed = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read as JSON: {error}") from error
    if not isinstance(seed, dict) or seed.keys() - {"salesforce", "marketo"}:
        raise ValueError(f"{file}: a seed is an object with 'salesforce' and 'marketo'")
    try:
        _plant_salesforce(state, _known(seed.get("salesforce") or {}, PARTS))
        _plant_marketo(state, _known(seed.get("marketo") or {}, MARKETO_PARTS))
    except KeyError as error:
        raise ValueError(f"{file}: missing or unknown: {error.args[0]!r}") from error
    except (ValueError, TypeError, RowError) as error:
        raise ValueError(f"{file}: {error}") from error


def _plant_salesforce(state: "PracticeState", seed: Mapping[str, Any]) -> None:
    org = state.salesforce
    if org is None:
        raise ValueError("this server has no Salesforce org")
    actions = actions_of(org)
    ids: Ids = {}
    for body in seed.get("objects") or []:
        actions["objects"](dict(body))
    for body in seed.get("fields") or []:
        actions["fields"](dict(body))
    if seed.get("settings"):
        actions["settings"](dict(seed["settings"]))
    with org.database.write():
        for name, rows in (seed.get("records") or {}).items():
            _create(actions["create"], name, rows, ids)
    for body in seed.get("calls") or []:
        given = _with_ids(body, ids)
        actions[str(given.pop("call"))](given)
    org.snapshots.remember()


def _create(create: Callable[[dict[str, Any]], Any], name: str, rows: list[dict[str, Any]], ids: Ids) -> None:
    """
    Rows of one object. Those up to the first that points at one of them go in together.
    """
    waiting: list[dict[str, Any]] = []
    names: list[str | None] = []

    def flush() -> None:
        made = create({"object": name, "records": waiting})["ids"]
        ids.update({ref: each for ref, each in zip(names, made, strict=True) if ref is not None})
        waiting.clear()
        names.clear()

    for row in rows:
        ref = row.get("ref")
        if ref is not None and (ref in ids or ref in names):
            raise ValueError(f"records.{name}: there are two of ref {ref!r}")
        if any(isinstance(value, dict) and value.get("ref") in names for value in row.values()):
            flush()
        waiting.append(_with_ids({key: value for key, value in row.items() if key != "ref"}, ids))
        names.append(None if ref is None else str(ref))
    if waiting:
        flush()


def _plant_marketo(state: "PracticeState", seed: Mapping[str, Any]) -> None:
    if not seed:
        return
    if state.marketo is None:
        raise ValueError("this server has no Marketo")
    makers = {
        "people": state.marketo.save_people,
        "programs": state.marketo.save_programs,
        "members": state.marketo.save_members,
        "activities": state.marketo.put_activities,
    }
    for name in MARKETO_PARTS:
        if seed.get(name):
            makers[name](seed[name])


def _known(seed: Any, parts: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(seed, dict) or seed.keys() - set(parts):
        raise ValueError(f"a part of a seed has {', '.join(parts)}; got {sorted(seed)}")
    return seed


def _with_ids(given: Any, ids: Ids) -> Any:
    if isinstance(given, dict):
        if given.keys() == {"ref"}:
            if given["ref"] not in ids:
                raise ValueError(f"no record above is called {given['ref']!r}")
            return ids[given["ref"]]
        return {key: _with_ids(value, ids) for key, value in given.items()}
    if isinstance(given, list):
        return [_with_ids(each, ids) for each in given]
    return given
