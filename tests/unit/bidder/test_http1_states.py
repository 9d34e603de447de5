"""A connection in every state that a client, a slow network and late answers can bring about."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

from bidder.connections import SPOKES, Connections, HttpLimits
from bidder.http1 import MAX_OPEN_CALLS, HttpCall, response
from bidder.http_answers import CONTINUE, refusal
from bidder.metrics import Counters, open_memory
from tests.unit.bidder.test_http1 import CHUNKED, Client, post

LIMITS = HttpLimits(idle_ms=10_000, receive_ms=1_000, connections=10)
MANY = post(b"/many", b"x") * (MAX_OPEN_CALLS - 1)
LAST = post(b"/last", b"", b"Connection: close\r\n")
STREAMS = (
    post(b"/a", b"body"), MANY, post(b"/b", b"x") * 3, CHUNKED, post(b"/c", b"x" * 40_000),
    post(b"/d", b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), MANY + LAST, MANY + b"junk",
    post(b"/e", b"body", b"Expect: 100-continue\r\n"), b"GET /f HTTP/1.0\r\n\r\n",
    b"POST /g HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nabcdejunk",
    b"POST /h HTTP/1.1\r\nExpect: 100-continue\r\n" + b"X" * 20_000, 2 * MANY + LAST,
)  # fmt: skip


class Connection(RuleBasedStateMachine):
    """The fake transport refuses what a real one would: it is half of the oracle."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        with open_memory() as memory:
            self.connections = Connections(LIMITS, Counters(memory.fileno()))
        self.client = Client(connections=self.connections, answers_at_once=False)
        self.client.connection._handler = self.handle
        self.started: list[HttpCall] = []
        self.new: list[HttpCall] = []
        self.answers: dict[int, bytes] = {}
        self.at_once = False
        self.rest = b""
        self.is_lost = self.has_ended = self.cannot_write = False

    def handle(self, call: HttpCall) -> None:
        self.started.append(call)
        if self.at_once:
            self.answer(call)
        else:
            self.new.append(call)

    def answer(self, call: HttpCall) -> None:
        place = self.started.index(call)
        answer = response(200, b"%d %b" % (place, call.target))
        if call.respond(answer):
            self.answers[place] = answer

    def can_hear(self) -> bool:
        """Whether the loop would deliver bytes."""
        transport = self.client.transport
        return not (self.is_lost or self.has_ended or transport.closed or transport.paused)

    @precondition(can_hear)
    @rule(
        stream=st.sampled_from(STREAMS),
        share=st.sampled_from((1.0, 1.0, 0.99, 0.5, 0.02)),
        at_once=st.booleans(),
    )
    def send(self, stream: bytes, share: float, *, at_once: bool) -> None:
        """Sends a part of what is left of a stream, or of a new one."""
        self.at_once = at_once
        left = self.rest or stream
        size = max(1, round(len(left) * share))
        self.rest = left[size:]
        self.client.send(left[:size])

    @precondition(lambda self: self.new)
    @rule(target=calls)
    def begin(self) -> HttpCall:
        """A request that is answered later."""
        return self.new.pop()

    @rule(call=consumes(calls), at_once=st.booleans())
    def answer_later(self, call: HttpCall, *, at_once: bool) -> None:
        """In any order."""
        self.at_once = at_once
        self.answer(call)

    @precondition(lambda self: self.new)
    @rule()
    def answer_all(self) -> None:
        """The newest first."""
        while self.new:
            self.answer(self.new.pop())

    @precondition(lambda self: not (self.is_lost or self.client.transport.closed))
    @rule()
    def fill_or_empty_the_buffer(self) -> None:
        """The client stops to read, or goes on."""
        if self.cannot_write:
            self.client.connection.resume_writing()
        else:
            self.client.connection.pause_writing()
        self.cannot_write = not self.cannot_write

    @precondition(can_hear)
    @rule(fate=st.integers(0, 4))
    def end(self, fate: int) -> None:
        """The client sends no more."""
        if fate < 4:
            return
        self.has_ended = True
        if not self.client.connection.eof_received():
            self.client.transport.close()

    @rule(turns=st.sampled_from((1, 1, 1, 2, 12)))
    def wait(self, turns: int) -> None:
        """A second for each turn."""
        for _ in range(turns):
            for spoke in range(SPOKES):
                self.connections.tick(self.connections.now_ms + (1_000 if spoke == 0 else 0))

    @rule(fate=st.integers(0, 9))
    def lose(self, fate: int) -> None:
        """The network is gone, or what was closed is closed now."""
        if not self.is_lost and (self.client.transport.closed or fate == 9):
            self.is_lost = True
            self.client.transport.close()
            self.client.connection.connection_lost(None)

    @invariant()
    def answers_leave_in_order(self) -> None:
        """And each once, a refusal behind them all."""
        sent = b"".join(self.client.transport.written).replace(CONTINUE, b"")
        for place in range(len(self.started)):
            answer = self.answers.get(place, b"?")
            if not sent.startswith(answer):
                break
            sent = sent.removeprefix(answer)
        assert sent in {b"", refusal(400), refusal(408)}

    @invariant()
    def not_too_many_are_open(self) -> None:
        """However many the client has sent."""
        assert sum(call.answer is None for call in self.started) <= MAX_OPEN_CALLS
        assert len(self.connections) == (0 if self.is_lost else 1)

    @invariant()
    def all_is_answered_that_could_be(self) -> None:
        """Unless the client is gone, or does not read."""
        stopped = self.is_lost or self.client.transport.closed or self.cannot_write
        if not stopped and all(call.answer for call in self.started):
            assert not self.client.connection._open
            assert not self.client.connection._backlog
            assert not self.client.transport.paused


Connection.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
test_a_connection_in_every_state = Connection.TestCase
