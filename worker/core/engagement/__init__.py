"""
Decides which accounts are engaged, from the acts of their people, with every point and every reason on the table.
"""
