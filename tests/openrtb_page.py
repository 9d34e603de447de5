"""Which tests show which line of ``docs/openrtb.md``: ``python -m tests.openrtb_page --write``.

A test names the lines that it shows at the beginning of its docstring, such as ``H3, P6: ...``, or
in its name, such as ``test_h3_...``. The page's last column lists the files of those tests.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["PAGE", "cited", "lines_of", "with_tests"]

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "openrtb.md"

_LINE: Final = r"[HTPADBFURONC]\d{1,2}"
_CITATION: Final = re.compile(rf"(?:{_LINE}(?:, | and | to |/)?)+(?=[:.,]| )")
_ROW: Final = re.compile(rf"\| ({_LINE}) \| ([MSO]) \| (.*) \| ([^|]*) \|")
NOT_BUILT: Final = "not built:"


def lines_of(page: str) -> dict[str, tuple[str, str]]:
    """Of each line of the page its level (M, S or O), and what shows it."""
    rows = (_ROW.fullmatch(row) for row in page.splitlines())
    return {row[1]: (row[2], row[4]) for row in rows if row}


def cited() -> dict[str, list[str]]:
    """Of each line the test files that say they show it."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT / "tests").with_suffix("").as_posix()
        for line in _citations(ast.parse(path.read_text())):
            found[line].add(name)
    return {line: sorted(names) for line, names in found.items()}


def _citations(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            continue
        begun = _CITATION.match(ast.get_docstring(node) or "")
        if begun:
            yield from _spelled_out(begun[0])
        named = re.match(r"test_([a-z]\d{1,2})_", getattr(node, "name", ""))
        if named:
            yield named[1].upper()


def _spelled_out(citation: str) -> Iterator[str]:
    """Each line of ``H1, H4 to H6``."""
    for part in re.split(r", | and |/", citation):
        first, _, last = part.partition(" to ")
        if not last:
            yield from re.findall(_LINE, first)
        else:
            for number in range(int(first[1:]), int(last[1:]) + 1):
                yield f"{first[0]}{number}"


def with_tests(page: str) -> str:
    """The page with the files that show each line now; what is not built stays said."""
    shown = cited()

    def row(match: re.Match[str]) -> str:
        line, level, text, before = match.groups()
        files = ", ".join(f"`{name}`" for name in shown.get(line, []))
        if before.startswith(NOT_BUILT) or not files:
            files = before
        return f"| {line} | {level} | {text} | {files} |"

    return "\n".join(
        row(match) if (match := _ROW.fullmatch(one)) else one for one in page.split("\n")
    )


if __name__ == "__main__":
    written = with_tests(PAGE.read_text())
    if "--write" in sys.argv:
        PAGE.write_text(written)
    sys.exit(written != PAGE.read_text())
