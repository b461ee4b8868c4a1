"""
``python -m worker.cli``: the ``headwater`` command where only the checkout is there and nothing was installed from it.
"""

from worker.cli.main import main

main()
