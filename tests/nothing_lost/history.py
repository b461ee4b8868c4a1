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

from tests.nothing_lost.disturbances import KINDS, Disturbances
from tests.nothing_lost.values import NEEDS_ALL, POINTS_AT, first_values, typed_values
from tests.nothing_lost.world import World
from worker.connectors.salesforce.mapping import OBJECTS
from worker.connectors.salesforce.streams import ReadLimits

STREAM_OF: Final = {each.object_name: name for name, each in OBJECTS.items()}
PEOPLE: Final = ("Account", "Lead", "Contact")
FURTHER: Final = (("Opportunity", "OpportunityContactRole"), ("Campaign", "CampaignMember"), ("Task",))
HIDEABLE: Final = {"Lead": "Title", "Contact": "Phone", "Account": "Industry", "Opportunity": "LeadSource"}
NEW_FIELDS: Final = {"Lead": "Fit__c", "Account": "Tier__c"}
PAGE_ROWS: Final = 200
BULK_PAGE_ROWS: Final = 40
MORE_THAN_A_BULK_PAGE: Final = 45
# A transaction lasts ten minutes at most; windows overlap by fifteen.
LONGEST_TRANSACTION: Final = 600
PAST_THE_OVERLAP: Final = LONGEST_TRANSACTION + 1_000
PAST_THE_HOUR: Final = LONGEST_TRANSACTION + 3_700
# More tries of a job that failed than any history's disturbances can use up.
PATIENCE: Final = 12

