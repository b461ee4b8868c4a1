"""
Marketo: reading activities, people and programs. Marketo's own names stay inside this folder.
"""
