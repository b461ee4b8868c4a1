"""
``headwater source-team``: sets a deal's sourcing team by hand, with a reason, and shows what was set.
"""

import difflib
import getpass
from collections.abc import Iterator
from typing import Any, Final

import click
from sqlalchemy import Connection

from worker.cli.ground import ground
from worker.cli.money import money
from worker.cli.output import Speech, common, table
from worker.cli.sync import service_of
from worker.core.errors import Fatal
from worker.core.instants import to_the_minute
from worker.flows.attribute import TEAM
from worker.flows.run import Service
from worker.store import dues, jobs, overrides, scopes, views

LONGEST_REASON: Final = 1_000
LONGEST_CHANNEL: Final = 80  # of the field that it is written to


@click.command("source-team")
@click.argument("deal", required=False)
@click.argument("team", required=False)
@click.option("--reason", help="Why; kept with it and shown by headwater why.")
@click.option("--channel", help="The source's channel; else that of the team's first touch before creation.")
@click.option("--clear", is_flag=True, help="Give the deal back the team that its touches say.")
@common
def command(
    deal: str | None, team: str | None, reason: str | None, channel: str | None, *, clear: bool, speech: Speech
) -> None:
    """
    Set the team that sourced DEAL (a Salesforce id, or its name): marketing, sales, partner or "customer success".

    Without TEAM: what was set for DEAL. Without DEAL: everything that was ever set. Nothing is overwritten: a
    correction, and --clear, stand beside what was said before. Credits and shares stay as they are; source team,
    channel, offer and the sentence of the deal change, and reports count it. In a locked period nothing moves: there
    it is kept, dated, and the team stays.
    """
    if (team is not None and clear) or (deal is None and (team is not None or clear)):
        raise click.UsageError("give DEAL and TEAM, or DEAL and --clear, or DEAL alone, or nothing")
    if (reason or channel) and team is None and not clear:
        raise click.UsageError("--reason and --channel say something of a TEAM that is set")
    with ground(meets_org=False) as settings:
        service = service_of(settings, sources=False, decides=False)
        with service.engine.begin() as connection:
            golden_id = None if deal is None else _deal(connection, deal)
            if golden_id is not None and (team is not None or clear):
                wanted = None if team is None else _team(team)
                _say(connection, service, golden_id, wanted, channel=channel, reason=reason)
            found = overrides.told(connection, service.rules.zone, golden_id)
        if team is not None or clear:
            service.ring(["attribute"])
    answer = [{name: views.plain(value) for name, value in each.items()} for each in found]
    if team is not None or clear:
        speech.answer({"overrides": answer}, lambda: _said(found[0]))
    else:
        speech.answer({"overrides": answer}, lambda: _told(found, service.rules.currency))


def _say(
    connection: Connection,
    service: Service,
    golden_id: int,
    team: str | None,
    *,
    channel: str | None,
    reason: str | None,
) -> None:
    """
    Keep the statement and have the deal decided again. Raises Fatal HW-127 without a reason, HW-128 where there is
    nothing to clear.
    """
    words = " ".join((reason or "").split())
    if not words:
        raise Fatal(
            "HW-127",
            "a sourcing team is set or cleared for a reason, which is kept with it",
            actions=['--reason "the partner brought the contact, see the minutes of 3 March"'],
        )
    named = " ".join((channel or "").split()) or None
    for what, text, longest in (("reason", words, LONGEST_REASON), ("channel", named or "", LONGEST_CHANNEL)):
        if len(text) > longest:
            raise click.BadParameter(f"{len(text):,} characters; at most {longest:,}", param_hint=f"--{what}")
    before = [each for each in overrides.told(connection, service.rules.zone, golden_id) if each["is_last"]]
    if team is None and not (before and before[0]["team"]):
        raise Fatal(
            "HW-128", "nothing is set for this deal, so there is nothing to clear", actions=["headwater source-team"]
        )
    overrides.say(connection, golden_id, team, channel=named, reason=words, by=getpass.getuser())
    dues.note(connection, "attribute", "opportunity", [golden_id])
    jobs.enqueue(connection, "attribute", priority=jobs.ASKED_FOR, requested_by="command line")


def _deal(connection: Connection, words: str) -> int:
    """
    The deal that is meant. Raises Fatal HW-122 where there is none, HW-123 where there are several.
    """
    found = [each["id"] for each in scopes.find(connection, words) if each["kind"] == "opportunity"]
    if not found:
        raise Fatal(
            "HW-122",
            f'no deal in the store is called "{words}"',
            actions=["give the deal's Salesforce id or its full name", "headwater status"],
        )
    if len(found) > 1:
        raise Fatal(
            "HW-123",
            f'"{words}" may mean {len(found)} deals',
            actions=[f"headwater source-team {_record_id(connection, each)} ..." for each in found],
        )
    return int(found[0])


def _record_id(connection: Connection, golden_id: int) -> str:
    return next(iter(scopes.records_of(connection, "opportunity", golden_id).values()))[0]


def _team(words: str) -> str:
    """
    The team that is meant, in any case. Raises Fatal HW-126 for any other.
    """
    wanted = "_".join(words.lower().replace("_", " ").split())
    if wanted in TEAM:
        return wanted
    meant = difflib.get_close_matches(wanted, TEAM, n=1)
    raise Fatal(
        "HW-126",
        f'there is no team "{words}"' + (f'; did you mean "{meant[0].replace("_", " ")}"?' if meant else ""),
        actions=[f'headwater source-team DEAL "{team.replace("_", " ")}" --reason TEXT' for team in TEAM],
    )


def _said(said: dict[str, Any]) -> Iterator[str]:
    what = f"Set to {TEAM[said['team']]}" if said["team"] else "Given back to its touches"
    yield f"{what}: {said['deal'] or said['record_id']}."
    now = said["decided_team"] or "no team"
    if said["locked_reason"] is not None:
        yield (
            f"The deal was created in a period that is locked ({said['locked_reason']}): {now} stays in its fields and "
            "in every report. What you said is kept with its date."
        )
    elif said["state"] == "Not credited":
        yield "By rule this deal earns no credit and has no source. What you said holds once the rules let it in."
    else:
        yield f"So far: {now}. The deal is decided again at once where a service runs; or here: headwater sync"


def _told(found: list[dict[str, Any]], home_currency: str) -> Iterator[str]:
    if not found:
        yield "No sourcing team was set by hand."
        return
    yield from table(
        ("DEAL", "RECORD", "AMOUNT", "SET TO", "BY", "AT", "REASON", ""),
        [
            (
                each["deal"],
                each["record_id"],
                money(views.plain(each["amount"]), each["currency"] or home_currency),
                (TEAM[each["team"]] if each["team"] else "(touches)")
                + (f" / {each['channel']}" if each["channel"] else ""),
                each["said_by"],
                to_the_minute(each["said_at"]),
                each["reason"],
                _standing(each),
            )
            for each in found
        ],
        right=(2,),
    )


def _standing(said: dict[str, Any]) -> str:
    if said["locked_reason"] is not None:
        return f"moves nothing: locked ({said['locked_reason']})"
    if not said["is_last"]:
        return "corrected since"
    if said["team"] is None:
        return ""
    if said["state"] == "Not credited":
        return "moves nothing: earns no credit by rule"
    return "holds" if said["decided_team"] == TEAM[said["team"]] else "waits for the next cycle"
