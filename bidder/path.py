"""The bid path as one generator: bytes, identify, person, decide, reserve, bytes.

Failure modes, declared here: without Redis there is no person, so only campaigns that need none
may bid (open for context, closed for everything personal); a cap that cannot be checked is a cap
that is used up (closed), and none can be while streams is far behind with what was billed.
"""

import logging
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

from bidder import metrics
from bidder.allowed_use import AllowedUse, Refusal
from bidder.auction import Terms, terms_of
from bidder.bids import Bid, Decision, Policy
from bidder.billing_delays import BillingDelays
from bidder.decide import best_bids, decide, prospects_of
from bidder.desk import Desk
from bidder.errors import NoBidReason
from bidder.identify import nodes_of
from bidder.lookup import (
    Found,
    fetch_person,
    is_exchange_user,
    reserve_exactly,
    through_match,
)
from bidder.metrics import Counters
from bidder.openrtb import DEVIATIONS as DEVIATING_FIELDS
from bidder.openrtb import BidRequest, deviation
from bidder.privacy import Privacy
from bidder.receipts import Draft, Receipts
from bidder.reservations import OwnReservations
from bidder.respond import Responder, no_bid_body
from models.budgets import Allowances
from models.catalog import Catalog
from models.catalog_records import Exchange
from models.commands import TURN, Steps
from models.fold_clock import FoldClock
from models.identifiers import NodeId
from models.keys import Keys
from models.nonces import WORKERS, Nonces, worker_name
from models.notices import BILLER_OF, NO_NODE, NoticeSigner, NoticeToken, short_id
from models.presence import PresenceRule
from models.profile import Person
from models.reservations import Reservation
from models.units import SECOND_MS
from runtime.pepper import pepper_of
from runtime.redis_link import RedisDownError, RedisReplyError
from runtime.settings import Settings

__all__ = ["Answer", "BidPath", "Reserved", "presence_rule"]

logger = logging.getLogger(__name__)

BURST_MS: Final = 1_000
"""Bids for one person so close together are reserved in Redis before they are answered."""
MOST_ROUNDS: Final = 3
"""Exact reservations that may be refused before a request is left without a personal bid."""


LONGEST_BILLABLE_SECONDS: Final = 30 * 86_400
"""However late a slot says that it may be billed: then its price is a matter for people."""

MATCHED = metrics.slot("bidder_persons_matched")
KNOWN = metrics.slot("bidder_persons_known")
UNKNOWN = metrics.slot("bidder_persons_unknown")
REFUSED = metrics.slot("bidder_persons_refused")
DISAGREEMENTS = metrics.slot("bidder_identity_disagreements")
WITHDRAWN = metrics.slot("bidder_persons_withdrawn")
CROWDED = metrics.slot("bidder_persons_crowded")
SHARED = metrics.slot("bidder_shared_devices")
SEARCHES_CUT = metrics.slot("bidder_searches_cut")
EXACT = metrics.slot("bidder_exact_reservations")
CAP_REFUSALS = metrics.slot("bidder_cap_refusals")
BIDS = metrics.slot("bidder_bids")
SHED_NOBODYS = metrics.slot("bidder_shed", "nobody")
REDIS_FAILURES = metrics.slot("bidder_dependency_failures", "redis")
STREAMS_FAILURES = metrics.slot("bidder_dependency_failures", "streams")
DEVIATIONS = {field: metrics.slot("bidder_request_deviations", field) for field in DEVIATING_FIELDS}
REFUSALS = {one: metrics.slot("bidder_privacy_refusals", one.value) for one in Refusal}
NO_BIDS = {reason: metrics.slot("bidder_no_bids", reason.value) for reason in NoBidReason}

