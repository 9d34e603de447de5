"""What the emitted events could have told anyone: which nodes were connected, and since when.

Rule 1: this file shares no code with the system that is judged.
Rule 2: time only rises. A link's time is when its event was produced, so a path to the root is
        walked only as far as its links are older than the instant that is asked about.
"""

from collections import defaultdict
from collections.abc import Iterable

__all__ = ["Evidence"]


class Evidence:
    """A union-find that remembers when each link was made (partially persistent).

    Trees are joined by size and paths are never shortened, so links get younger towards the root
    and a look-up takes at most log2(n) steps.
    """

    def __init__(self) -> None:
        self._parent: dict[str, tuple[str, float]] = {}
        self._size: dict[str, int] = {}
        self._latest_ms = float("-inf")

    def __contains__(self, node: str) -> bool:
        return node in self._size

    @property
    def nodes(self) -> Iterable[str]:
        """Every node that was seen."""
        return self._size.keys()

    def add(self, nodes: Iterable[str], produced_ms: float) -> None:
        """Nodes were seen together in one event.

        Args:
            nodes: one or more.
            produced_ms: when; an earlier time than the last one counts as the last one.
        """
        self._latest_ms = max(self._latest_ms, produced_ms)
        first: str | None = None
        for node in nodes:
            self._size.setdefault(node, 1)
            if first is None:
                first = node
            else:
                self._join(self.root(first), self.root(node))

    def _join(self, a: str, b: str) -> None:
        if a == b:
            return
        small, large = (a, b) if self._size[a] < self._size[b] else (b, a)
        self._parent[small] = (large, self._latest_ms)
        self._size[large] += self._size[small]

    def root(self, node: str, before_ms: float = float("inf")) -> str:
        """The name of the node's component, from links made before an instant only.

        Args:
            node: any node, seen or not.
            before_ms: links of this instant or later are not followed.
        """
        while True:
            link = self._parent.get(node)
            if link is None or link[1] >= before_ms:
                return node
            node = link[0]

    def are_connected(self, a: str, b: str, before_ms: float = float("inf")) -> bool:
        """Whether links made before an instant connect two nodes."""
        return self.root(a, before_ms) == self.root(b, before_ms)

    def merges(self, before_ms: float = float("inf")) -> int:
        """Links that joined two components: what a correct system merges, in any order."""
        return sum(1 for _, made_ms in self._parent.values() if made_ms < before_ms)

    def components(self, before_ms: float = float("inf")) -> dict[str, list[str]]:
        """Every component's nodes by its root."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for node in self._size:
            found[self.root(node, before_ms)].append(node)
        return dict(found)
