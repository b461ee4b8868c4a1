"""
The practice Marketo: people, activities, programs and their members, spoken over the same REST paths as the real one.

``org`` remembers, ``routes`` answers a connector, ``control`` is the back door that tests, the demo and the loader
use.
"""
