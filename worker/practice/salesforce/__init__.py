"""
A Salesforce org on loopback: schema, SOQL, REST, composite and Bulk 2.0, faithful enough for real clients.

``docs/practice.md`` says what is covered, what is left out, and which behaviour is assumed rather than observed.
"""
