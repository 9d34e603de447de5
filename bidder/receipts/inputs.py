"""All that a decision is made of, as bytes, and back.

The arguments are those of ``decide``, whichever it has: they are taken from its signature, so one
more is kept from the day on which it is added.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, get_type_hints

import msgspec

from bidder.decide import decide
from bidder.receipts.watched_catalog import AnyRecord, Behind
from models.errors import EventError
from models.notices import NoticeToken

__all__ = ["LEFT_OUT", "POSITIONAL", "Full", "Inputs", "decode_full", "encode_full"]

LEFT_OUT: Final = frozenset({"catalog", "fates", "terms"})
"""Arguments that are no inputs: the catalogue is kept as records, fates come out, and terms follow
from the others."""

_PARAMETERS: Final = inspect.signature(decide).parameters
POSITIONAL: Final = tuple(
    name for name, one in _PARAMETERS.items() if one.kind is one.POSITIONAL_OR_KEYWORD
)


def _fields(function: Callable[..., object]) -> Iterable[tuple[str, Any, Any]]:
    hints = get_type_hints(function, include_extras=True)
    for name, one in _PARAMETERS.items():
        if name not in LEFT_OUT:
            is_required = one.default is one.empty
            yield name, hints[name], msgspec.NODEFAULT if is_required else one.default


Inputs: Final = msgspec.defstruct(
    "Inputs", [*_fields(decide)], frozen=True, kw_only=True, module=__name__
)
"""The arguments of ``decide`` that are kept, with their types and defaults."""


class Full(msgspec.Struct, frozen=True, kw_only=True):
    """What a full receipt has besides the summary.

    Attributes:
        inputs: an :data:`Inputs`, still packed.
        records: of the catalogue, those that mattered.
        deals: of the request, those on which any campaign may bid, with how many may.
        newer: of the records, those that changed after the decision, while it waited for a place
            under a cap: the answer was written from these.
        tokens: what the notices of each bid say.
        public_url: where they come to.
    """

    inputs: msgspec.Raw
    records: tuple[AnyRecord, ...]
    tokens: tuple[NoticeToken, ...] = ()
    public_url: str = ""
    deals: dict[str, int] = {}
    newer: tuple[AnyRecord, ...] = ()


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Full).decode
_decode_inputs: Final = msgspec.json.Decoder(Inputs).decode


def encode_full(
    arguments: Mapping[str, object],
    behind: Behind,
    newer: tuple[AnyRecord, ...],
    tokens: tuple[NoticeToken, ...],
    public_url: str,
) -> msgspec.Raw:
    """Packs the inputs of a decision."""
    inputs = {name: value for name, value in arguments.items() if name not in LEFT_OUT}
    full = Full(
        inputs=msgspec.Raw(_encode(inputs)), records=behind.records, tokens=tokens,
        public_url=public_url, deals=behind.deals, newer=newer,
    )  # fmt: skip
    return msgspec.Raw(_encode(full))


def decode_full(packed: msgspec.Raw) -> tuple[Full, dict[str, Any]]:
    """Unpacks them: the records, and the arguments of ``decide`` by their names.

    Raises:
        EventError: another version wrote them, and this one cannot read them.
    """
    try:
        full = _decode(packed)
        inputs = _decode_inputs(full.inputs)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(f"written by another version of kinbid: {error}") from error
    return full, {name: getattr(inputs, name) for name in Inputs.__struct_fields__}
