"""Changes to a JSON body that leave it JSON: what a byte here and there would hardly ever hit."""

import json
import random
from typing import Any, Final

__all__ = ["mutated"]

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.0, 1.0, -0.5, 1e308,
    1e-320, "", "0", "1", "1.0", "-1", "null", "NaN", "é", "\ud83d", "\x00", "x" * 5_000, [], [[]],
    {}, [None], [1, "1", None], {"id": "1"}, [{}], [{"id": None}],
    "00000000-0000-0000-0000-000000000000",
    [[[[[[[[[[[]]]]]]]]]]], {"ext": {"ext": {"ext": {}}}},
)  # fmt: skip
NAMES: Final = (
    "id", "imp", "ext", "banner", "video", "native", "format", "w", "h", "bidfloor", "bidfloorcur",
    "secure", "exp", "pmp", "deals", "user", "device", "eids", "uids", "regs", "gdpr", "consent",
    "us_privacy", "gpp_sid", "coppa", "lmt", "ifa", "geo", "country", "tmax", "at", "cur", "test",
    "wseat", "bcat", "badv", "buyeruid", "atype", "mm", "source",
)  # fmt: skip


def mutated(body: Any, chance: random.Random) -> bytes:  # noqa: ANN401 - any JSON
    """The body with some of its values replaced, removed, doubled or named otherwise.

    Args:
        body: decoded JSON; it is changed.
        chance: what is changed.
    """
    root = [body]  # so that the body itself can be replaced
    for _ in range(chance.randint(1, 4)):
        place = chance.choice(list(_places(root)))
        _change(*place, chance)
    return json.dumps(root[0]).encode()


def _places(root: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401
    """Every container with each of its keys, from the outside inwards."""
    found: list[tuple[Any, Any]] = []
    waiting = [root]
    while waiting:
        inside = waiting.pop()
        keys: list[Any] = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        for key in keys:
            found.append((inside, key))
            if isinstance(inside[key], dict | list):
                waiting.append(inside[key])
    return found


def _change(inside: Any, key: Any, chance: random.Random) -> None:  # noqa: ANN401
    match chance.randrange(5):
        case 0 if isinstance(inside, dict):
            del inside[key]
        case 1 if isinstance(inside, dict):
            inside[chance.choice(NAMES)] = _copy(inside[key])
        case 2 if isinstance(inside, list):
            inside.append(_copy(inside[key]))
        case 3:
            inside[key] = {chance.choice(NAMES): inside[key]}
        case _:
            inside[key] = _copy(chance.choice(ODD))


def _copy(value: Any) -> Any:  # noqa: ANN401
    """Another value that is equal: what is changed later must not be in two places."""
    return json.loads(json.dumps(value))