NOBODY: Final = Found(Person())
UNNAMED: Final = Found(Person(), absent="no_identifier")
TOO_MANY: Final = Found(Person(), absent="crowded")
UNREAD: Final = Found(Person(), absent="redis")
BEHIND: Final = Found(Person(), absent="streams")
CAPPED: Final = Found(Person(), absent="caps")
UNCHECKED: Final = Found(Person(), absent="caps_unchecked")


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """A reservation that this worker holds in memory.

    Attributes:
        is_written: Redis has it already, for the other workers to see.
    """

    root: NodeId
    reservation: Reservation
    is_written: bool = False


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What to send, and what to write once it is sent.

    Attributes:
        body: the response, or None for 204.
        reserved: reservations behind the bids.
        expired_at: a person with reservations whose time is over, to be swept.
        receipt: to be closed once that is done; None for most.
    """

    body: bytes | None
    reserved: tuple[Reserved, ...] = ()
    expired_at: NodeId | None = None
    receipt: Draft | None = None


class _Case(msgspec.Struct, frozen=True, gc=False):
    """A request that is being answered."""

    request: BidRequest
    exchange: Exchange
    terms: Terms
    now_ms: int
    use: AllowedUse
    found: Found
    receipt: Draft | None = None


class _Draft(msgspec.Struct, gc=False):
    """A bid that is about to be made, and its reservation if it needs one."""

    bid: Bid
    nonce: str
    held: Reserved | None


def presence_rule(settings: Settings) -> PresenceRule:
    """When a shared device is one of its users'."""
    return PresenceRule(
        stay_ms=settings.presence_stay_seconds * SECOND_MS,
        min_ratio=settings.presence_percent / 100,
        private_ratio=settings.private_percent / 100,
    )


