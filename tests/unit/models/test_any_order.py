"""Persons are the same in whatever order evidence, verdicts and erasures come: every order of few.

Where an erasure is among them, what is newer comes after it, as in life; what is older may come
late. A call that is taken back was told before.
"""

import itertools
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from models.commands import Steps
from models.erasure import begin_erasure, disown, part_erased
from models.evidence import Evidence, Kind, Limits, Verdict, pair_of
from models.forest import settle
from models.identifiers import NodeId
from models.keys import Keys
from models.links import judge, link, withdraw
from models.profile import shared_devices
from models.splits import Resettled, note
from models.survey import MORE_LINKS
from tests.fakes.memory_store import MemoryStore, run

KEYS = Keys("o")
LIMITS = Limits(device_links=1)
"""A device with two links has too many, and keeps three."""

KIOSK = NodeId("k" * 23)
ANNA, BORIS, CLARA, EVE, FAY = (NodeId("e" + letter * 22) for letter in "abcef")
ERASED_MS = 50


class Told(msgspec.Struct, frozen=True):
    """Evidence that somebody is who uses the kiosk; ``is_wrong``: it is taken back."""

    who: NodeId
    at_ms: int
    kind: Kind = "seen_with"
    is_wrong: bool = False


class Decided(msgspec.Struct, frozen=True):
    """A verdict on somebody's link with the kiosk."""

    who: NodeId
    verdict: Verdict
    at_ms: int = 40


class Erased(msgspec.Struct, frozen=True):
    """An erasure of somebody at ``ERASED_MS``."""

    who: NodeId


Step = Told | Decided | Erased


class World:
    """A store, and what happened to it."""

    def __init__(self, limits: Limits) -> None:
        self.store, self.limits = MemoryStore(), limits
        self._tokens = itertools.count()

    def take(self, step: Step) -> None:
        if isinstance(step, Erased):
            run(self.store, self._erase(step.who))
            return
        looked = run(self.store, self._follow(step))
        if looked is not None:
            run(self.store, note(KEYS, looked))

    def _follow(self, step: Told | Decided) -> Steps[Resettled | None]:
        if isinstance(step, Decided):
            return (
                yield from judge(
                    KEYS, *pair_of(KIOSK, step.who), step.verdict, self._token,
                    at_ms=step.at_ms, limits=self.limits,
                )
            )  # fmt: skip
        evidence = Evidence(step.kind, step.at_ms)
        change = withdraw if step.is_wrong else link
        done = yield from change(KEYS, KIOSK, step.who, evidence, self._token, limits=self.limits)
        return done.resettled

    def _erase(self, who: NodeId) -> Steps[None]:
        pairs = yield from begin_erasure(KEYS, [who], ERASED_MS)
        for _ in range(2):  # as kinbid erase does
            look = yield from part_erased(KEYS, [who], pairs, self._token, limits=self.limits)
            yield from note(KEYS, look)
            yield from disown(KEYS, [who], pairs, ERASED_MS)

    def _token(self) -> str:
        return f"t{next(self._tokens)}"

    def person(self) -> set[NodeId]:
        return set(run(self.store, settle(KEYS, KIOSK)).members)

    def is_shared(self) -> bool:
        return KIOSK in shared_devices(run(self.store, settle(KEYS, KIOSK)))

    def evidence(self) -> dict[bytes, bytes]:
        """What the kiosk keeps."""
        return self.store.hash(KEYS.evidence(KIOSK).encode())


