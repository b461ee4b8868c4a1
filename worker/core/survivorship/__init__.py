"""
Makes one golden record of the source records of a cluster, field by field, and keeps where each value came from.
"""
