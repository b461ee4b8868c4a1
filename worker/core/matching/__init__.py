"""
Says which records are the same person or company, and which account a person belongs to. By keys that are certain,
never by guess.
"""
