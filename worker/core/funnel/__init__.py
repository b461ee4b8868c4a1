"""
Sums up what was decided: periods of the fiscal calendar, cohorts, totals whose every number is a count or a sum of rows
that can be looked at. Decides nothing about a single record.
"""
