"""
Who logs in to the practice orgs: the one client and the one integration user that both of them know from the start.

They guard made-up records on loopback, so they stand here for everybody to read; ``practice env`` prints them.
"""

CLIENT_ID = "headwater"
CLIENT_SECRET = "practice-secret"  # noqa: S105 - see above
USERNAME = "integration@practice.test"
