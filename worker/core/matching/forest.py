"""
Joins numbered things into groups (union-find), and nothing else. The group's number is its smallest member's,
whatever the order of joining.
"""

from collections.abc import Iterable


class Forest:
    """
    Things 0 ... size-1, each alone at first.
    """

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, thing: int) -> int:
        """
        The smallest number in the group of ``thing``.
        """
        parent = self._parent
        while parent[thing] != thing:
            parent[thing] = parent[parent[thing]]
            thing = parent[thing]
        return thing

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """
        Make the two groups of each pair one.
        """
        for left, right in pairs:
            a, b = self.root(left), self.root(right)
            if a < b:
                self._parent[b] = a
            elif b < a:
                self._parent[a] = b

    def roots(self) -> list[int]:
        """
        The group of every thing, in order.
        """
        # A parent's number is never larger than its child's, so one pass upward finds every root.
        found: list[int] = []
        for thing, parent in enumerate(self._parent):
            found.append(thing if parent == thing else found[parent])
        return found