class BidPath:
    """Everything that turns a bid request into an answer."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        counters: Counters,
        allowances: Allowances | None = None,
        folds: FoldClock | None = None,
    ) -> None:
        self.catalog = catalog
        self.folds = folds or FoldClock(settings.streams_patience_seconds * SECOND_MS)
        self.allowances = allowances or Allowances(settings.time_zone)
        self._counters = counters
        self._slots = counters.slots
        self._keys = Keys(settings.owner)
        self._pepper = pepper_of(settings)
        self.privacy = Privacy(settings.tcf_vendor)
        self._policy = Policy(
            seat=settings.seat,
            currency=settings.currency,
            is_secure=settings.public_url.startswith("https://"),
            private_ratio=presence_rule(settings).private_ratio,
        )
        self._responder = Responder(
            catalog,
            NoticeSigner(settings.notice_secret),
            public_url=settings.public_url,
        )
        self._presence = presence_rule(settings)
        self._exact_margin = settings.cap_exact_margin
        self._notice_window = settings.notice_window_seconds
        self.worker = worker_name(secrets.randbelow(WORKERS))
        self._nonces = Nonces(self.worker)
        self.own = OwnReservations(self.worker)
        self.receipts: Receipts | None = None
        self.delays = BillingDelays()

    def answer(
        self,
        request: BidRequest,
        exchange: Exchange,
        now_ms: int,
        *,
        known_only: bool = False,
    ) -> Steps[Answer]:
        """Answers one request.

        Args:
            request: as decoded.
            exchange: who asks.
            now_ms: the present, Unix ms.
            known_only: bid for people whom we know, and for nobody else: there is little time.
        """
        receipts = self.receipts
        receipt = None if receipts is None else receipts.begin(request, exchange, now_ms)
        terms = terms_of(request, exchange, self._policy, self.catalog, now_ms)
        if isinstance(terms, NoBidReason):
            answer = self._no_bid(request, exchange, terms)
            return answer if receipt is None else self._refused(receipt, answer)
        if terms.limits is not None:
            for path in terms.limits.deviations:
                self.count_deviation(path)
        use = self.privacy.use_of(request)
        for reason in use.refusals:
            self._slots[REFUSALS[reason]] += 1
        found = yield from self._find(request, exchange, now_ms, use)
        case = _Case(request, exchange, terms, now_ms, use, found, receipt)
        if known_only and not found.is_known:
            self._counters.add(SHED_NOBODYS)
            answer = self._no_bid(request, exchange, NoBidReason.OVERLOAD)
            return answer if receipt is None else self._shed(case, receipt, answer)
        excluded: frozenset[str] = frozenset()
        nobody = CAPPED
        for _ in range(MOST_ROUNDS):
            decision, pending = yield from self._decide(case, excluded)
            drafts = self._draft(case, decision)
            # What is refused afterwards stays set aside until its time is over.
            self._hold_money(case, drafts)
            unsure = self._unsure(case, drafts, pending)
            if not unsure:
                yield TURN
                return self._respond(case, decision, drafts)
            try:
                refused = yield from self._reserve(case, unsure)
            except (RedisDownError, RedisReplyError):
                self._counters.add(REDIS_FAILURES)
                self._release_drafts(drafts)
                nobody = UNCHECKED
                break
            if not refused:
                return self._respond(case, decision, drafts)
            self._release_drafts(drafts)
            excluded |= refused
        case = msgspec.structs.replace(case, found=nobody)
        decision, _ = yield from self._decide(case, excluded)
        drafts = self._draft(case, decision)
        self._hold_money(case, drafts)
        return self._respond(case, decision, drafts)

    def _find(
        self, request: BidRequest, exchange: Exchange, now_ms: int, use: AllowedUse
    ) -> Steps[Found]:
        slots = self._slots
        if not use.personal:
            slots[REFUSED] += 1
            return NOBODY
        nodes = nodes_of(request, exchange.id, self._pepper)
        if not nodes:
            slots[CROWDED] += nodes is None
            return TOO_MANY if nodes is None else UNNAMED
        if self.folds.is_lost:
            slots[STREAMS_FAILURES] += 1
            return BEHIND
        try:
            if is_exchange_user(nodes[0]):
                nodes = yield from through_match(self._keys, nodes)
                slots[MATCHED] += len(nodes) > 1
            found = yield from fetch_person(
                self._keys, nodes, now_ms, self.own.field, self._presence,
                behind_ms=self.folds.behind_ms,
            )  # fmt: skip
        except (RedisDownError, RedisReplyError):
            slots[REDIS_FAILURES] += 1
            return UNREAD
        slots[KNOWN if found.is_known else UNKNOWN] += 1
        if found.disagrees:
            slots[DISAGREEMENTS] += 1
        if found.is_shared:
            slots[SHARED] += 1
        if found.withdrawn is not None:
            slots[WITHDRAWN] += 1
        return found

    def _decide(
        self, case: _Case, excluded: frozenset[str]
    ) -> Steps[tuple[Decision, tuple[Reservation, ...]]]:
        """Decides, in turns with the requests that came at the same time.

        Returns:
            The decision, and what this worker had reserved for the person before. What is to be
            reserved now must be before the next turn: two bids for a person must see each other.
        """
        person, receipt = case.found.person, case.receipt
        terms, now_ms = case.terms, case.now_ms
        if receipt is None:
            yield TURN
            prospects = prospects_of(
                Desk(
                    case.request, terms, person, case.exchange, self.catalog, self._policy, now_ms,
                    excluded, self.allowances.of,
                )
            )  # fmt: skip
            yield TURN
            pending = self._reserved_for(person, now_ms)
            decision = best_bids(prospects, pending)
        else:
            pending = self._reserved_for(person, now_ms)
            decision = receipt.watching(decide)(
                case.request, person, case.exchange, self.catalog, policy=self._policy,
                now_ms=now_ms, pending=pending, excluded=excluded, allowances=self.allowances.of,
                terms=terms,
            )  # fmt: skip
        if decision.was_cut:
            self._slots[SEARCHES_CUT] += 1
        return decision, pending

    def _reserved_for(self, person: Person, now_ms: int) -> tuple[Reservation, ...]:
        """What this worker has reserved for somebody."""
        if person.root is None:
            return ()
        return self.own.of(person.root, now_ms - self.folds.behind_ms)

    def _draft(self, case: _Case, decision: Decision) -> list[_Draft]:
        """Names each bid and reserves it in memory, so that this worker's next request sees it.

        For as long as its billing may take: as the exchange's record says, and at least as long as
        was measured there, or until then as the slot says.
        """
        exchange, now_ms = case.exchange, case.now_ms
        root = None if case.request.test else case.found.person.root
        known = self.delays.hold_seconds(exchange.id)
        drafts: list[_Draft] = []
        for bid in decision.bids:
            nonce = self._nonces.next(now_ms)
            held = None
            if root is not None and bid.segment is not None:
                seconds = (
                    bid.wait_seconds if known is None else max(exchange.reservation_seconds, known)
                )
                campaign = bid.campaign
                reservation = Reservation(
                    campaign.id, nonce, now_ms + seconds * SECOND_MS, now_ms, campaign.advertiser
                )
                self.own.add(root, reservation)
                held = Reserved(root, reservation)
            drafts.append(_Draft(bid, nonce, held))
        return drafts

    def _unsure(
        self, case: _Case, drafts: list[_Draft], pending: tuple[Reservation, ...]
    ) -> list[tuple[_Draft, Reserved]]:
        """Bids whose place may be taken already, so that Redis is to be asked for it.

        That is a place within the exact margin, or any while other bids for the person are new:
        what other workers have not written yet, such bids would not see.

        Args:
            case: the request.
            drafts: its bids.
            pending: what this worker had reserved for the person before.
        """
        margin, since_ms = self._exact_margin, case.now_ms - BURST_MS
        is_burst = False
        for one in case.found.person.reservations + pending:
            is_burst |= one.made_ms > since_ms
        return [
            (draft, draft.held)
            for draft in drafts
            if draft.held is not None and (is_burst or draft.bid.room <= margin)
        ]

    def _reserve(self, case: _Case, unsure: list[tuple[_Draft, Reserved]]) -> Steps[frozenset[str]]:
        """Asks Redis for places that may be taken already; returns the campaigns it refuses."""
        if case.receipt is not None:
            case.receipt.before_waiting()
        refused: set[str] = set()
        for draft, held in unsure:
            bid = draft.bid
            self._slots[EXACT] += 1
            limits = (*bid.limits, *bid.pressure)
            if (
                yield from reserve_exactly(
                    self._keys,
                    held.root,
                    self.own,
                    held.reservation,
                    splits=case.found.person.splits,
                    limits=limits,
                    now_ms=case.now_ms - self.folds.behind_ms,
                )
            ):
                draft.held = msgspec.structs.replace(held, is_written=True)
            else:
                self._slots[CAP_REFUSALS] += 1
                refused.add(bid.campaign.id)
        return frozenset(refused)

    def _release_drafts(self, drafts: list[_Draft]) -> None:
        self.release([draft.held for draft in drafts if draft.held is not None])

    def release(self, held: Iterable[Reserved]) -> None:
        """Takes reservations back whose bids are not sent; Redis lets its copy expire."""
        for one in held:
            self.own.remove(one.root, one.reservation)

    def _respond(self, case: _Case, decision: Decision, drafts: list[_Draft]) -> Answer:
        person = case.found.person
        expired_at = person.root if case.found.has_expired else None
        if decision.reason is not None:
            answer = self._no_bid(case.request, case.exchange, decision.reason, expired_at)
            return self._noted(case, answer, [])
        self._slots[BIDS] += len(drafts)
        bids: list[tuple[Bid, NoticeToken]] = []
        held: tuple[Reserved, ...] = ()
        for draft in drafts:
            bids.append((draft.bid, self._token(case, draft)))
            if draft.held is not None:
                held += (draft.held,)
        body = self._responder.body(case.request.id, bids, case.terms, case.exchange)
        answer = Answer(body, held, expired_at)
        if case.receipt is None:
            return answer
        return self._noted(case, answer, [token for _, token in bids])

    def _no_bid(
        self,
        request: BidRequest,
        exchange: Exchange,
        reason: NoBidReason,
        expired_at: NodeId | None = None,
    ) -> Answer:
        self._counters.add(NO_BIDS[reason])
        body = no_bid_body(request.id, reason) if exchange.no_bid_body else None
        return Answer(body, expired_at=expired_at)

    # -- receipts --------------------------------------------------------------------------

    def _noted(self, case: _Case, answer: Answer, tokens: list[NoticeToken]) -> Answer:
        """The answer, with its receipt where there is one."""
        receipt = case.receipt
        if receipt is None:
            return answer
        name = tokens[0].nonce if tokens else self._nonces.next(case.now_ms)
        receipt.answered(name, tokens, answer.body, case.use, case.found)
        return msgspec.structs.replace(answer, receipt=receipt)

    def _refused(self, receipt: Draft, answer: Answer) -> Answer:
        """A no-bid whatever the person: nobody was looked for."""
        receipt.watching(decide)(
            receipt.request, Person(), receipt.exchange, self.catalog,
            policy=self._policy, now_ms=receipt.now_ms,
        )  # fmt: skip
        receipt.answered(self._nonces.next(receipt.now_ms), (), answer.body)
        return msgspec.structs.replace(answer, receipt=receipt)

    def _shed(self, case: _Case, receipt: Draft, answer: Answer) -> Answer:
        """A no-bid for want of time: nothing was decided."""
        receipt.decision = Decision((), NoBidReason.OVERLOAD)
        return self._noted(case, answer, [])

    def note_late(self, request: BidRequest, exchange: Exchange, now_ms: int) -> None:
        """Keeps the receipt of a request for which no time was left, if it is one to be kept."""
        receipt = None if self.receipts is None else self.receipts.begin(request, exchange, now_ms)
        if receipt is not None:
            receipt.decision = Decision((), NoBidReason.LATE)
            receipt.answered(self._nonces.next(now_ms), (), None)
            receipt.close(is_sent=False, elapsed_ns=0)

    def note_fault(
        self, request: BidRequest, exchange: Exchange, now_ms: int, error: Exception
    ) -> None:
        """Keeps a receipt of a request that failed for a fault of ours."""
        if self.receipts is not None:
            self.receipts.keep_fault(self._nonces.next(now_ms), request, exchange, now_ms, error)

    # -- counts ----------------------------------------------------------------------------

    def count_deviation(self, path: str) -> None:
        """Counts a field that is not of its type; a request is read all the same."""
        self._counters.add(DEVIATIONS[deviation(path)])
        logger.debug("request_deviates", extra={"field": path})

    def _hold_money(self, case: _Case, drafts: list[_Draft]) -> None:
        """Sets aside what the bids may cost, as long as nothing is heard of them."""
        if case.request.test:
            return
        expires_ms = case.now_ms + case.exchange.reservation_seconds * SECOND_MS
        for draft in drafts:
            campaign = draft.bid.campaign.id
            if campaign in self.allowances.of:
                self.allowances.hold(campaign, draft.bid.cost_micros, expires_ms)

    def _token(self, case: _Case, draft: _Draft) -> NoticeToken:
        bid, held, request, exchange = draft.bid, draft.held, case.request, case.exchange
        campaign, currency = bid.campaign, case.terms.currency
        node = NO_NODE
        if bid.segment is not None and case.use.personal and case.use.ids:
            node = case.found.person.node or NO_NODE
        is_own = currency == self._policy.currency
        # By place: by name it takes twice as long.
        return NoticeToken(
            node, draft.nonce, campaign.id, bid.fitted.creative.id, exchange.id,
            bid.bid_cpm_micros, case.now_ms, self._notice_window_seconds(case, bid.imp_id),
            short_id(request.id), short_id(bid.imp_id), BILLER_OF[exchange.bills_on],
            bool(request.test),
            "" if is_own else currency,
            0 if is_own else bid.price_micros,
            "" if held is None else campaign.advertiser,
            0 if held is None else held.reservation.held_seconds,
            () if held is None else bid.limits,
        )  # fmt: skip

    def _notice_window_seconds(self, case: _Case, imp_id: str) -> int:
        """How long a notice may move money: as the exchange's contract says, or the slot's exp."""
        agreed = case.exchange.notice_window_seconds or self._notice_window
        for imp in case.request.imp:
            if imp.exp and imp.id == imp_id:
                return max(agreed, min(imp.exp, LONGEST_BILLABLE_SECONDS))
        return agreed
