"""
How a folder of CSV files becomes records of the practice orgs: the mapping files and their language.

``language`` reads a mapping file, ``table`` reads a CSV file by it, ``values`` fills its templates.
``worker.practice.load`` brings them together. The language is described in the head of ``olist.yaml``.
"""
