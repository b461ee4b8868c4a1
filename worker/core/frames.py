"""
The schemas that pass between the rooms: every column with its type, unit and meaning.

A frame is a polars DataFrame. The store makes them, the computing rooms of core turn one into another, the store saves
what comes out. Nothing here computes. Times are aware UTC (``_at``), ``_on`` is a date, money is whole minor units
with the number of digits beside it, shares are exact fractions ``num/den``.
"""

from typing import Final

import polars as pl

Schema = dict[str, pl.DataType | type[pl.DataType]]

INSTANT: Final = pl.Datetime("us", "UTC")

# A touch: an act of a known person, as every room sees it.
TOUCH: Final[Schema] = {
    "touch_id": pl.String,  # "<stream>:<record id>", unique for ever
    "person_id": pl.Int64,  # the golden person
    "occurred_at": INSTANT,
    "type": pl.String,  # form content webinar_attended event_attended demo_request ad_click meeting call ...
    "team": pl.String,  # marketing sales partner customer_success
    "channel": pl.String,  # Paid search, Webinar ...; never null ("Other" where no rule fits)
    "offer": pl.String,  # the specific thing within the channel; null where unknown
    "campaign": pl.String,  # name of the campaign or program; null where none
}

# A deal, reduced to what attribution needs.
DEAL: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "account_id": pl.Int64,  # null where the deal has no account
    "currency": pl.String,
    "amount_units": pl.Int64,  # the amount in units of 10^-digits; null where the amount is empty
    "digits": pl.Int8,  # the finer of the currency's minor unit and the amount's own digits
    "created_at": INSTANT,
    "closed_at": INSTANT,  # null while open
    "outcome": pl.String,  # open won lost
}

# Who may stand on a deal's path.
DEAL_PERSON: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "person_id": pl.Int64,
    "role": pl.String,  # the contact role as it stands now; null = belongs to the account, no role on the deal
    "is_primary": pl.Boolean,
    "lead_created_at": INSTANT,  # the person's creation in Salesforce (lead's date where there was one)
}

# One row a touch on a deal's path and clock.
PATH: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,  # pipeline (as of creation) or revenue (as of the close, or to date)
    "touch_id": pl.String,
    "person_id": pl.Int64,
    "occurred_at": INSTANT,
    "position_index": pl.Int32,  # 0, 1, 2 ... in path order (instant, touch id)
    "positions": pl.List(pl.String),  # FT LC OC CW LT and those defined by rule; empty = middle
}

# One row a deal, clock and model, and one item of it. item: "touch", "pending" or "unassigned".
CREDIT: Final[Schema] = {
    "opportunity_id": pl.Int64,
    "clock": pl.String,
    "model": pl.String,
    "item": pl.String,
    "touch_id": pl.String,  # null unless item is "touch"
    "positions": pl.String,  # "FT; LC", "" for a middle touch or for pending and unassigned
    "share_num": pl.Int128,
    "share_den": pl.Int128,
    "amount_units": pl.Int64,  # null where the deal has no amount
}

# What an act adds to an account's engagement.
ACT: Final[Schema] = {
    "account_id": pl.Int64,
    "person_id": pl.Int64,  # null for an account act (company visit, ad engagement, surge)
    "act_id": pl.String,
    "occurred_at": INSTANT,
    "type": pl.String,
    "label": pl.String,  # what a reader would call it: "webinar Cost Control", "pricing page"
    "level": pl.String,  # c_level vp director other student
    "role_label": pl.String,  # "VP Finance": shown in sentences; never a name
}

# What engagement needs to know of an account.
ENGAGEMENT_ACCOUNT: Final[Schema] = {
    "account_id": pl.Int64,
    "name": pl.String,
    "employees": pl.Int64,
    "type": pl.String,  # Customer Partner Competitor ...
    "was_engaged": pl.Boolean,
    "engaged_since_at": INSTANT,
    "was_band": pl.String,
}

# A flag with its reasons.
FLAG: Final[Schema] = {
    "account_id": pl.Int64,
    "engaged": pl.Boolean,
    "since_at": INSTANT,  # null while not engaged
    "until_at": INSTANT,  # when it lapses if nothing happens; null while not engaged
    "band": pl.String,  # High Medium Low None
    "points_milli": pl.Int64,  # score in thousandths of a point, at the instant of the decision
    "people_count": pl.Int32,  # distinct people with points inside the window
    "why": pl.String,  # one sentence of at most 255 characters, roles and counts, no names
    "detail": pl.String,  # JSON: every contributing act and its points, what is missing or when it lapses
    "alerted_at": INSTANT,  # when somebody was last told; the decision's own instant where this turn is to be told
}

# What a field of Salesforce's should hold, and why.
DESIRED: Final[Schema] = {
    "object": pl.String,
    "record_id": pl.String,
    "field": pl.String,
    "value": pl.String,  # canonical text of the value; null = empty
    "reason": pl.String,
}
