"""
One random history: what people do in the org, what befalls the service that polls it, all of it from one seed.

The story is kept as lines, so that a failing history can be read. Only what may really happen happens: records that an
open transaction holds are left alone, and so is what went along with another record's deletion.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tests.nothing_lost.world import World
from worker.connectors.salesforce.mapping import OBJECTS
from worker.connectors.salesforce.streams import ReadLimits

STREAM_OF: Final = {each.object_name: name for name, each in OBJECTS.items()}
PEOPLE: Final = ("Lead", "Contact", "Account")
FURTHER: Final = (("Opportunity", "OpportunityContactRole"), ("Campaign", "CampaignMember"), ("Task",))
EDITED: Final = {
    "Lead": ("Title", "Company", "City", "Rating"),
    "Contact": ("Title", "Phone", "MailingCity"),
    "Account": ("Name", "Industry", "BillingCity"),
    "Opportunity": ("Name", "Amount", "LeadSource"),
    "OpportunityContactRole": ("Role",),
    "Campaign": ("Name", "ActualCost"),
    "CampaignMember": ("Status",),
    "Task": ("Status", "Type"),
}
HIDEABLE: Final = {"Lead": "Title", "Contact": "Phone", "Account": "Industry", "Opportunity": "LeadSource"}
NEW_FIELDS: Final = {"Lead": "Fit__c", "Account": "Tier__c"}
PAGE_ROWS: Final = 200
# A transaction lasts ten minutes at most; windows overlap by fifteen.
LONGEST_TRANSACTION: Final = 600
PAST_THE_OVERLAP: Final = LONGEST_TRANSACTION + 1_000
PAST_THE_HOUR: Final = LONGEST_TRANSACTION + 3_700
# More tries of a job that failed than any history's disturbances can use up.
PATIENCE: Final = 12

LOCATOR_DEAD: Final = '[{"message":"invalid query locator","errorCode":"INVALID_QUERY_LOCATOR"}]'
SESSION_DEAD: Final = '[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]'
HTML: Final = "<html><body>We are down for maintenance.</body></html>"
TOO_MANY: Final = '[{"message":"ConcurrentRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]'


@dataclass
class Record:
    """
    What the history knows of one record; ``state`` is live, binned, gone or aside (nobody touches it any more), and is
    so for others from ``visible_at`` on.
    """

    id: str
    object: str
    parents: set[str] = field(default_factory=set)
    state: str = "live"
    is_hidden: bool = False
    was_hidden: bool = False
    was_deleted: bool = False
    visible_at: float = 0.0


@dataclass(frozen=True)
class Merge:
    """
    A loser and its winner, and when others could see it.
    """

    loser: str
    winner: str
    visible_at: float


class History:
    """
    ``run`` lets it happen; afterwards ``records`` and ``merges`` say what the truth cannot show any more.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.seed = seed
        self.random = random.Random(seed)
        self.story: list[str] = []
        self.records: dict[str, Record] = {}
        self.merges: list[Merge] = []
        self.purged_at: dict[str, float] = {}
        self.hidden_fields: set[tuple[str, str]] = set()
        self.changed_fields: set[str] = set()
        self.grown: set[tuple[str, str]] = set()
        self.polled_at: list[float] = []
        self.clock = 0.0
        self.late = 0
        further = [each for each in FURTHER if self.random.random() < 0.5]
        self.objects = [*PEOPLE, *(name for pair in further for name in pair)]
        self.streams = [STREAM_OF[name] for name in self.objects]
        self.steps = self.random.randint(4, 7)

    def run(self) -> None:
        """
        Begin the world, live the steps, and poll until nothing is left to read; the sweep is still to come.
        """
        bulk_above = 25 if self.random.random() < 0.3 else 2_000
        limits = ReadLimits(describe_every=timedelta(hours=1), bulk_above=bulk_above, bulk_page=40)
        self._tell(f"reading {', '.join(self.objects)}; Bulk above {bulk_above} rows")
        self.world.begin(self.streams, limits)
        self._found()
        for _ in range(self.steps):
            for _ in range(self.random.randint(1, 4)):
                self._something_happens()
            self._pass(self.random.choice((0, 2, 20, 90, 300, 300, 700, 2_500)))
            if self.random.random() < 0.65:
                self._poll()
        self._rest()

    def _rest(self) -> None:
        self._calm()
        # New descriptions and the log of deletions are asked for once an hour.
        is_slow = bool(self.changed_fields or self.purged_at)
        self._pass(PAST_THE_HOUR if is_slow else PAST_THE_OVERLAP)
        self._tell("quiet")
        # The first ends the window that was being read, the second reaches the present.
        for _ in range(2):
            assert self.world.poll(tries=PATIENCE), self.world.troubles()

    # -- what people do

    def _found(self) -> None:
        for name in self.objects:
            self._create(name, self.random.randint(1, 6))
        if self.random.random() < 0.04:
            self._create("Lead", self.random.choice((450, 1_100, 2_300)))

    def _something_happens(self) -> None:
        events: list[tuple[int, Callable[[], None]]] = [
            (6, self._create_some),
            (8, self._edit),
            (3, self._touch),
            (5, self._delete),
            (3, self._undelete),
            (3, self._hard_delete),
            (2, self._empty_bin),
            (4, self._merge),
            (3, self._convert),
            (3, self._hide),
            (3, self._show),
            (2, self._change_schema),
            (1, self._archive),
            (1, self._many_at_once),
        ]
        weights, acts = zip(*events, strict=True)
        self.random.choices(acts, weights)[0]()

    def _create_some(self) -> None:
        self._create(self._object(), self.random.randint(1, 3))

    def _many_at_once(self) -> None:
        # More than a page of rows on one second.
        self._create(self.random.choice(("Lead", "Contact")), self.random.randint(201, 280))

    def _create(self, name: str, count: int) -> None:
        rows = [row for row in (self._row(name) for _ in range(count)) if row is not None]
        if rows:
            done = self._do("create", object=name, records=rows)
            if done is not None:
                self._keep(name, done["ids"], rows)
                self._tell(f"create {name} {_some(done['ids'])}{self._until()}")

    def _edit(self) -> None:
        name = self._object()
        chosen = self._pick(name, self.random.randint(1, 3))
        records = [{"Id": each.id, **self._edits(name)} for each in chosen]
        if chosen and self._do("update", object=name, records=records) is not None:
            self._tell(f"edit {name} {_some_of(chosen)}{self._until()}")

    def _touch(self) -> None:
        name = self._object()
        chosen = self._live(name)
        if chosen and self._do("touch", object=name, ids=[each.id for each in chosen]) is not None:
            self._tell(f"system touch of all {len(chosen)} {name}{self._until()}")

    def _delete(self) -> None:
        name = self._object()
        self._remove("delete", name, self._pick(name, self.random.randint(1, 2)))

    def _hard_delete(self) -> None:
        name = self.random.choice([each for each in self.objects if each not in ("Account", "Campaign")])
        chosen = self._pick(name, self.random.randint(1, 2), also_hidden=True)
        # What stands below a record goes first, as it does for a person who deletes for good.
        if self._remove("delete", name, chosen, may_be_late=False):
            self.world.control("salesforce/hard_delete", object=name, ids=[each.id for each in chosen])
            for each in chosen:
                self._purged(each)
            self._tell(f"hard delete {name} {_some_of(chosen)}")

    def _remove(self, how: str, name: str, chosen: Sequence[Record], *, may_be_late: bool = True) -> bool:
        ids = [each.id for each in chosen]
        if not chosen or self._do(how, may_be_late=may_be_late, object=name, ids=ids) is None:
            return False
        for each in chosen:
            each.state = "gone" if name in ("OpportunityContactRole", "CampaignMember") else "binned"
            each.visible_at, each.was_deleted = self.clock + self.late, True
            self._put_aside_below(each)
        self._tell(f"{how} {name} {_some_of(chosen)}{self._until()}")
        return True

    def _undelete(self) -> None:
        binned = [each for each in self.records.values() if self._is_in_bin(each) and each.id not in self._losers()]
        if binned:
            chosen = self.random.choice(binned)
            if self._do("undelete", ids=[chosen.id]) is not None:
                chosen.state, chosen.visible_at = "live", self.clock + self.late
                self._tell(f"undelete {chosen.object} {chosen.id}{self._until()}")

    def _empty_bin(self) -> None:
        if self._do("empty_bin", may_be_late=False) is not None:
            for each in self.records.values():
                if self._is_in_bin(each):
                    self._purged(each)
            self._tell("empty the bin")

    def _merge(self) -> None:
        name = self.random.choice(PEOPLE)
        chosen = [each for each in self._pick(name, self.random.randint(2, 3)) if not self._is_converted(each)]
        if len(chosen) < 2:
            return
        winner, *losers = chosen
        if self._do("merge", object=name, winner=winner.id, losers=[each.id for each in losers]) is None:
            return
        for each in losers:
            each.state, each.visible_at = "binned", self.clock + self.late
            self.merges.append(Merge(each.id, winner.id, each.visible_at))
            for below in self._below(each):
                below.parents.add(winner.id)
                if below.object == "CampaignMember":
                    below.state = "aside"
        self._tell(f"merge {name} {_some_of(losers)} into {winner.id}{self._until()}")

    def _convert(self) -> None:
        leads = [each for each in self._pick("Lead", 1) if not self._is_converted(each)]
        if not leads:
            return
        conversion: dict[str, Any] = {"leadId": leads[0].id}
        accounts = self._pick("Account", 1)
        if accounts and self.random.random() < 0.5:
            conversion["account"] = {"Id": accounts[0].id}
        if self.random.random() < 0.5:
            conversion["opportunity"] = {"Name": "From a lead"}
        done = self._do("convert", conversions=[conversion])
        if done is None:
            return
        (result,) = done["results"]
        leads[0].parents.add("converted")
        account, contact = result["accountId"], result["contactId"]
        made = [(account, "Account", set()), (contact, "Contact", {account})]
        if result["opportunityId"]:
            deal = result["opportunityId"]
            made += [(deal, "Opportunity", {account}), (result["roleId"], "OpportunityContactRole", {deal, contact})]
        for record_id, name, parents in made:
            self.records.setdefault(record_id, Record(record_id, name, parents, visible_at=self.clock + self.late))
        for below in self._below(leads[0]):
            below.parents.add(contact)
        self._tell(f"convert Lead {leads[0].id} to {contact} on {account}{self._until()}")

    def _hide(self) -> None:
        chosen = self._pick(self._object(), self.random.randint(1, 2))
        if chosen:
            self.world.control("salesforce/hide_records", ids=[each.id for each in chosen])
            for each in chosen:
                each.is_hidden = each.was_hidden = True
            self._tell(f"hide {_some_of(chosen)}")

    def _show(self) -> None:
        hidden = [each for each in self.records.values() if each.is_hidden]
        chosen = self.random.sample(hidden, min(len(hidden), self.random.randint(1, 2)))
        if chosen:
            self.world.control("salesforce/show_records", ids=[each.id for each in chosen])
            for each in chosen:
                each.is_hidden = False
            self._tell(f"show again {_some_of(chosen)}")

    def _archive(self) -> None:
        if "Task" in self.objects and self._do("archive", older_than_days=0) is not None:
            self._tell(f"archive old tasks{self._until()}")

    def _change_schema(self) -> None:
        name = self.random.choice([each for each in self.objects if each in HIDEABLE])
        new = NEW_FIELDS.get(name)
        if new is not None and (name, new) not in self.hidden_fields and self.random.random() < 0.5:
            self._grow(name, new)
            return
        target = HIDEABLE[name]
        self.changed_fields.add(target)
        is_hidden = (name, target) in self.hidden_fields
        self.world.control(f"salesforce/{'show' if is_hidden else 'hide'}_fields", object=name, fields=[target])
        (self.hidden_fields.discard if is_hidden else self.hidden_fields.add)((name, target))
        self._tell(f"{'show' if is_hidden else 'hide'} the field {name}.{target}")

    def _grow(self, name: str, new: str) -> None:
        # Its values come while nobody but the administrator sees it: making it visible moves no stamp.
        if (name, new) in self.grown:
            return
        self.grown.add((name, new))
        self.changed_fields.add(new)
        definition = {"name": new, "type": "Number", "precision": 5, "scale": 2}
        self.world.control("salesforce/fields", object=name, fields=[definition])
        self.world.control("salesforce/hide_fields", object=name, fields=[new])
        self.hidden_fields.add((name, new))
        chosen = self._pick(name, 3)
        records = [{"Id": each.id, new: self.random.randint(1, 99)} for each in chosen]
        is_filled = bool(chosen) and self._do("update", may_be_late=False, object=name, records=records) is not None
        self._tell(f"a new field {name}.{new}, hidden; filled for {_some_of(chosen) if is_filled else 'none'}")

    def _do(self, call: str, *, may_be_late: bool = True, **body: Any) -> Any:
        """
        A call that writes, perhaps in a transaction that is open for a while. None where such a one holds its rows.
        """
        self.late = self.random.randint(1, LONGEST_TRANSACTION - 1) if may_be_late and self.random.random() < 0.2 else 0
        try:
            return self.world.control(f"salesforce/{call}", **body, **self._lateness())
        except RuntimeError as error:
            if "UNABLE_TO_LOCK_ROW" not in str(error):
                raise
            self._tell(f"{call}: the rows are held by an open transaction")
            return None

    def _lateness(self) -> dict[str, int]:
        return {"commit_after_seconds": self.late} if self.late else {}

    def _until(self) -> str:
        return f", committed {self.late} s later" if self.late else ""

    # -- what befalls the service

    def _poll(self) -> None:
        self._disturb()
        pages = self.random.randint(0, 6) if self.random.random() < 0.1 else None
        is_sweep = self.random.random() < 0.15
        is_through = (self.world.sweep if is_sweep else self.world.poll)(pages=pages, tries=self.random.randint(1, 2))
        self._calm()
        if is_through and not is_sweep:
            self.polled_at.append(self.clock)
        words = "sweep" if is_sweep else "poll"
        self._tell(f"{words} {'through' if is_through else 'not through: ' + _codes(self.world)}")

    def _disturb(self) -> None:
        if self.random.random() < 0.6:
            return
        times, skip = self.random.randint(1, 4), self.random.randint(0, 3)
        has_many = any(len(self._live(name)) > PAGE_ROWS for name in self.objects)
        disturbance = (
            "locators"
            if has_many and self.random.random() < 0.5
            else self.random.choice(
                (
                    {"status": 401, "body": SESSION_DEAD, "content_type": "application/json"},
                    {"status": 429, "body": "", "content_type": "text/html"},
                    {"status": 403, "body": TOO_MANY, "content_type": "application/json"},
                    {"status": 500, "body": HTML, "content_type": "text/html"},
                    {"status": 503, "body": HTML, "content_type": "text/html"},
                    {"status": 200, "body": HTML, "content_type": "text/html"},
                    {"cut_body_at": self.random.choice((0, 1, 20, 400))},
                    {"reset": self.random.choice(("before", "after"))},
                    "sessions",
                    "locators",
                    "jobs",
                )
            )
        )
        if disturbance == "sessions":
            self.world.control("salesforce/expire_sessions")
        elif disturbance == "locators":
            self.world.control("salesforce/settings", cursors=1)
            self.world.org.fault(
                {"status": 404, "body": LOCATOR_DEAD, "content_type": "application/json"},
                system="salesforce",
                method="GET",
                path_contains="/query/0r8",
                times=self.random.randint(1, 2),
            )
        elif disturbance == "jobs":
            self.world.control("salesforce/settings", hold_bulk_jobs=True)
        else:
            assert isinstance(disturbance, dict)
            self.world.org.fault(disturbance, system="salesforce", times=times, skip=skip)
        self._tell(f"disturbance, {times} times after {skip}: {_short(disturbance)}")

    def _calm(self) -> None:
        self.world.org.control("DELETE", "faults")
        self.world.control("salesforce/settings", hold_bulk_jobs=False, cursors=10)
        self.world.control("salesforce/release_jobs")

    def _pass(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        self.clock += seconds
        self._tell(f"{seconds} s pass")

    # -- choosing

    def _object(self) -> str:
        return self.random.choice(self.objects)

    def _live(self, name: str, *, also_hidden: bool = False) -> list[Record]:
        return [
            each
            for each in self.records.values()
            if each.object == name
            and each.state == "live"
            and each.visible_at <= self.clock
            and (also_hidden or not each.is_hidden)
        ]

    def _pick(self, name: str, count: int, *, also_hidden: bool = False) -> list[Record]:
        # The newest ones too, but not always: a history is about few records that much happens to.
        found = self._live(name, also_hidden=also_hidden)[:40]
        return self.random.sample(found, min(count, len(found)))

    def _is_in_bin(self, record: Record) -> bool:
        return record.state == "binned" and record.visible_at <= self.clock

    def _is_converted(self, record: Record) -> bool:
        return "converted" in record.parents

    def _losers(self) -> set[str]:
        return {each.loser for each in self.merges}

    def _below(self, record: Record) -> list[Record]:
        return [each for each in self.records.values() if record.id in each.parents]

    def _put_aside_below(self, record: Record) -> None:
        for each in self._below(record):
            if each.state == "live":
                each.state = "aside"
                self._put_aside_below(each)

    def _purged(self, record: Record) -> None:
        record.state = "gone"
        self.purged_at[record.id] = self.clock

    def _keep(self, name: str, ids: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
        for record_id, row in zip(ids, rows, strict=True):
            parents = {str(value) for key, value in row.items() if key.endswith("Id") and value}
            self.records[record_id] = Record(record_id, name, parents, visible_at=self.clock + self.late)

    def _row(self, name: str) -> dict[str, Any] | None:
        number = self.random.randint(1, 999)
        match name:
            case "Account":
                return {"Name": f"Company {number}"}
            case "Contact":
                return self._with(["AccountId"], {"LastName": f"Contact {number}"})
            case "Lead":
                return {"LastName": f"Lead {number}", "Company": f"Company {number}"}
            case "Opportunity":
                day = f"2027-01-{number % 28 + 1:02d}"
                deal = {"Name": f"Deal {number}", "StageName": "Prospecting", "CloseDate": day}
                return self._with(["AccountId"], deal)
            case "OpportunityContactRole":
                return self._with(["OpportunityId", "ContactId"], {"Role": "Evaluator"}, needed=True)
            case "Campaign":
                return {"Name": f"Campaign {number}"}
            case "CampaignMember":
                person = self.random.choice(("LeadId", "ContactId"))
                return self._with(["CampaignId", person], {"Status": "Sent"}, needed=True)
            case _:
                return self._with(["WhoId"], {"Subject": "Call", "Status": "Completed", "ActivityDate": "2026-01-02"})

    def _with(self, references: list[str], row: dict[str, Any], *, needed: bool = False) -> dict[str, Any] | None:
        for reference in references:
            name = self.random.choice(("Lead", "Contact")) if reference == "WhoId" else reference.removesuffix("Id")
            found = self._pick(name, 1)
            if not found and needed:
                return None
            row[reference] = found[0].id if found else None
        return row

    def _edits(self, name: str) -> dict[str, Any]:
        target = self.random.choice(EDITED[name])
        number = self.random.randint(1, 9_999)
        match target:
            case "Status":
                return {target: self.random.choice(_WORDS[f"{name}.Status"])}
            case "Amount" | "ActualCost":
                return {target: number}
            case "Rating" | "Industry" | "LeadSource" | "Role" | "Type":
                return {target: self.random.choice(_WORDS[target])}
            case _:
                empty = "z" if target in _NEEDED else None
                return {target: self.random.choice((f"{target} {number}", 'Zoë "x", y', empty))}

    def _tell(self, words: str) -> None:
        self.story.append(f"{self.clock:>7.0f} s  {words}")


_NEEDED: Final = frozenset({"Company", "Name"})
_WORDS: Final = {
    "CampaignMember.Status": ("Sent", "Responded"),
    "Task.Status": ("Open", "Completed"),
    "Rating": ("Hot", "Warm", "Cold"),
    "Industry": ("Banking", "Energy", None),
    "LeadSource": ("Web", "Other", None),
    "Role": ("Evaluator", "Decision Maker", None),
    "Type": ("Call", "Other", None),
}


def _some(ids: Sequence[str]) -> str:
    return f"{', '.join(ids[:3])}{f' and {len(ids) - 3} more' if len(ids) > 3 else ''}" if ids else "none"


def _some_of(records: Sequence[Record]) -> str:
    return _some([each.id for each in records])


def _short(disturbance: object) -> str:
    if isinstance(disturbance, dict) and "body" in disturbance:
        return str({**disturbance, "body": "..."})
    return str(disturbance)


def _codes(world: World) -> str:
    return ", ".join(str(each["error_code"]) for each in world.troubles()[:1]) or "stopped"
