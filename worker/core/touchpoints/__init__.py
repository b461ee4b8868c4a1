"""
Turns native activities and campaign members into touchpoints by the rules: type, team, channel, offer, whether a
machine did it, and which of two records of the same act stands. Pure; called by the resolve flow.
"""
