"""
A real PostgreSQL and a real Valkey for one machine, started from wheels: demo, tests, small installs.

Used where ``DATABASE_URL`` and ``REDIS_URL`` are not set. ``parts.embedded`` is the door; only the command line and the
tests come in by it. In production neither this room nor its wheels are needed.
"""
