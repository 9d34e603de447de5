"""By which links two identifiers are one person. Pure."""

from collections import defaultdict, deque
from collections.abc import Iterable

from models.evidence import Pair, pair_of
from models.identifiers import NodeId

__all__ = ["path_between"]


def path_between(a: NodeId, b: NodeId, made: Iterable[Pair]) -> tuple[Pair, ...]:
    """The fewest links that lead from ``a`` to ``b``, in their order.

    Args:
        a: where the path begins.
        b: where it ends.
        made: links that join identifiers; refused ones left out.

    Returns:
        The links, or none where they do not connect the two.
    """
    beside: defaultdict[NodeId, list[NodeId]] = defaultdict(list)
    for one, other in sorted(made):
        beside[one].append(other)
        beside[other].append(one)
    came_from: dict[NodeId, NodeId] = {a: a}
    waiting = deque([a])
    while waiting and b not in came_from:
        at = waiting.popleft()
        for node in beside[at]:
            if node not in came_from:
                came_from[node] = at
                waiting.append(node)
    path: list[Pair] = []
    at = b
    while at != a and at in came_from:
        path.append(pair_of(came_from[at], at))
        at = came_from[at]
    return tuple(reversed(path))