# The ingredients, each of which a fair share of the histories must hold: what people do, what befalls the service.
DEEDS: Final = (
    "create", "edit", "touch", "delete", "undelete", "hard delete", "empty bin", "merge", "convert", "hide", "show",
    "shown after a sweep", "hide field", "show field", "new field", "new field shown", "other field", "archive",
    "many on one second", "name beneath a formula", "late commit", "read before a late commit",
)  # fmt: skip
CIRCUMSTANCES: Final = ("a large beginning", "a first load by Bulk", "a sweep between", "a stop midway")
INGREDIENTS: Final = (*DEEDS, *CIRCUMSTANCES, *KINDS)
BY_BULK: Final = frozenset({"a first load by Bulk", "a stuck job", "a failed job", "a lost job"})
# What some deeds need before them.
NEEDS: Final = {
    "undelete": ("delete",),
    "empty bin": ("delete",),
    "show": ("hide",),
    "show field": ("hide field",),
    "new field shown": ("new field",),
    "other field": ("new field", "new field shown"),
    "a dead cursor": ("many on one second",),
}
# One history of so many has a Bulk job that never ends: it takes a hundred and thirty looks to give it up.
FOREVER: Final = 200
MOST_LOOKS: Final = 140


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
        self.disturbances = Disturbances(world, self.random)
        # Neighbouring seeds see to it that nothing is left to chance: each history makes sure of one ingredient.
        self.subject = INGREDIENTS[seed % len(INGREDIENTS)]
        self._seen: set[str] = set()
        further = self.random.sample(FURTHER, self.random.choice((0, 1, 1, 1, 1, 1, 2, 3)))
        if self.subject == "archive" and ("Task",) not in further:
            further.append(("Task",))
        self.objects = [*PEOPLE, *(name for group in further for name in group)]
        self.streams = [STREAM_OF[name] for name in self.objects]
        self.steps = self.random.randint(2, 4)
        self.by_bulk = self.subject in BY_BULK or seed % FOREVER == 0 or self.random.random() < 0.08

    @property
    def ingredients(self) -> set[str]:
        """
        What it held, of all INGREDIENTS.
        """
        return self._seen | self.disturbances.struck

    def run(self) -> None:
        """
        Begin the world, live the steps, and poll until nothing is left to read; the sweep is still to come.
        """
        limits = ReadLimits(
            describe_every=timedelta(hours=1), bulk_above=3 if self.by_bulk else 2_000, bulk_page=BULK_PAGE_ROWS
        )
        self._tell(f"reading {', '.join(self.objects)}; {'by Bulk at first' if self.by_bulk else 'by REST'}")
        described_before = timedelta(seconds=self.random.randint(0, 5_400))
        second = self.random.randrange(3_600)
        self.world.begin(self.streams, limits, described_before=described_before, second=second)
        self._found()
        for step in range(self.steps):
            for _ in range(self.random.randint(1, 4)):
                self._something_happens()
            if step == 1:
                self._make_sure()
            self._pass(self.random.choice((0, 2, 20, 90, 300, 300, 700, 2_500)))
            if self.random.random() < 0.65:
                self._poll()
        self._rest()

    def _rest(self) -> None:
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
            count = self.random.randint(4, 8) if self.by_bulk else self.random.randint(1, 6)
            self._create(name, MORE_THAN_A_BULK_PAGE if self.by_bulk and name == "Lead" else count)
        is_large = self.subject in ("a large beginning", "a dead cursor") or self.random.random() < 0.06
        if is_large and self._create("Lead", self.random.choice((210, 450))):
            self._seen.add("a large beginning")
        if self.by_bulk:
            # Some of it is in the bin by then, and a first load that loses rows has no overlap to find them again.
            self._delete()
            self._delete()
            self._pass(PAST_THE_OVERLAP)
            if self.seed % FOREVER == 0:
                self._wait_for_a_job_without_end()
        elif self.random.random() < 0.7:
            return
        self._poll(self.subject if self.subject in BY_BULK else None)

    def _something_happens(self) -> None:
        acts, weights = zip(*((act, weight) for act, weight in self._acts().values() if weight), strict=True)
        self.random.choices(acts, weights)[0]()

    def _acts(self) -> dict[str, tuple[Callable[[], None], int]]:
        return {
            "create": (self._create_some, 6),
            "edit": (self._edit, 8),
            "touch": (self._touch, 3),
            "delete": (self._delete, 5),
            "undelete": (self._undelete, 4),
            "hard delete": (self._hard_delete, 3),
            "empty bin": (self._empty_bin, 2),
            "merge": (self._merge, 4),
            "convert": (self._convert, 3),
            "hide": (self._hide, 3),
            "show": (self._show, 3),
            "shown after a sweep": (self._show_after_a_sweep, 1),
            "hide field": (self._hide_field, 1),
            "show field": (self._show_field, 2),
            "new field": (self._new_field, 1),
            "new field shown": (self._show_new_field, 1),
            "other field": (self._change_new_field, 1),
            "archive": (self._archive, 1),
            "many on one second": (self._many_at_once, 1),
            "name beneath a formula": (self._rename_an_account, 1),
            "late commit": (self._edit_late, 1),
            "read before a late commit": (self._read_before_a_late_commit, 2),
        }

    def _make_sure(self) -> None:
        # Some need another before them, and records that no open transaction holds.
        for _ in range(8):
            if self.subject in self.ingredients:
                return
            for each in (*NEEDS.get(self.subject, ()), self.subject):
                if each in DEEDS:
                    self._acts()[each][0]()
                else:
                    self._pass(60)
                    self._poll(each)

    def _create_some(self) -> None:
        self._create(self._object(), self.random.randint(1, 3))

    def _many_at_once(self) -> None:
        # More than a page of rows on one second.
        if self._create(self.random.choice(("Lead", "Contact")), self.random.randint(201, 280), may_be_late=False):
            self._seen.add("many on one second")

    def _create(self, name: str, count: int, *, may_be_late: bool = True) -> bool:
        rows = [row for row in (self._row(name) for _ in range(count)) if row is not None]
        done = self._do("create", may_be_late=may_be_late, object=name, records=rows) if rows else None
        if done is not None:
            self._keep(name, done["ids"], rows)
            self._tell(f"create {name} {_some(done['ids'])}{self._until()}", "create")
        return done is not None

    def _edit(self, late: int | None = None) -> None:
        name = self._object()
        chosen = self._pick(name, self.random.randint(1, 3))
        records = [{"Id": each.id, **typed_values(name, self.random)} for each in chosen]
        if chosen and self._do("update", late=late, object=name, records=records) is not None:
            self._tell(f"edit {name} {_some_of(chosen)}{self._until()}", "edit")

    def _rename_an_account(self) -> None:
        # Its contacts show the name in a formula, and no stamp of theirs moves.
        above = {parent for each in self._live("Contact") for parent in each.parents}
        chosen = [each for each in self._live("Account") if each.id in above]
        if not chosen:
            return
        account = self.random.choice(chosen)
        record = {"Id": account.id, "Name": f"Renamed {self.random.randint(1, 9_999)}"}
        self._pass(PAST_THE_OVERLAP)
        if self._read(tries=2) and self._do("update", object="Account", records=[record]) is not None:
            self._tell(f"rename Account {account.id}{self._until()}", "name beneath a formula")

    def _edit_late(self) -> None:
        self._edit(self.random.randint(1, LONGEST_TRANSACTION))

    def _read_before_a_late_commit(self) -> None:
        self.late = 0
        # The hardest case that can happen: all is read just before the longest transaction ends.
        self._edit(LONGEST_TRANSACTION)
        if self.late == LONGEST_TRANSACTION:
            self._pass(LONGEST_TRANSACTION - self.random.choice((1, 5, 30)))
            if self._read(tries=2):
                self._seen.add("read before a late commit")

    def _touch(self) -> None:
        name = self._object()
        chosen = self._live(name)
        if chosen and self._do("touch", object=name, ids=[each.id for each in chosen]) is not None:
            self._tell(f"system touch of all {len(chosen)} {name}{self._until()}", "touch")

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
            self._tell(f"hard delete {name} {_some_of(chosen)}", "hard delete")

    def _remove(self, how: str, name: str, chosen: Sequence[Record], *, may_be_late: bool = True) -> bool:
        ids = [each.id for each in chosen]
        if not chosen or self._do(how, may_be_late=may_be_late, object=name, ids=ids) is None:
            return False
        for each in chosen:
            each.state = "gone" if name in ("OpportunityContactRole", "CampaignMember") else "binned"
            each.visible_at, each.was_deleted = self.clock + self.late, True
            self._put_aside_below(each)
        self._tell(f"{how} {name} {_some_of(chosen)}{self._until()}", "delete")
        return True

    def _undelete(self) -> None:
        binned = [each for each in self.records.values() if self._is_in_bin(each) and each.id not in self._losers()]
        if binned:
            chosen = self.random.choice(binned)
            if self._do("undelete", ids=[chosen.id]) is not None:
                chosen.state, chosen.visible_at = "live", self.clock + self.late
                self._tell(f"undelete {chosen.object} {chosen.id}{self._until()}", "undelete")

    def _empty_bin(self) -> None:
        if self._do("empty_bin", may_be_late=False) is not None:
            for each in self.records.values():
                if self._is_in_bin(each) or each.state == "aside":
                    self._purged(each)
            self._tell("empty the bin", "empty bin")

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
        self._tell(f"merge {name} {_some_of(losers)} into {winner.id}{self._until()}", "merge")

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
        self._tell(f"convert Lead {leads[0].id} to {contact} on {account}{self._until()}", "convert")

    def _hide(self) -> None:
        chosen = self._pick(self._object(), self.random.randint(1, 2))
        if chosen:
            self.world.control("salesforce/hide_records", ids=[each.id for each in chosen])
            for each in chosen:
                each.is_hidden = each.was_hidden = True
            self._tell(f"hide {_some_of(chosen)}", "hide")

    def _show(self) -> None:
        # Of one that was purged while it was hidden nobody can tell any more: it stays what it was last seen to be.
        hidden = [each for each in self.records.values() if each.is_hidden and each.state != "gone"]
        self._reveal(self.random.sample(hidden, min(len(hidden), self.random.randint(1, 2))))

    def _reveal(self, chosen: Sequence[Record]) -> None:
        if chosen:
            self.world.control("salesforce/show_records", ids=[each.id for each in chosen])
            for each in chosen:
                each.is_hidden = False
            self._tell(f"show again {_some_of(chosen)}", "show")

    def _show_after_a_sweep(self) -> None:
        # What settled long ago is missed by a sweep and not by a poll, and nothing of it moves when it is shown again.
        self._hide()
        self._pass(PAST_THE_OVERLAP)
        if self._read(tries=2) and self._read(is_sweep=True, tries=2):
            hidden = [each for each in self.records.values() if each.is_hidden and each.state == "live"]
            self._reveal(hidden)
            if hidden:
                self._seen.add("shown after a sweep")

    def _archive(self) -> None:
        if "Task" in self.objects and self._do("archive", older_than_days=0) is not None:
            self._tell(f"archive old tasks{self._until()}", "archive")

    def _hide_field(self) -> None:
        name = self.random.choice([each for each in self.objects if each in HIDEABLE])
        if (name, HIDEABLE[name]) not in self.hidden_fields:
            self._set_visible(name, HIDEABLE[name], is_visible=False)
            self._tell(f"hide the field {name}.{HIDEABLE[name]}", "hide field")

    def _show_field(self) -> None:
        hidden = sorted(self.hidden_fields - self.grown)
        if hidden:
            name, field = self.random.choice(hidden)
            self._set_visible(name, field, is_visible=True)
            self._tell(f"show the field {name}.{field}", "show field")

    def _new_field(self) -> None:
        # Its values come while nobody but the administrator sees it: making it visible moves no stamp.
        absent = sorted(set(NEW_FIELDS.items()) - self.grown)
        if not absent:
            return
        name, new = self.random.choice(absent)
        self.grown.add((name, new))
        definition = {"name": new, "type": "Number", "precision": 5, "scale": 2}
        self.world.control("salesforce/fields", object=name, fields=[definition])
        self._set_visible(name, new, is_visible=False)
        chosen = self._pick(name, 3)
        records = [{"Id": each.id, new: self.random.randint(1, 99)} for each in chosen]
        is_filled = bool(chosen) and self._do("update", may_be_late=False, object=name, records=records) is not None
        filled = _some_of(chosen) if is_filled else "none"
        self._tell(f"a new field {name}.{new}, hidden; filled for {filled}", "new field")

    def _show_new_field(self) -> None:
        hidden = sorted(self.hidden_fields & self.grown)
        if hidden:
            name, new = self.random.choice(hidden)
            self._set_visible(name, new, is_visible=True)
            self._tell(f"show the new field {name}.{new}", "new field shown")

    def _change_new_field(self) -> None:
        shown = sorted(self.grown - self.hidden_fields)
        if not shown:
            return
        name, new = self.random.choice(shown)
        if self.random.random() < 0.5:
            text = {"object": name, "field": new, "type": "Text", "length": 40}
            if self._do("retype_field", may_be_late=False, **text) is not None:
                self._tell(f"{name}.{new} is text from now on", "other field")
        else:
            self.world.org.control("DELETE", "salesforce/fields", {"object": name, "fields": [new]})
            self.grown.discard((name, new))
            self._tell(f"remove the field {name}.{new}", "other field")

    def _set_visible(self, name: str, field: str, *, is_visible: bool) -> None:
        self.changed_fields.add(field)
        self.world.control(f"salesforce/{'show' if is_visible else 'hide'}_fields", object=name, fields=[field])
        (self.hidden_fields.discard if is_visible else self.hidden_fields.add)((name, field))

    def _do(self, call: str, *, may_be_late: bool = True, late: int | None = None, **body: Any) -> Any:
        """
        A call that writes, perhaps in a transaction that is open for a while. None where such a one holds its rows.
        """
        self.late = late or 0
        if late is None and may_be_late and self.random.random() < 0.2:
            self.late = self.random.choice((self.random.randint(1, LONGEST_TRANSACTION), LONGEST_TRANSACTION))
        try:
            done = self.world.control(f"salesforce/{call}", **body, **self._lateness())
        except RuntimeError as error:
            if "UNABLE_TO_LOCK_ROW" not in str(error):
                raise
            self._tell(f"{call}: the rows are held by an open transaction")
            return None
        if self.late:
            self._seen.add("late commit")
        return done

    def _lateness(self) -> dict[str, int]:
        return {"commit_after_seconds": self.late} if self.late else {}

    def _until(self) -> str:
        return f", committed {self.late} s later" if self.late else ""

    # -- what befalls the service

    def _poll(self, disturbance: str | None = None) -> None:
        """
        A poll or a sweep, disturbed or not, to its end or not.
        """
        self.world.hear()
        is_disturbed = disturbance in KINDS or self.random.random() < 0.45
        if is_disturbed:
            kind = disturbance if disturbance in KINDS else self._some_disturbance()
            self._tell(self.disturbances.order(kind, at=self._aim()))
        is_sweep = disturbance == "a sweep between" or self.random.random() < 0.15
        is_cut_short = disturbance == "a stop midway" or self.random.random() < 0.12
        self._read(
            is_sweep=is_sweep and disturbance not in KINDS,
            pages=self.random.randint(0, 6) if is_cut_short else None,
            tries=self.random.randint(1, 2),
        )
        self.disturbances.calm()
        if is_disturbed and (disturbance in KINDS or self.random.random() < 0.3):
            # Whatever was lost by that is not read once more for the overlap's sake alone.
            self._pass(PAST_THE_OVERLAP)

    def _some_disturbance(self) -> str:
        if self.by_bulk and not self.polled_at and self.random.random() < 0.6:
            return self.random.choice([each for each in KINDS if each.endswith("job")])
        if any(len(self._live(name)) > PAGE_ROWS for name in self.objects) and self.random.random() < 0.5:
            return "a dead cursor"
        return self.random.choice([each for each in KINDS if not each.endswith(("job", "cursor"))])

    def _aim(self) -> str | None:
        # Further pages and jobs are a small part of all calls: many disturbances are meant for them.
        if self.by_bulk and not self.polled_at:
            return self.random.choice((None, "/jobs/query"))
        if any(len(self._live(name)) > PAGE_ROWS for name in self.objects):
            return self.random.choice((None, "/query/0r8"))
        return None

    def _read(self, *, is_sweep: bool = False, pages: int | None = None, tries: int = 1) -> bool:
        is_through = (self.world.sweep if is_sweep else self.world.poll)(pages=pages, tries=tries)
        if is_through and not is_sweep:
            self.polled_at.append(self.clock)
        if is_sweep:
            self._seen.add("a sweep between")
        if pages is not None and not is_through:
            self._seen.add("a stop midway")
        if self.by_bulk and (self.world.held_jobs() or len(self.polled_at) == 1):
            self._seen.add("a first load by Bulk")
        words = "sweep" if is_sweep else "poll"
        self._tell(f"{words} {'through' if is_through else 'not through: ' + _codes(self.world)}")
        return is_through

    def _wait_for_a_job_without_end(self) -> None:
        self._tell(self.disturbances.order("a stuck job"))
        self._read()
        stuck = set(self.world.held_jobs())
        self._read(tries=MOST_LOOKS)
        assert stuck.isdisjoint(self.world.held_jobs()), "a job that never ends is waited for without end"
        self.disturbances.calm()

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
        row = first_values(name, self.random)
        for references in POINTS_AT.get(name, ()):
            reference = self.random.choice(references)
            target = self.random.choice(("Lead", "Contact")) if reference == "WhoId" else reference.removesuffix("Id")
            found = self._pick(target, 1)
            if not found and name in NEEDS_ALL:
                return None
            row[reference] = found[0].id if found else None
        return row

    def _tell(self, words: str, ingredient: str | None = None) -> None:
        self.story.append(f"{self.clock:>7.0f} s  {words}")
        if ingredient is not None:
            self._seen.add(ingredient)


def _some(ids: Sequence[str]) -> str:
    return f"{', '.join(ids[:3])}{f' and {len(ids) - 3} more' if len(ids) > 3 else ''}" if ids else "none"


def _some_of(records: Sequence[Record]) -> str:
    return _some([each.id for each in records])


def _codes(world: World) -> str:
    return ", ".join(str(each["error_code"]) for each in world.troubles()[:1]) or "stopped"
