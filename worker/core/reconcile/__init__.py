"""
Decides what the fields we own should hold, how that differs from what they hold, and whether a plan may go out unasked.
Pure; called by the plan flow.
"""
