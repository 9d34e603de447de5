"""What runs between a request's bytes and its answer waits for nothing and makes no task.

``test_server.py`` and ``test_bodies.py`` see to it while requests are answered, on a loop that
refuses to make tasks; here the source of everything that they could reach is read.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import bidder

PACKAGE: Final = Path(bidder.__file__).parent
ENTRANCES: Final = ("http1", "bodies", "path")
WAITERS: Final = frozenset(
    {"create_task", "ensure_future", "run_in_executor", "to_thread", "Event", "Lock", "Queue"}
)
BESIDE_THE_PATH: Final = frozenset({"connections.turn"})  # the wheel: once in a tenth of a second


def modules() -> dict[str, ast.Module]:
    """The bidder's modules that the entrances import, and those that these import."""
    found: dict[str, ast.Module] = {}
    waiting = list(ENTRANCES)
    while waiting:
        name = waiting.pop()
        if name not in found:
            folder = PACKAGE / name
            files = folder.glob("*.py") if folder.is_dir() else [PACKAGE / f"{name}.py"]
            found[name] = ast.parse("\n".join(path.read_text() for path in files))
            waiting += imported(found[name])
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "bidder":
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bidder."):
            yield str(node.module).split(".")[1]


def waiting_in(name: str, tree: ast.AST, inside: str = "") -> Iterator[str]:
    """Where a module waits or makes a task."""
    for node in ast.iter_child_nodes(tree):
        here = inside
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            here = f"{name}.{node.name}"
        if here in BESIDE_THE_PATH:
            continue
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{here} line {node.lineno}"
        if isinstance(node, ast.Attribute) and node.attr in WAITERS:
            yield f"{here} line {node.lineno}: {node.attr}"
        yield from waiting_in(name, node, here)


def test_nothing_on_the_way_from_bytes_to_bytes_awaits_or_makes_a_task() -> None:
    found = modules()
    assert {"http_reader", "openrtb", "privacy", "decide", "formats", "respond"} <= set(found)
    assert [place for name, tree in found.items() for place in waiting_in(name, tree)] == []


def test_the_reader_of_sources_sees_what_waits() -> None:
    source = "async def f():\n    await g()\ndef h(loop):\n    loop.create_task(f())\n"
    assert len(list(waiting_in("m", ast.parse(source)))) == 3
