"""
Salesforce: reading by REST and Bulk 2.0, writing by collections. Salesforce's own names stay inside this folder.
"""