def orders(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Every order that may be."""
    for order in itertools.permutations(steps):
        erased, withdrawn = set[NodeId](), set[Told]()
        for step in reversed(order):
            if isinstance(step, Erased):
                erased.add(step.who)
            elif step.who in erased and step.at_ms > ERASED_MS:
                break
            elif isinstance(step, Told):
                wrong = msgspec.structs.replace(step, is_wrong=True)
                if step.is_wrong:
                    withdrawn.add(step)
                elif wrong in steps and wrong not in withdrawn:
                    break
        else:
            yield order


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What happens, and what comes of it: who is one with the kiosk, and whether it is shared."""

    steps: list[Step]
    person: set[NodeId] = set()
    shared: bool = False
    limits: Limits = LIMITS


FORMS: list[Step] = [Told(one, at) for at, one in enumerate((ANNA, BORIS, CLARA), start=1)]
SIGN_INS: list[Step] = [Told(EVE, 8, "sign_in"), Told(FAY, 9, "sign_in")]
NO_LIMITS = Limits()

CASES: dict[str, Case] = {
    "a kiosk at which two have signed in": Case(steps=[*FORMS, *SIGN_INS], shared=True),
    "a kiosk at which one has signed in": Case(steps=[*FORMS, *SIGN_INS[:1]]),
    "a kiosk at which two have signed in, one of whom nobody believes": Case(
        steps=[*FORMS[:2], *SIGN_INS, Decided(FAY, "rejected")]
    ),
    "a kiosk of whose sign-ins only one is kept, which nobody believes": Case(
        steps=[*SIGN_INS, Decided(EVE, "rejected")], shared=True, limits=Limits(device_links=0)
    ),
    "a kiosk with a form that was an order of a customer who signs in": Case(
        steps=[*FORMS, *SIGN_INS[:1], Told(ANNA, 9, "sign_in")], shared=True
    ),
    "a kiosk and somebody who is erased": Case(
        steps=[*FORMS[:2], *SIGN_INS, Erased(ANNA)], shared=True
    ),
    "a kiosk and somebody who calls": Case(
        steps=[
            *FORMS[:1], *SIGN_INS, Told(CLARA, 3, "call_session"),
            Told(CLARA, 3, "call_session", is_wrong=True),
        ],
        shared=True,
    ),
    "one link too many that is rejected": Case(
        steps=[*SIGN_INS, Decided(FAY, "rejected")]
    ),
    "as many links as may be and one that nobody told of": Case(
        steps=[*SIGN_INS, Decided(ANNA, "approved"), Decided(BORIS, "rejected")],
        person={ANNA, EVE, FAY}, limits=Limits(device_links=2),
    ),
    "an approved call that was taken back": Case(
        steps=[
            Told(ANNA, 3, "call_session"), Decided(ANNA, "approved"),
            Told(ANNA, 3, "call_session", is_wrong=True), Told(EVE, 8, "sign_in"),
        ],
        person={ANNA, EVE}, limits=NO_LIMITS,
    ),
    "a rejected call that was taken back": Case(
        steps=[
            *SIGN_INS[:1], Told(ANNA, 3, "call_session"), Decided(ANNA, "rejected"),
            Told(ANNA, 3, "call_session", is_wrong=True), Decided(FAY, "approved"),
        ],
        person={EVE, FAY},
    ),
    "an unlink after an erasure": Case(
        steps=[
            Told(ANNA, 3), Erased(ANNA), Told(ANNA, 60), Decided(ANNA, "rejected", 70),
            Told(ANNA, 80, "sign_in"),
        ],
        limits=NO_LIMITS,
    ),
    "an unlink before an erasure": Case(
        steps=[Told(ANNA, 3), Decided(ANNA, "rejected"), Erased(ANNA), Told(ANNA, 60)],
        person={ANNA}, limits=NO_LIMITS,
    ),
    "an approval after an erasure of what was told before": Case(
        steps=[Told(ANNA, 3), Erased(ANNA), Decided(ANNA, "approved", 70), Told(EVE, 8)],
        person={ANNA, EVE}, limits=NO_LIMITS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_persons_are_the_same_in_every_order(name: str) -> None:
    case = CASES[name]
    seen = list(orders(case.steps))
    assert len(seen) > 3
    for order in seen:
        world = World(case.limits)
        for step in order:
            world.take(step)
        assert world.person() == {KIOSK, *case.person}, order
        assert world.is_shared() == case.shared, order


def test_an_identifier_with_too_many_links_keeps_the_same_in_every_order() -> None:
    kept = set[frozenset[tuple[bytes, bytes]]]()
    for order in orders([*FORMS, *SIGN_INS]):
        world = World(LIMITS)
        for step in order:
            world.take(step)
        kept.add(frozenset(one for one in world.evidence().items() if one[0][:2] != b"s:"))
    (links,) = kept
    assert {name.decode() for name, _ in links} == {
        f"e:{EVE}", f"e:{FAY}", f"e:{ANNA}", MORE_LINKS.decode()
    }  # fmt: skip
