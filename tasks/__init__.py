"""
Rings the bell: Celery's side of the house. A task drains what is due and carries nothing.
"""
