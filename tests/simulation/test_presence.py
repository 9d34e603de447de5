"""Every interleaving of a verdict on a sign-in with workers that write the shared device's view.

A view is written from what its writer has read before, so one who read before the verdict and
writes after it must not have the last word: at every end the device's view knows nothing of the
sign-in that was withdrawn, or knows it again where it was approved.
"""

import itertools
from collections.abc import Collection

import pytest

from models import links
from models.commands import Steps
from models.evidence import Evidence, Verdict
from models.forest import find
from models.identifiers import NodeId
from models.keys import Keys
from models.links import link
from models.profile import decode_header, publish
from models.splits import note
from streams.stages.persons import KnownLinks
from tests.fakes.memory_store import MemoryStore, run
from tests.simulation.explore import Program, Search, Statistics, explore
from tests.simulation.scenario import (
    KEYS,
    X,
    Y,
    a,
    billing,
    check_view,
    events_batch,
    is_expiry,
    judging,
    named,
    seeded,
    signed_in,
)

EMAIL = named("e", "e")


def shared_device() -> MemoryStore:
    """A device with sign-ins of two CRM persons and of one more account."""
    store = seeded(a, X, Y, EMAIL)
    tokens = (f"seed{number}" for number in itertools.count())
    entries = [signed_in(a, offset, account) for offset, account in enumerate((X, Y, EMAIL))]
    run(store, events_batch(a, 1, entries, KnownLinks(), lambda: next(tokens)))
    store.expire_now()
    return store


def linking(account: NodeId) -> Program:
    """Another worker that hears of a sign-in there, too."""

    def program() -> Steps[None]:
        tokens = itertools.count()
        evidence = Evidence("sign_in", 9)
        done = yield from link(KEYS, a, account, evidence, lambda: f"link{next(tokens)}")
        yield from publish(KEYS, a)
        if done.resettled is not None:
            yield from note(KEYS, done.resettled)

    return program


def searched(*others: Program, verdict: Verdict = "rejected") -> Statistics:
    present = {X, Y, EMAIL} if verdict == "approved" else {X, Y}

    def ended(store: MemoryStore) -> None:
        root = run(store.copy(), find(KEYS, a))
        header = decode_header(store.hash(KEYS.bid_view(root).encode())[b"h"])
        found = {account for account, _ in header.sign_ins}
        assert found == present, f"present: {found}"
        check_view(store, root)

    programs = [judging("verdict", (a, EMAIL), verdict), *others]
    store = shared_device()
    if verdict == "approved":
        run(store, judging("before", (a, EMAIL))())
    return explore(
        Search(store=store, programs=programs, unseen=is_expiry, on_end=ended, limit=2_000_000)
    )


def test_whoever_writes_last_leaves_out_a_sign_in_that_is_withdrawn() -> None:
    assert searched(billing(a, 1, range(1, 2)), billing(X, 1, range(1, 2))).states > 100


def test_a_sign_in_that_is_told_again_while_it_is_withdrawn_is_left_out() -> None:
    assert searched(linking(EMAIL)).states > 100


def test_an_approved_sign_in_counts_again_for_good() -> None:
    assert searched(billing(a, 1, range(1, 2)), verdict="approved").states > 100


def test_a_verdict_that_raises_no_version_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def count_nothing(_: Keys, devices: Collection[NodeId]) -> Steps[None]:
        assert devices
        yield from ()

    monkeypatch.setattr(links, "count_verdict", count_nothing)
    with pytest.raises(AssertionError, match="present: "):
        searched(billing(a, 1, range(1, 2)))
