"""
Reads a job title: how senior it is, and the role that sentences show ("VP Finance"), by patterns.

The role is put together from the patterns' own words, so nothing that somebody has typed into a title field ends up
in a sentence. Called by the engage flow when it makes acts; weights are ``rules``' business.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import polars as pl

from worker.core.errors import Fatal

Patterns = tuple[tuple[str, str], ...]

# level, pattern; the first that is found wins. Matched in lower case without accents.
LEVEL_PATTERNS: Final[Patterns] = (
    (
        "student",
        (
            r"\b(student|studentin|werkstudent\w*|intern|internship|trainee|praktikant\w*|stagiaire|apprentice"
            r"|auszubildende\w*|azubi|alumn[ai]\w*|phd candidate|doctoral candidate|doktorand\w*)\b"
        ),
    ),
    (
        "other",
        (
            r"\b(executive|personal|administrative|management|team|direktions|vorstands)?\s*-?"
            r"(assistant|assistants|assistenz|assistentin|secretary|sekretar\w*|receptionist)\b"
        ),
    ),
    ("other", r"\b(product|process|scrum|service|business process) owner\b|\bowner'?s\b"),
    ("vp", r"\b([aes]?vps?|[es]\.?v\.?p\.?|v\.p\.?|vice[ -]?president\w*|vice[ -]?prasident\w*)\b"),
    (
        "c_level",
        (
            r"\b(c[a-z]{1,2}o|ciso|chief\b(?! of staff)|president|prasident\w*|founder|co-?founder|owner|inhaber\w*"
            r"|proprietor|managing director|managing partner|general manager|executive director|geschaftsfuhr\w*"
            r"|geschaeftsfuehr\w*|vorstand\w*|pdg|directeur general|directrice generale|director general"
            r"|chair(man|woman|person)?|board member)\b"
        ),
    ),
    (
        "director",
        (
            r"\b(director|directors|directeur|directrice|direktor\w*|head|leiter\w*|leitung|bereichsleit\w*"
            r"|abteilungsleit\w*|dean)\b|\w+leit(er|erin|ung)\b"
        ),
    ),
)
# The first function that is found names the role.
FUNCTION_PATTERNS: Final[Patterns] = (
    ("Security", r"\b(\w*security|ciso|infosec|sicherheit\w*)\b"),
    (
        "IT",
        (
            r"\b(it|i\.t\.|ict|cio|cto|information technology|information officer|information systems|technology"
            r"|systems?|infrastructure|network|sysadmin|informatik|informatique|edv|devops|cloud)\b"
        ),
    ),
    ("Procurement", r"\b(procurement|purchas\w*|buyer|sourcing|einkauf\w*|einkaeuf\w*|achats|acheteur|cpo)\b"),
    (
        "Finance",
        r"\b(financ\w*|finanz\w*|cfo|account(ing|ant)|controller|controlling|treasur\w*|tax|audit\w*|comptab\w*)\b",
    ),
    ("Marketing", r"\b(marketing|cmo|brand|demand gen\w*|communications?|content|seo|growth|kommunikation)\b"),
    (
        "Sales",
        r"\b(sales|cro|account executive|business development|vertrieb\w*|commercial|revenue|ventes|key account)\b",
    ),
    ("HR", r"\b(hr|human resources|people|talent|recruit\w*|chro|personal(wesen|leit\w*|abteilung)|rh)\b"),
    ("Legal", r"\b(legal|counsel|attorney|lawyer|compliance|privacy|recht|jurist\w*|juridique)\b"),
    ("Data", r"\b(data|analytics|analyst|business intelligence|bi|cdo|statistic\w*)\b"),
    ("Product", r"\b(product|produkt\w*|ux|design\w*)\b"),
    (
        "Engineering",
        r"\b(engineer\w*|software|developer|programmer|architect|r&d|research|entwickl\w*|ingenieur\w*|technical|technik\w*)\b",
    ),
    ("Supply Chain", r"\b(supply chain|logisti\w*|warehouse|transport\w*|fulfil\w*)\b"),
    ("Quality", r"\b(quality|qualitat\w*|qa|ehs|safety)\b"),
    (
        "Operations",
        r"\b(operations?|coo|ops|production|produktion\w*|manufacturing|plant|facilit\w*|betrieb\w*|maintenance)\b",
    ),
    ("Customer Service", r"\b(customer|client|support|service|success|kundendienst|kundenservice)\b"),
    (
        "Management",
        (
            r"\b(ceo|managing director|general manager|geschaftsfuhr\w*|geschaeftsfuehr\w*|founder|co-?founder|owner"
            r"|president|pdg|inhaber\w*|vorstand\w*)\b"
        ),
    ),
)
_WORDS: Final = {"c_level": "C-level", "vp": "VP", "director": "Director"}


@dataclass(frozen=True)
class LevelRules:
    """
    The patterns for levels and functions, each a (word, regular expression); the first that is found wins.
    """

    levels: Patterns = LEVEL_PATTERNS
    functions: Patterns = FUNCTION_PATTERNS
    known_levels: frozenset[str] = field(
        default=frozenset({"c_level", "vp", "director", "other", "student"}), repr=False
    )

    def __post_init__(self) -> None:
        unknown = sorted({level for level, _ in self.levels} - self.known_levels)
        if unknown:
            raise Fatal(
                "HW-150", f"no such level: {', '.join(unknown)}; there are {', '.join(sorted(self.known_levels))}"
            )
        for word, pattern in (*self.levels, *self.functions):
            try:
                re.compile(pattern)
            except re.error as error:
                raise Fatal("HW-150", f"the pattern for {word!r} cannot be read: {error}") from error

    @cached_property
    def compiled_levels(self) -> Sequence[tuple[str, re.Pattern[str]]]:
        """
        The level patterns, compiled once.
        """
        return [(word, re.compile(pattern)) for word, pattern in self.levels]

    @cached_property
    def compiled_functions(self) -> Sequence[tuple[str, re.Pattern[str]]]:
        """
        The function patterns, compiled once.
        """
        return [(word, re.compile(pattern)) for word, pattern in self.functions]


_DEFAULT: Final = LevelRules()


@lru_cache(maxsize=10_000)
def level_and_role(title: str | None, rules: LevelRules | None = None) -> tuple[str, str | None]:
    """
    The level of a title (``other`` where nothing is found) and its role label, null where the title says no function.
    """
    rules = rules or _DEFAULT
    plain = _plain(title or "")
    level = next((word for word, pattern in rules.compiled_levels if pattern.search(plain)), "other")
    function = next((word for word, pattern in rules.compiled_functions if pattern.search(plain)), None)
    if level == "student":
        return level, "student"
    # "Management" says no more than the level does, and of a manager's assistant it would be wrong.
    function = None if function == "Management" else function
    if level == "other":
        return level, function
    if function is None:
        return level, _WORDS[level]
    return level, f"{_WORDS[level]} {function}"


def levels(titles: pl.Series, rules: LevelRules | None = None) -> pl.DataFrame:
    """
    title, level, role_label: one row a distinct title that is not null, in the order of title.
    """
    rules = rules or _DEFAULT
    distinct = sorted(title for title in titles.unique().to_list() if title is not None)
    found = [level_and_role(title, rules) for title in distinct]
    return pl.DataFrame(
        {"title": distinct, "level": [level for level, _ in found], "role_label": [role for _, role in found]},
        schema={"title": pl.String, "level": pl.String, "role_label": pl.String},
    )


def _plain(title: str) -> str:
    """
    Lower case, without accents, one blank between words: "Geschäftsführer" is "geschaftsfuhrer".
    """
    letters = unicodedata.normalize("NFKD", title.casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())
