"""Redis in a dictionary, for exactly the commands that kinbid's generators use.

Every command is one atomic step, as in Redis, and ``tests/contract/test_store.py`` runs one suite
against this and a real server. Values are never changed in place, so a copy of a store is cheap
and a search over interleavings can keep thousands of them.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from models.commands import TURN, Command, Steps
from runtime.redis_link import RedisReplyError

__all__ = ["MemoryStore", "Runner", "interleave", "run", "run_all"]

T = TypeVar("T")
Hash = dict[bytes, bytes]
Handler = Callable[["MemoryStore", list[bytes]], Any]
Function = Callable[["MemoryStore", list[bytes], list[bytes]], int | bytes]

MOST_STEPS = 10_000
"""A schedule that is longer than this is a loop without end."""


def _bytes(part: str | bytes | int) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()


class MemoryStore:
    """Keys and values; ``execute`` is one atomic command.

    ``functions`` may be replaced, entry by entry, to see what a protocol with a fault would do.
    """

    def __init__(self) -> None:
        self.data: dict[bytes, bytes | Hash] = {}
        self.expiring: dict[bytes, int] = {}
        self.functions: dict[str, Function] = FUNCTIONS

    def copy(self) -> "MemoryStore":
        """An independent store with the same content."""
        twin = MemoryStore()
        twin.data, twin.expiring = self.data.copy(), self.expiring.copy()
        twin.functions = self.functions
        return twin

    def equals(self, other: "MemoryStore") -> bool:
        """Whether the content is the same; cheap between a store and its copy."""
        return self.data == other.data and self.expiring == other.expiring

    def execute(self, command: Command) -> Any:  # noqa: ANN401 - a reply of any kind
        """Runs one command.

        Raises:
            RedisReplyError: where Redis would answer with an error.
        """
        name, *arguments = command
        handler = HANDLERS.get(str(name))
        if handler is None:
            raise RedisReplyError(f"ERR unknown command {name!r}")
        return handler(self, [_bytes(argument) for argument in arguments])

    def expire_now(self, seconds: int = 60) -> None:
        """Lets so much time pass that everything is gone with a time to live up to ``seconds``."""
        gone = [key for key, left in self.expiring.items() if left <= seconds]
        for key in gone:
            del self.data[key], self.expiring[key]

    def canonical(self) -> object:
        """What stands in the store, for comparison: hashable, and blind to the order of fields."""
        content = frozenset(
            (key, frozenset(value.items()) if isinstance(value, dict) else value)
            for key, value in self.data.items()
        )
        return content, frozenset(self.expiring)

    # -- values ----------------------------------------------------------------------------

    def string(self, key: bytes) -> bytes | None:
        value = self.data.get(key)
        if isinstance(value, dict):
            raise RedisReplyError(WRONG_TYPE)
        return value

    def hash(self, key: bytes) -> Hash:
        value = self.data.get(key, {})
        if isinstance(value, bytes):
            raise RedisReplyError(WRONG_TYPE)
        return value

    def set_fields(self, key: bytes, fields: Hash) -> int:
        before = self.hash(key)
        self.data[key] = {**before, **fields}
        return len(fields.keys() - before.keys())

    def set_absent(self, key: bytes, field: bytes, value: bytes) -> int:
        if field in self.hash(key):
            return 0
        return self.set_fields(key, {field: value})

    def delete_fields(self, key: bytes, names: Sequence[bytes]) -> int:
        before = self.hash(key)
        kept = {field: value for field, value in before.items() if field not in names}
        if kept:
            self.data[key] = kept
        else:
            self.data.pop(key, None)
            self.expiring.pop(key, None)
        return len(before) - len(kept)

    def unlink(self, key: bytes) -> int:
        self.expiring.pop(key, None)
        return int(self.data.pop(key, None) is not None)

    def rename(self, old: bytes, new: bytes) -> None:
        self.data[new] = self.data.pop(old)
        self.expiring.pop(new, None)
        if old in self.expiring:
            self.expiring[new] = self.expiring.pop(old)


WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


def _get(store: MemoryStore, arguments: list[bytes]) -> bytes | None:
    (key,) = arguments
    return store.string(key)


def _set(store: MemoryStore, arguments: list[bytes]) -> bytes:
    key, value, *until = arguments  # of its options those with which a key expires
    if until and (len(until) != 2 or until[0].upper() != b"PXAT"):
        raise RedisReplyError("ERR syntax error")
    store.data[key] = value
    store.expiring.pop(key, None)
    if until:
        store.expiring[key] = int(until[1])
    return b"OK"


def _incr(store: MemoryStore, arguments: list[bytes]) -> int:
    (key,) = arguments
    try:
        value = int(store.string(key) or b"0") + 1
    except ValueError:
        raise RedisReplyError("ERR value is not an integer or out of range") from None
    store.data[key] = b"%d" % value
    return value


def _hincrby(store: MemoryStore, arguments: list[bytes]) -> int:
    key, field, amount = arguments
    try:
        value = int(store.hash(key).get(field, b"0")) + int(amount)
    except ValueError:
        raise RedisReplyError("ERR hash value is not an integer") from None
    store.set_fields(key, {field: b"%d" % value})
    return value


def _mget(store: MemoryStore, arguments: list[bytes]) -> list[bytes | None]:
    found = [store.data.get(key) for key in arguments]
    return [None if isinstance(value, dict) else value for value in found]


def _hget(store: MemoryStore, arguments: list[bytes]) -> bytes | None:
    key, field = arguments
    return store.hash(key).get(field)


def _hmget(store: MemoryStore, arguments: list[bytes]) -> list[bytes | None]:
    key, *names = arguments
    return [store.hash(key).get(name) for name in names]


def _hset(store: MemoryStore, arguments: list[bytes]) -> int:
    key, *pairs = arguments
    if not pairs or len(pairs) % 2:
        raise RedisReplyError("ERR wrong number of arguments for 'hset' command")
    return store.set_fields(key, dict(zip(pairs[::2], pairs[1::2], strict=True)))


def _hsetnx(store: MemoryStore, arguments: list[bytes]) -> int:
    key, field, value = arguments
    return store.set_absent(key, field, value)


def _hdel(store: MemoryStore, arguments: list[bytes]) -> int:
    key, *names = arguments
    return store.delete_fields(key, names)


def _hgetall(store: MemoryStore, arguments: list[bytes]) -> list[bytes]:
    (key,) = arguments
    return [part for pair in store.hash(key).items() for part in pair]


def _unlink(store: MemoryStore, arguments: list[bytes]) -> int:
    return sum(store.unlink(key) for key in arguments)


def _expire(store: MemoryStore, arguments: list[bytes]) -> int:
    key, seconds = arguments
    if key not in store.data:
        return 0
    store.expiring[key] = int(seconds)
    return 1


def _fcall(store: MemoryStore, arguments: list[bytes]) -> int | bytes:
    name, count, *rest = arguments
    function = store.functions.get(name.decode())
    if function is None:
        raise RedisReplyError("ERR Function not found")
    return function(store, rest[: int(count)], rest[int(count) :])


HANDLERS: dict[str, Handler] = {
    "GET": _get, "SET": _set, "INCR": _incr, "MGET": _mget, "HGET": _hget, "HMGET": _hmget,
    "HSET": _hset,
    "HSETNX": _hsetnx, "HDEL": _hdel, "HGETALL": _hgetall, "HINCRBY": _hincrby, "EXPIRE": _expire,
    "FCALL": _fcall, "UNLINK": _unlink,
}  # fmt: skip


# -- kinbid's functions, line by line what models/functions.lua does -------------------------


def _is_root(store: MemoryStore, key: bytes) -> bool:
    entry = store.string(key)
    return entry is None or entry.startswith(b",")


def _splits_of(entry: bytes) -> int:
    found = re.search(rb",(\d+)", entry)
    return int(found[1]) if found else 0


def _erasure_in(entry: bytes | None) -> bytes:
    found = re.search(rb"\^\d+$", entry or b"")
    return found[0] if found else b""


def _erased_ms(entry: bytes | None) -> int:
    return int(_erasure_in(entry)[1:] or 0)


def _is_same(store: MemoryStore, person: bytes, splits: bytes) -> bool:
    return store.hash(person).get(b"g", b"0") == splits


def _freeze(store: MemoryStore, key: bytes, frozen: bytes) -> None:
    if key in store.data:
        store.rename(key, frozen)


def _mark(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person, view = keys
    token, child, splits, forced = args
    if not _is_root(store, parent) or not _is_same(store, person, splits):
        return 0
    if forced == b"0" and b"!" in store.hash(person):
        return -1
    store.set_fields(person, {b"m:" + token: child})
    store.set_fields(view, {b"m:" + token: child})
    store.expiring.pop(view, None)
    return 1


def _drain(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person, frozen_person, view, frozen_view = keys
    root, token, child, splits, forced, seconds = args
    if store.delete_fields(person, [b"d:" + token]):
        return 0
    if not _is_root(store, parent) or not _is_same(store, person, splits):
        return 0
    if forced == b"0" and b"!" in store.hash(person):
        return -1
    store.data[parent] = b">" + root + (store.string(parent) or b"")
    _freeze(store, person, frozen_person)
    store.set_fields(frozen_person, {b">": token, b"k:" + child: b"1"})
    _freeze(store, view, frozen_view)
    store.set_fields(frozen_view, {b">": token})
    store.expiring.pop(frozen_view, None)
    store.set_fields(view, {b">": root})
    store.expiring[view] = int(seconds)
    return 1


def _kill(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person = keys
    if (store.string(parent) or b"").startswith(b">"):
        return 0
    store.set_fields(person, {b"d:" + args[0]: b"1"})
    return 1


def _absorb(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person, view = keys
    token, frozen, count, *parts = args
    if not _is_root(store, parent) or not store.delete_fields(person, [b"m:" + token]):
        return 0
    splits = int(store.hash(person).get(b"g", b"0"))
    last = 2 * int(count)
    for name, value in zip(parts[:last:2], parts[1:last:2], strict=True):
        if name == b"g":
            splits = max(splits, int(value))
        elif name[:2] in {b"f:", b"c:"}:
            store.set_fields(person, {name: value})
        else:
            store.set_absent(person, name, value)
    store.set_fields(person, {b"j:" + token: frozen})
    if splits:
        store.set_fields(person, {b"g": b"%d" % splits})
    for name, value in zip(parts[last::2], parts[last + 1 :: 2], strict=True):
        store.set_absent(view, name, value)
    return 1


def _drop(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person = keys
    field, node, root = args
    if _is_root(store, parent) and (node == root or b"k:" + node in store.hash(person)):
        return 0
    return store.delete_fields(person, [field])


def _close(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person, frozen_person, view, frozen_view = keys
    root, token, plan, splits, seconds = args
    if not _is_root(store, parent) or not _is_same(store, person, splits):
        return 0
    if any(name.startswith(b"m:") for name in store.hash(person)):
        return 2
    erasure = _erasure_in(store.string(parent))
    store.data[parent] = b"!%d@%b%b" % (int(splits) + 1, token, erasure)
    _freeze(store, person, frozen_person)
    store.set_fields(frozen_person, {b">": token, b"k:" + root: b"1", b"plan": plan})
    store.expiring[frozen_person] = int(seconds)
    _freeze(store, view, frozen_view)
    store.set_fields(frozen_view, {b">": token})
    store.expiring[frozen_view] = int(seconds)
    store.set_fields(view, {b"!": token})
    return 1


def _calm(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    if store.hash(keys[0]).get(b"!") != args[0]:
        return 0
    return store.delete_fields(keys[0], [b"!"])


def _is_led(entry: bytes, splits: bytes, token: bytes) -> bool:
    """Whether the split has been carried out at a node, or another one since."""
    if entry.startswith(b"!"):
        return entry.partition(b"^")[0] != b"!%b@%b" % (splits, token)
    return _splits_of(entry) >= int(splits)


def _born(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person, view = keys
    token, frozen, splits, part = args
    if _is_led(store.string(parent) or b"", splits, token):
        return 0
    store.set_fields(person, {b"m:" + part: frozen, b"g": splits})
    store.delete_fields(view, [b">", b"!"])
    store.set_fields(view, {b"m:" + part: frozen, b"g": splits})
    store.expiring.pop(view, None)
    return 1


def _repoint(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, view = keys
    node, top, splits, token = args
    entry = store.string(parent) or b""
    if _is_led(entry, splits, token):
        return 0
    led = b",%b%b" % (splits, _erasure_in(entry))
    if node == top:
        store.data[parent] = led
        return 1
    store.data[parent] = b">%b%b" % (top, led)
    if b">" in store.hash(view):
        store.set_fields(view, {b">": top})
    return 1


def _erase(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    entry = store.string(keys[0]) or b",0"
    if _erased_ms(entry) >= int(args[0]):
        return 0
    store.data[keys[0]] = b"%b^%b" % (entry.partition(b"^")[0], args[0])
    return 1


def _time_of(evidence: bytes) -> int:
    return int(evidence.split(b"@")[1])


def _given_ms(verdict: bytes) -> int:
    return int(verdict.split(b"@")[0])


def _source_of(evidence: bytes) -> tuple[bytes, bytes]:
    return evidence[:1], evidence.partition(b"@")[2]


def _witness(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    other, evidence, most = args[0], args[1], int(args[2])
    erased_ms = _erased_ms(store.string(keys[1]))
    if erased_ms > 0 and _time_of(evidence) <= erased_ms:
        return -3
    erased_ms = max(erased_ms, int(args[3]))
    fields = store.hash(keys[0])
    links = _keep(store, keys[0], other, evidence, most, erased_ms)
    if b"+" in store.hash(keys[0]):
        links = max(links, most + 1)
    if links > most:
        return links
    verdict = fields.get(b"x:" + other)
    if verdict is not None and _given_ms(verdict) > erased_ms and verdict.endswith(b"@rejected"):
        return -1
    is_doubtful = b"s:" + other in fields or (
        other.startswith(b"p") and _has_other_phone(store.hash(keys[0]))
    )
    return -2 if is_doubtful else links


def _keep(
    store: MemoryStore, key: bytes, other: bytes, evidence: bytes, most: int, erased_ms: int
) -> int:
    """Keeps the strongest and earliest evidence; returns how many links there are at the most."""
    fields = store.hash(key)
    kept = [(told, name[2:]) for name, told in fields.items() if name.startswith(b"e:")]
    known = fields.get(b"e:" + other)
    links = len(fields) if len(fields) + (known is None) <= most else len(kept)
    if known is not None:
        is_void = _time_of(known) <= erased_ms or _source_of(known) == _source_of(evidence)
        if is_void or evidence < known:
            store.set_fields(key, {b"e:" + other: evidence})
        return links
    links += 1
    store.set_fields(key, {b"e:" + other: evidence})
    if links > 2 * most + 1:
        dropped, name = max([*kept, (evidence, other)])
        store.delete_fields(key, [b"e:" + name, b"s:" + name])
        store.set_fields(key, {b"+": min(dropped, fields.get(b"+", dropped))})
    return links


def _has_other_phone(fields: Hash) -> bool:
    phones = [evidence for name, evidence in fields.items() if name.startswith(b"e:p")]
    return len({evidence.startswith(b"4") for evidence in phones}) == 2


def _disown(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    other, erased_ms = args[0], int(args[1])
    fields = store.hash(keys[0])
    words = fields.get(b"w:" + other, b"").split(b",")
    left = [word for word in words if word and int(word[:13]) > erased_ms]
    if left:
        store.set_fields(keys[0], {b"w:" + other: b",".join(left)})
    known, verdict = fields.get(b"e:" + other), fields.get(b"x:" + other)
    gone = [
        *([b"e:" + other] if known is None or _time_of(known) <= erased_ms else []),
        *([b"x:" + other] if verdict is None or _given_ms(verdict) <= erased_ms else []),
        *([] if left else [b"w:" + other]),
    ]
    store.delete_fields(keys[0], [*gone, b"s:" + other] if len(gone) == 3 else gone)
    return 1


def _shorten(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    expected, new = args
    if store.string(keys[0]) != expected:
        return 0
    store.data[keys[0]] = new
    return 1


def _withdraw(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    field = b"e:" + args[0]
    if _source_of(store.hash(keys[0]).get(field, b"")) != _source_of(args[1]):
        return 0
    return store.delete_fields(keys[0], [field])


def _declare(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    other, word, most = args
    known = store.hash(keys[0]).get(b"w:" + other)
    words = [] if known is None else known.split(b",")
    if word in words:
        return 0
    words = sorted([word, *words], reverse=True)
    store.set_fields(keys[0], {b"w:" + other: b",".join(words[: int(most)])})
    return int(words[0] == word)


def _publish(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, person, view = keys
    splits, version, header, ledger, *tokens = args
    if not _is_root(store, parent) or not _is_same(store, person, splits):
        return 0
    seen = store.hash(view).get(b"v")
    if seen is None or int(seen) <= int(version):
        store.set_fields(view, {b"v": version, b"h": header, b"c": ledger})
        if seen is None:
            store.expiring.pop(view, None)
    for token in tokens:
        store.delete_fields(person, [b"j:" + token])
        store.delete_fields(view, [b"m:" + token])
    return 1


SLACK_SECONDS = 60


def _let_expire(store: MemoryStore, view: bytes, packed: bytes, now_ms: int) -> None:
    left = math.ceil((int(packed[:13]) - now_ms) / 1000) + SLACK_SECONDS
    if store.expiring.get(view, -1) < left:
        store.expiring[view] = left


def _is_bare(store: MemoryStore, view: bytes) -> bool:
    return all(name.startswith(b"r:") for name in store.hash(view))


def _hold(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> bytes:
    field, packed, oldest_ms, now_ms = args
    entry = store.string(keys[0]) or b""
    if not entry.startswith(b">") and _erased_ms(entry) < int(oldest_ms):
        store.set_fields(keys[1], {field: packed})
        if _is_bare(store, keys[1]):
            _let_expire(store, keys[1], packed, int(now_ms))
    return entry


def _unreserve(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    changed = 0
    for name, value in store.hash(keys[0]).items():
        if not name.startswith(b"r:"):
            continue
        entries = msgspec.msgpack.decode(value[13:])
        kept = [entry for entry in entries if entry[3] > int(args[0])]
        if not kept:
            changed += store.delete_fields(keys[0], [name])
        elif kept != entries:
            store.set_fields(keys[0], {name: value[:13] + msgspec.msgpack.encode(kept)})
            changed += 1
    return changed


def _reserve(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    parent, view = keys
    now_ms, own_field, packed, oldest_ms, splits, campaign, advertiser, *bounds = args
    fields = store.hash(view)
    if not _is_root(store, parent):
        return -1
    if _erased_ms(store.string(parent)) >= int(oldest_ms):
        return _erased_ms(store.string(parent))
    if any(name.startswith(b"m:") for name in fields) or fields.get(b"g", b"0") != splits:
        return -1
    reserved = _reserved(fields, own_field, packed, int(now_ms))
    ledger: list[Any] = [0, {}, 0, 0, {}]
    if b"c" in fields:
        ledger = msgspec.msgpack.decode(fields[b"c"])
    owned = ledger[4] if len(ledger) > 4 else {}
    for of_advertiser, most, window_ms in zip(*[iter(map(int, bounds))] * 3, strict=True):
        names = owned.get(advertiser.decode(), []) if of_advertiser else [campaign.decode()]
        used = {
            nonce
            for name in names
            for nonce, billed_ms in ledger[1].get(name, {}).items()
            if billed_ms > int(now_ms) - window_ms
        }
        place, wanted = (1, advertiser) if of_advertiser else (0, campaign)
        used |= {one[2] for one in reserved if one[place] == wanted.decode()}
        if len(used) > most:
            return 0
    store.set_fields(view, {own_field: packed})
    if _is_bare(store, view):
        _let_expire(store, view, packed, int(now_ms))
    return 1


def _reserved(
    fields: Hash, own_field: bytes, packed: bytes, now_ms: int
) -> list[tuple[str, str, str]]:
    """Campaign, advertiser and nonce of every open reservation."""
    others = [v for name, v in fields.items() if name.startswith(b"r:") and name != own_field]
    return [
        (campaign, advertiser, nonce)
        for value in (*others, packed)
        if int(value[:13]) > now_ms
        for campaign, nonce, expires_ms, _, advertiser in msgspec.msgpack.decode(value[13:])
        if expires_ms > now_ms
    ]


def _sweep(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    expired = [
        name
        for name, value in store.hash(keys[0]).items()
        if name.startswith(b"r:") and int(value[:13]) <= int(args[0])
    ]
    return store.delete_fields(keys[0], expired) if expired else 0


def _own(store: MemoryStore, keys: list[bytes], args: list[bytes]) -> int:
    if args[0] == b"0" and store.string(keys[0]) is None:
        return 0
    return _incr(store, keys)


FUNCTIONS: dict[str, Function] = {
    "kinbid_v1_mark": _mark,
    "kinbid_v1_drain": _drain,
    "kinbid_v1_kill": _kill,
    "kinbid_v1_absorb": _absorb,
    "kinbid_v1_drop": _drop,
    "kinbid_v1_close": _close,
    "kinbid_v1_calm": _calm,
    "kinbid_v1_born": _born,
    "kinbid_v1_repoint": _repoint,
    "kinbid_v1_erase": _erase,
    "kinbid_v1_witness": _witness,
    "kinbid_v1_disown": _disown,
    "kinbid_v1_withdraw": _withdraw,
    "kinbid_v1_declare": _declare,
    "kinbid_v1_shorten": _shorten,
    "kinbid_v1_publish": _publish,
    "kinbid_v1_hold": _hold,
    "kinbid_v1_unreserve": _unreserve,
    "kinbid_v1_reserve": _reserve,
    "kinbid_v1_sweep": _sweep,
    "kinbid_v1_own": _own,
}


# -- drivers ----------------------------------------------------------------------------------


class Runner(Generic[T]):
    """A generator that is driven one command at a time; to drop it is to crash.

    Attributes:
        store: where its commands go.
        done: it has come to its end.
        result: what it returned.
    """

    def __init__(self, store: MemoryStore, steps: Steps[T]) -> None:
        self.store = store
        self.done = False
        self.result: T
        self._steps = steps
        self._commands: list[Command] = []
        self._replies: list[Any] = []
        self._resume(None)

    @property
    def is_between_steps(self) -> bool:
        """Whether the next command begins a step."""
        return not self._replies

    def step(self) -> None:
        """Executes its next command; as in production, an error is thrown once all have run."""
        command = self._commands[len(self._replies)]
        try:
            self._replies.append(self.store.execute(command))
        except RedisReplyError as error:
            self._replies.append(error)
        if len(self._replies) == len(self._commands):
            self._resume(self._replies)

    def _resume(self, replies: list[Any] | None) -> None:
        errors = [reply for reply in replies or () if isinstance(reply, RedisReplyError)]
        self._replies = []
        try:
            if errors:
                self._commands = self._steps.throw(errors[0])
            else:
                self._commands = self._steps.send(replies)  # type: ignore[arg-type]  # None starts
            while self._commands is TURN:
                self._commands = self._steps.send([])
        except StopIteration as stop:
            self.done, self.result = True, stop.value


def run(store: MemoryStore, steps: Steps[T]) -> T:
    """Drives one generator to its end, alone."""
    runner = Runner(store, steps)
    for _ in range(MOST_STEPS):
        if runner.done:
            return runner.result
        runner.step()
    raise AssertionError("the generator does not come to an end")


def run_all(store: MemoryStore, algorithms: Sequence[Steps[T]]) -> list[T]:
    """Drives generators one after another."""
    return [run(store, steps) for steps in algorithms]


def interleave(runners: Sequence[Runner[Any]], choose: Callable[[int], int]) -> None:
    """Drives generators to their ends; ``choose(n)`` says which of the n that are left moves."""
    for _ in range(MOST_STEPS):
        waiting = [runner for runner in runners if not runner.done]
        if not waiting:
            return
        waiting[choose(len(waiting))].step()
    raise AssertionError("the schedule does not come to an end")
