"""
Several currencies: what an amount is worth in another one.

Rates are units of a currency for one unit of the corporate currency, from CurrencyType; with advanced currency
management those of DatedConversionRate that hold on an opportunity's close date. Only SQL; the compiler puts it into
queries.
"""

DATED = frozenset({"Opportunity", "OpportunityHistory"})


def rate_sql(table: str, alias: str, *, dated: bool) -> str:
    """
    SQL of the rate of a record's currency; 1 where it has none.
    """
    code = f"{alias}.CurrencyIsoCode"
    plain = f'(SELECT c.ConversionRate FROM "CurrencyType" c WHERE c.IsoCode = {code})'
    if not (dated and table in DATED):
        return f"IFNULL({plain}, 1.0)"
    day = f"{alias}.CloseDate"
    of_day = (
        f'(SELECT d.ConversionRate FROM "DatedConversionRate" d WHERE d.IsoCode = {code} AND d.StartDate <= {day} '
        "ORDER BY d.StartDate DESC LIMIT 1)"
    )
    return f"COALESCE({of_day}, {plain}, 1.0)"


def target_rate_sql(table: str, alias: str, currency: str, *, dated: bool) -> str:
    """
    SQL of the rate of the currency an amount is converted to, on the record's day where rates are dated.
    """
    if not currency.isalpha():
        raise ValueError(f"{currency!r} is no currency code")
    plain = f"(SELECT c.ConversionRate FROM \"CurrencyType\" c WHERE c.IsoCode = '{currency}')"
    if not (dated and table in DATED):
        return f"IFNULL({plain}, 1.0)"
    of_day = (
        f"(SELECT d.ConversionRate FROM \"DatedConversionRate\" d WHERE d.IsoCode = '{currency}' "
        f"AND d.StartDate <= {alias}.CloseDate ORDER BY d.StartDate DESC LIMIT 1)"
    )
    return f"COALESCE({of_day}, {plain}, 1.0)"
