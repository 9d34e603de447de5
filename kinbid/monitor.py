"""What a running stack says and costs: its metrics, its processes' CPU time, its persons."""

import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from models.commands import Steps
from models.identifiers import NodeId
from models.keys import Keys
from runtime.link import Link

__all__ = ["cpu_ns", "read_metrics", "roots_of"]

CHUNK = 500

Samples = dict[str, float]
"""Sample name with its labels in a fixed order, to the sum over all processes."""


def read_metrics(urls: Iterable[str]) -> Samples:
    """The samples of several admin ports, added up; a port that does not answer adds nothing."""
    found: Samples = {}
    for url in urls:
        try:
            with urllib.request.urlopen(f"{url}/metrics", timeout=2) as answer:  # noqa: S310
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            continue
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f"{name}={v}" for name, v in sorted(sample.labels.items()))
                name = f"{sample.name}{{{labels}}}" if labels else sample.name
                found[name] = found.get(name, 0.0) + sample.value
    return found


def cpu_ns(pids: Sequence[int]) -> int | None:
    """CPU time that processes have used, all threads, by the kernel's own accounting.

    Returns:
        Nanoseconds, or None where it cannot be told: a process of another machine, no /proc.
    """
    if not pids:
        return None
    total = 0
    for pid in pids:
        tasks = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
        if not tasks:
            return None
        total += sum(int(task.read_text().split()[0]) for task in tasks)
    return total


async def roots_of(redis: Link, keys: Keys, nodes: Iterable[NodeId]) -> dict[NodeId, NodeId]:
    """The root of each node, as Redis has it now."""
    wanted = list(nodes)
    found: dict[NodeId, NodeId] = {}
    for start in range(0, len(wanted), CHUNK):
        found |= await redis.run(_roots(keys, wanted[start : start + CHUNK]))
    return found


def _roots(keys: Keys, nodes: list[NodeId]) -> Steps[Mapping[NodeId, NodeId]]:
    at = dict(zip(nodes, nodes, strict=True))
    climbing = list(nodes)
    while climbing:
        (parents,) = yield [("MGET", *[keys.parent(at[node]) for node in climbing])]
        moved = [
            (node, NodeId(parent[1:].decode()))
            for node, parent in zip(climbing, parents, strict=True)
            if parent
        ]
        at.update(moved)
        climbing = [node for node, _ in moved]
    return at
