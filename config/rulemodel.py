"""
What all rule models share: frozen, no unknown keys, and values read the way people write YAML.

A word where a list is expected is a list of one; a number where text is expected is that text ("native_type: 2");
``true`` is never a number. Defaults live in the shipped files and not here, so that each stands in one place.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo

# Context for reading back what ``model_dump(mode="json")`` wrote: JSON has no decimals, so there they are text.
STORED = "stored"

MAX_DIGITS: Final = 1_000  # of a number; fractions that are learnt from paths of 400 channels have fewer
MAX_WHOLE: Final[int] = 10**MAX_DIGITS
TOO_LONG: Final = "too large, or with too many digits, to be counted exactly"


class RuleModel(BaseModel):
    """
    A piece of a rule file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | Decimal) else value


def as_list(value: Any) -> Any:
    """
    A single word or number as a list of one; anything else as it is.
    """
    return [value] if isinstance(value, str | int | Decimal) else value


def is_endless(number: object) -> bool:
    """
    Whether a number, or a text that might be one, is longer than anybody counts.
    """
    if isinstance(number, Decimal):
        told = number.as_tuple()
        return len(told.digits) > MAX_DIGITS or abs(int(told.exponent)) > MAX_DIGITS
    if isinstance(number, int):
        return not -MAX_WHOLE < number < MAX_WHOLE
    return isinstance(number, str) and len(number) > MAX_DIGITS


def _as_number(value: Any, info: ValidationInfo) -> Any:
    if info.context == STORED and isinstance(value, str):
        return Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("a number is expected")  # noqa: TRY004 - pydantic reports only ValueError
    if is_endless(value):
        raise ValueError(TOO_LONG)
    return value


def _as_day(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("a day is expected, as 2026-01-31")  # noqa: TRY004 - pydantic reports only ValueError
    return value


# The constraints stand first: behind a validator, pydantic would count the letters before it takes away the blanks.
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), BeforeValidator(_as_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(as_list)]
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[Decimal, BeforeValidator(_as_number), Field(allow_inf_nan=False)]
YesNo = Annotated[bool, Field(strict=True)]
Day = BeforeValidator(_as_day)

Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Days = Annotated[Whole, Field(ge=1, le=3_650)]
Percent = Annotated[Number, Field(ge=0, le=100)]
NotNegative = Annotated[Number, Field(ge=0, le=1_000_000)]


def spelt(pattern: str, must_be: str) -> AfterValidator:
    """
    A check that a whole text follows ``pattern``; ``must_be`` completes the sentence '"x" is no ...'.
    """
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(f'"{value}" is no {must_be}')
        return value

    return AfterValidator(check)


# A host name of at least two labels; the wider forms are punycode.
Domain = Annotated[
    Text,
    AfterValidator(str.lower),
    spelt(r"([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", "domain; write acme.com"),
]
Domains = Annotated[tuple[Domain, ...], BeforeValidator(as_list)]

# A name that rules give to something of their own: a touch type, a model, a position.
Name = Annotated[Text, spelt(r"[A-Za-z][A-Za-z0-9_]{0,39}", "name; a letter, then letters, digits and _, at most 40")]
Names = Annotated[tuple[Name, ...], BeforeValidator(as_list)]

ApiName = Annotated[Text, spelt(r"[A-Za-z][A-Za-z0-9_]{0,79}", "API name of Salesforce's")]
ApiNames = Annotated[tuple[ApiName, ...], BeforeValidator(as_list)]
