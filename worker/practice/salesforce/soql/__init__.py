"""
SOQL: text to tokens, tokens to a tree, a tree to parameterised SQL.

What the grammar here does not know is refused as MALFORMED_QUERY with Salesforce's caret frame; nothing is guessed.
"""
