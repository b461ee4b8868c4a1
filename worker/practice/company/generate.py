"""
Makes the whole made-up company from a seed and a moment.

Pure: the same seed and moment give the same company, byte for byte, on any machine. Each room draws from its own
stream of chance, so that a change in one leaves the others as they were. Called by the demo, the command line and
tests.
"""

from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from worker.practice.company.calendar import CalendarMaker
from worker.practice.company.cast import cast_firms, cast_humans, form_teams
from worker.practice.company.deals import Pipeline
from worker.practice.company.diary import Diary
from worker.practice.company.dirt import Dirt
from worker.practice.company.model import Company
from worker.practice.company.records import PeopleWriter, write_firms, write_users
from worker.practice.company.story import StoryTeller, story_humans
from worker.practice.company.touches import Market


def generate(seed: int, now: datetime) -> Company:
    """
    Eighteen months of a company ending at ``now``, an aware moment (taken at whole seconds).

    About 400 accounts, 5,000 people, 300 opportunities. Raises ValueError for a naive moment.
    """
    if now.tzinfo is None:
        raise ValueError("now is an aware moment")
    company = Company(seed, now.astimezone(UTC).replace(microsecond=0))
    chance = {room: Random(f"{seed}:{room}") for room in ("cast", "details", "touches", "deals", "dirt", "records")}
    sellers = write_users(company)
    calendar = CalendarMaker(company).make()
    firms = cast_firms(chance["cast"], company.now, sellers[:6])
    story = story_humans(firms, company.now)
    humans = cast_humans(chance["cast"], company.now, firms[2:])
    numbers = count(1)
    for human in [*story, *humans]:
        if human.tie != "absent":
            human.number = next(numbers)

    form_teams(chance["cast"], firms[2:])
    pipeline = Pipeline(company, chance["deals"], sellers)
    pipeline.draw(firms[2:])
    diary = Diary(company, chance["details"])
    market = Market(diary, calendar, chance["touches"])
    market.act(firms[2:], humans)
    StoryTeller(company, diary, calendar, sellers[0]).tell(story)

    dirt = Dirt(company, diary, chance["dirt"], numbers)
    own_firms = dirt.own_firms(sellers[0])
    everybody = [*story, *humans, *dirt.insiders(own_firms, calendar), *dirt.shared_mailboxes(firms)]
    everybody += dirt.duplicate_people(humans)
    dirt.merged_people(humans)
    dirt.latecomers(humans, calendar)
    for human in humans:
        if human.standing == "converted" and human.converted_at is None:
            human.converted_at = min(human.created_at + timedelta(days=30), company.now)

    write_firms(company, [*firms, *own_firms], chance["records"])
    people = PeopleWriter(company, chance["records"])
    people.write(everybody)
    dirt.duplicate_leads(humans)
    dirt.merged_leads(humans)
    dirt.job_changes(humans, firms)
    people.write_members(diary)
    pipeline.write()
    pipeline.cold_calls(humans)
    company.activities.sort(key=lambda activity: str(activity["activityDate"]))
    return company
