"""
Carries the reports: loads rows, hands them to ``core.funnel`` to be summed up, says what a reader must know. Reads
only. Called by the command line and the console through ``catalogue.make``.
"""
