"""The settings of every process: one Struct, from a TOML file and the environment.

Each field is a key of the TOML file and, upper-cased behind ``KINBID_``, a variable of the
environment; the environment wins. A name that does not exist is an error, not a default.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zoneinfo import available_timezones

import msgspec

from models.consent_strings import TcfVendor
from models.errors import InvalidFieldError, KinbidError, UnknownNameError
from models.evidence import DEFAULT_LIMITS, Limits
from models.identifiers import BETWEEN_SECRETS, SHORTEST_SECRET, Namespace
from models.matches import LONGEST_MATCH_DAYS
from models.phones import check_region

__all__ = [
    "OPTIONAL_SECRETS",
    "SECRETS",
    "Settings",
    "SettingsError",
    "Sourced",
    "as_environment",
    "load",
    "masked",
    "require_secrets",
]

PREFIX: Final = "KINBID_"
NOT_SETTINGS: Final = frozenset({"KINBID_CONFIG", "KINBID_RUN_FILE"})
SECRETS: Final = frozenset({"identity_pepper", "notice_secret", "price_keys"})
OPTIONAL_SECRETS: Final = frozenset({"price_keys"})
"""Without these a process works, unless its exchanges want them."""
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LEAST: Final = {
    "bidder_workers": 1, "bidder_connections": 1, "bidder_idle_seconds": 1,
    "bidder_receive_seconds": 1, "streams_batch_records": 1, "kafka_fetch_wait_ms": 0,
    "kafka_session_timeout_ms": 1, "cap_exact_margin": 0, "notice_window_seconds": 1,
    "streams_patience_seconds": 0,
    "call_grace_seconds": 0, "spool_megabytes": 1, "match_days": 14,
    "identity_person_ids": 2, "identity_device_links": 1, "identity_account_links": 1,
    "identity_min_confidence": 0, "tcf_vendor_id": 0,
}  # fmt: skip
SHARES: Final = frozenset({"receipt_sample_percent", "receipt_full_percent"})
LONGEST_PATIENCE_SECONDS: Final = 60
"""So much longer than its reservations Redis keeps the key of a person that nobody knows."""
HIGHEST_PORT: Final = 65_535
COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
HIGHEST_VENDOR_ID: Final = 65_535
TCF_NUMBERS: Final = {
    # Since TCF 2.2 purposes 3 to 6 rest on consent alone, as purpose 1 always did.
    "tcf_interest_purposes": frozenset({2, 7, 8, 9, 10, 11}),
    "tcf_flexible_purposes": frozenset({2, 7, 8, 9, 10, 11}),
    "tcf_features": frozenset({1, 2, 3}),
}
"""What each of these settings may hold (IAB Europe TCF Policies, appendix A)."""


class SettingsError(KinbidError):
    """Settings with which no process can start."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set.

    Attributes:
        owner: prefix of every topic and key; one data owner shares persons, two never do.
        kafka_bootstrap: HOST:PORT of one or more brokers, separated by commas.
        kafka_idempotence: producers write each record once even when they retry; some
            embedded brokers lack it.
        kafka_replication: replicas of the topics that kinbid creates.
        redis_url: redis://[:password@]host:port/db, rediss:// for TLS, unix:///path; for a Redis
            Cluster redis+cluster://[:password@]host:port,host:port or rediss+cluster://.
        identity_pepper: secrets under which identifiers are hashed, oldest first, with commas
            between; the same everywhere.
        notice_secret: secret that signs notice URLs; the same in every bidder.
        log_level: least severe level that is logged.
        streams_admin_port: /metrics, /healthz, /readyz of the streams worker; 0 picks one.
        streams_batch_records: most records folded together by a worker that keeps up.
        kafka_fetch_wait_ms: longest wait of the broker for new records.
        kafka_session_timeout_ms: a worker silent for so long loses its partitions.
        bidder_host, bidder_port: where exchanges connect.
        bidder_workers: processes that share the port.
        bidder_admin_port: admin port of worker 0; worker n has n more; 0 picks them.
        bidder_connections: most connections of a worker at the same time; more are closed.
        bidder_idle_seconds: a connection without a request is closed after so long.
        bidder_receive_seconds: longest time from a request's first byte to its last.
        public_url: how exchanges reach the bidder, for notice URLs.
        seat: our seat in bid responses.
        currency: the owner's currency, ISO 4217; bids are made in it.
        time_zone: of the owner's days, for budgets: a name of the IANA data base.
        cap_exact_margin: under a cap with at most so many impressions left a bid is reserved
            atomically; with 64, the largest cap, all are. Less saves round trips.
        notice_window_seconds: a notice later than this after its bid is stored, not counted, where
            the exchange's record says nothing else.
        price_keys: ``EXCHANGE=ENCRYPTION:INTEGRITY`` with commas between: the keys of exchanges
            that encrypt prices, in url-safe base64.
        spool_directory: folder on a local disk where notices wait while Kafka does not take them;
            empty: exchanges are asked to repeat them.
        spool_megabytes: most that may wait there.
        cookie_name: our cookie, which a cookie sync reads and sets.
        match_days: so long a cookie sync is believed, 14 to 60 days.
        receipt_sample_percent: of auctions, of whose decisions a receipt is kept.
        receipt_full_percent: of auctions, of whose decisions a full receipt is kept, which can be
            recomputed.
        streams_patience_seconds: for so long bidders hold places under caps for impressions that
            streams has not counted yet, at most 60; further behind, they bid for nobody's person.
        admin_host: where admin ports listen.
        presence_stay_seconds: the mean time after a sign-in at a shared device until somebody else
            takes over unnoticed.
        presence_percent: probability below which a shared device is nobody's.
        private_percent: probability below which private creatives are withheld there.
        phone_region: country whose national spelling of phone numbers is understood.
        tcf_vendor_id: our id in IAB Europe's Global Vendor List; 0 while we are not in it, and then
            nobody under the GDPR consents to us.
        tcf_interest_purposes, tcf_flexible_purposes: numbers of TCF purposes that our entry there
            declares on legitimate interest, and as flexible, with commas between.
        tcf_features: numbers of the TCF features that it declares.
        identity_placeholders: further identifiers that never link, ``NAMESPACE:VALUE`` with commas
            between.
        call_grace_seconds: so long after a web session's lease of a phone number, a call to it is
            still taken for the session's; the same in every streams worker.
        identity_person_ids: most identifiers that links may join into one person.
        identity_device_links, identity_account_links: most links of a device, of an account.
        identity_type_links: most links of single types, ``NAMESPACE=NUMBER`` with commas.
        identity_min_confidence: percent below which soft evidence waits for approval.
    """

    owner: str = "demo"
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_idempotence: bool = True
    kafka_replication: int = 1
    kafka_fetch_wait_ms: int = 10
    kafka_session_timeout_ms: int = 6000
    redis_url: str = "redis://127.0.0.1:6379/0"
    identity_pepper: str = ""
    notice_secret: str = ""
    log_level: str = "INFO"
    admin_host: str = "127.0.0.1"
    streams_admin_port: int = 9100
    streams_batch_records: int = 200
    bidder_host: str = "127.0.0.1"
    bidder_port: int = 8080
    bidder_workers: int = 1
    bidder_admin_port: int = 9110
    bidder_connections: int = 10_000
    bidder_idle_seconds: int = 360
    bidder_receive_seconds: int = 5
    public_url: str = "http://127.0.0.1:8080"
    seat: str = "kinbid"
    currency: str = "USD"
    time_zone: str = "UTC"
    cap_exact_margin: int = 8
    notice_window_seconds: int = 3600
    price_keys: str = ""
    spool_directory: str = ""
    spool_megabytes: int = 256
    cookie_name: str = "kinbid"
    match_days: int = 30
    receipt_sample_percent: float = 1.0
    receipt_full_percent: float = 0.01
    streams_patience_seconds: int = 60
    presence_stay_seconds: int = 43_200
    presence_percent: int = 60
    private_percent: int = 90
    phone_region: str = "US"
    tcf_vendor_id: int = 0
    tcf_interest_purposes: str = ""
    tcf_flexible_purposes: str = ""
    tcf_features: str = ""
    identity_placeholders: str = ""
    call_grace_seconds: int = 1800
    identity_person_ids: int = DEFAULT_LIMITS.person_ids
    identity_device_links: int = DEFAULT_LIMITS.device_links
    identity_account_links: int = DEFAULT_LIMITS.account_links
    identity_type_links: str = ""
    identity_min_confidence: int = DEFAULT_LIMITS.min_confidence

    @property
    def limits(self) -> Limits:
        """The blast radius of links."""
        return Limits(
            person_ids=self.identity_person_ids,
            device_links=self.identity_device_links,
            account_links=self.identity_account_links,
            type_links=read_type_links(self.identity_type_links),
            min_confidence=self.identity_min_confidence,
        )

    @property
    def tcf_vendor(self) -> TcfVendor:
        """Our entry in the Global Vendor List."""
        return TcfVendor(
            id=self.tcf_vendor_id,
            interest_purposes=read_numbers("tcf_interest_purposes", self.tcf_interest_purposes),
            flexible_purposes=read_numbers("tcf_flexible_purposes", self.tcf_flexible_purposes),
            features=read_numbers("tcf_features", self.tcf_features),
        )


class Sourced(msgspec.Struct, frozen=True):
    """Settings, and for each field where its value came from."""

    settings: Settings
    sources: dict[str, str]


def load(
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    running: Mapping[str, Any] | None = None,
) -> Sourced:
    """Reads the settings: defaults, then a running stack's, the file's, the environment's.

    Args:
        config: a TOML file; None takes ``KINBID_CONFIG``, or no file.
        environment: None takes this process's.
        running: settings of a stack that runs on this machine (its run file).

    Raises:
        SettingsError: the file cannot be read.
        UnknownNameError: a name that is no setting, with the nearest one.
        InvalidFieldError: a value of the wrong type, or out of its range.
    """
    env = os.environ if environment is None else environment
    named = config or (Path(env["KINBID_CONFIG"]) if env.get("KINBID_CONFIG") else None)
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.__struct_fields__, "default")
    layers = [("running stack", running or {})]
    if named is not None:
        layers.append((str(named), _read_toml(named)))
    layers.append(("environment", _read_environment(env)))
    for source, layer in layers:
        for name, value in layer.items():
            if name not in sources:
                raise UnknownNameError(f"setting (in {source})", name, sources)
            values[name] = _checked(name, _convert(name, value))
            sources[name] = source
    return Sourced(Settings(**values), sources)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def _read_environment(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in env.items()
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }


def _convert(name: str, value: object) -> object:
    wanted = Settings.__annotations__[name]
    text = isinstance(value, str) and wanted is not str
    try:
        return msgspec.convert(value, wanted, strict=not text)
    except msgspec.ValidationError:
        shown = "(hidden)" if name in SECRETS else value
        kinds = {
            int: "a whole number", float: "a number", bool: "true or false", str: "a text"
        }  # fmt: skip
        raise InvalidFieldError(name, shown, kinds[wanted]) from None


def _checked(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever the setting's type is
    if name == "log_level" and value not in LOG_LEVELS:
        raise InvalidFieldError(name, value, f"one of {', '.join(LOG_LEVELS)}")
    if name.endswith("_port") and not 0 <= value <= HIGHEST_PORT:
        raise InvalidFieldError(name, value, f"a port, 0 to {HIGHEST_PORT}")
    if name in SHARES and not 0 <= value <= 100:  # nan is in no range
        raise InvalidFieldError(name, value, "from 0 to 100")
    if name in _CHECKS:
        _CHECKS[name](value)
    if name in TCF_NUMBERS:
        read_numbers(name, value)
    if name in LEAST and value < LEAST[name]:
        raise InvalidFieldError(name, value, f"{LEAST[name]} or more")
    return value


def read_type_links(text: str) -> dict[str, int]:
    """The most links by the letter of a namespace, from ``phone=20,crm=1000``.

    Raises:
        InvalidFieldError: of another form, or less than one.
        UnknownNameError: the namespace does not exist.
    """
    links: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        if not number.strip().isdecimal() or int(number) < 1:
            wanted = "NAMESPACE=NUMBER with commas between, such as phone=20,crm=1000"
            raise InvalidFieldError("identity_type_links", part, wanted)
        space = Namespace.__members__.get(name.strip().upper())
        if space is None:
            raise UnknownNameError("namespace", name.strip(), map(str.lower, Namespace.__members__))
        links[space.letter] = int(number)
    return links


def read_numbers(name: str, text: str) -> frozenset[int]:
    """The numbers of a setting of TCF, from ``2,7``.

    Raises:
        InvalidFieldError: of another form, or a number that TCF does not allow there.
    """
    allowed = TCF_NUMBERS[name]
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not set(parts) <= {str(number) for number in allowed}:
        shown = ", ".join(map(str, sorted(allowed)))
        raise InvalidFieldError(name, text, f"numbers with commas between, of {shown}")
    return frozenset(map(int, parts))


def _check_cookie_name(value: str) -> None:
    if not COOKIE_NAME.fullmatch(value):
        raise InvalidFieldError("cookie_name", value, "1 to 64 letters, digits or any of _ - .")


def _check_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise InvalidFieldError("time_zone", value, "a name such as Europe/Moscow or UTC")


def _check_match_days(value: int) -> None:
    if value > LONGEST_MATCH_DAYS:
        raise InvalidFieldError("match_days", value, f"at most {LONGEST_MATCH_DAYS}")


def _check_streams_patience(value: int) -> None:
    if value > LONGEST_PATIENCE_SECONDS:
        raise InvalidFieldError(
            "streams_patience_seconds", value, f"at most {LONGEST_PATIENCE_SECONDS}"
        )


def _check_vendor_id(value: int) -> None:
    if value > HIGHEST_VENDOR_ID:
        raise InvalidFieldError("tcf_vendor_id", value, f"a vendor id, up to {HIGHEST_VENDOR_ID}")


_CHECKS: Final[dict[str, Callable[[Any], object]]] = {
    "phone_region": check_region,
    "identity_type_links": read_type_links,
    "cookie_name": _check_cookie_name,
    "match_days": _check_match_days,
    "streams_patience_seconds": _check_streams_patience,
    "time_zone": _check_time_zone,
    "tcf_vendor_id": _check_vendor_id,
}


def masked(name: str, value: object) -> str:
    """A setting's value as it may be printed."""
    if name in SECRETS:
        return "(set)" if value else "(not set)"
    if name == "redis_url" and "@" in str(value):
        scheme, _, rest = str(value).partition("://")
        return f"{scheme}://(hidden)@{rest.rpartition('@')[2]}"
    return str(value)


def require_secrets(settings: Settings) -> None:
    """Checks that a production process has its secrets.

    Raises:
        SettingsError: one is missing or too short; the text names the variable.
    """
    for name in sorted(SECRETS - OPTIONAL_SECRETS):
        secret: str = getattr(settings, name)
        if min(map(len, _secrets_in(name, secret))) < SHORTEST_SECRET:
            raise SettingsError(
                f"{name} is {'too short' if secret else 'not set'}: give every process of this "
                f"owner the same secret of at least {SHORTEST_SECRET} characters in "
                f"{PREFIX}{name.upper()}"
            )


def _secrets_in(name: str, secret: str) -> list[str]:
    parts = secret.split(BETWEEN_SECRETS) if name == "identity_pepper" else [secret]
    return [part.strip() for part in parts]


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as a child process finds them in its environment."""
    return {
        f"{PREFIX}{name.upper()}": str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in msgspec.structs.asdict(settings).items()
    }
