"""Normal forms: what is one identifier, what is another, and what is none."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError
from models.identifiers import Namespace, Pepper, eid, email_digest, normalise, scoped
from models.placeholders import MAILBOXES, NO_ADDRESS, WORDS

PEPPER = Pepper("first secret")
IFA = "8f5a3b6c-1d2e-4f60-8123-456789abcdef"
texts = st.text(max_size=80)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def normal_or_none(namespace: Namespace, value: str) -> str | None:
    try:
        return normalise(namespace, value)
    except InvalidFieldError:
        return None


def wrapped(namespace: Namespace, value: str) -> str:
    """The value within a scope, where the namespace has scopes."""
    if namespace is Namespace.EXCHANGE_USER:
        return scoped("north", value)
    if namespace in {Namespace.EID, Namespace.PERSON_EID}:
        return eid("ids.example", value, 3 if namespace is Namespace.PERSON_EID else 1)[1]
    return value


@given(
    st.sampled_from(Namespace),
    texts | st.emails() | st.from_regex(r"\+?[0-9 ()-]{5,18}") | st.uuids().map(str),
)
def test_what_is_normal_stays_as_it_is(namespace: Namespace, value: str) -> None:
    normal = normal_or_none(namespace, wrapped(namespace, value))
    if normal is not None:
        assert normalise(namespace, normal) == normal


# -- what never links ------------------------------------------------------------------------------

ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("namespace", Namespace)
@pytest.mark.parametrize(
    "value",
    [
        *sorted(word for word in WORDS if not word.strip("0").isdigit()),
        ZERO, ZERO.replace("-", ""), f"{{{ZERO}}}", "00000000", ZERO.replace("0", "f"),
        "${DEVICE_ID}", "%%ADVERTISING_IDENTIFIER%%", "{{user.id}}", "{idfa}", "[DEVICEID]",
        "__IFA__", "<device_id>", "$(id)", "%7B%7Bid%7D%7D", "[object Object]", "(null)", "'null'",
        "---", "...", "_",
        "198.51.100.7", "198.51.100.7:8080", "2001:db8::1", "2001:db8:0:0:0:0:0:1",
        "d41d8cd98f00b204e9800998ecf8427e",  # MD5 of nothing
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",  # SHA-1 of nothing
        sha256(""), sha256("null"), sha256("unknown"), sha256("test@test.com").upper(),
    ],
)  # fmt: skip
def test_a_placeholder_is_never_a_node(namespace: Namespace, value: str) -> None:
    for written in (value, value.upper(), f"  {value} "):
        assert PEPPER.node(namespace, wrapped(namespace, written)) is None


@pytest.mark.parametrize(
    "value",
    ["8f5a3b6c1d2e4f60", "a-b_c.d", "YWJj+/ZGVm==", "1111111", "{8f5a3b6c-1d2e}", "V1hU~x=",
     "a:b:c", "ID5*1Ls3HtzGAldqduMJjmL2CcyuGOw9JArVgXc_LS34MC7__", "1.2.3.4.5"],
)  # fmt: skip
def test_what_only_looks_like_a_placeholder_is_an_identifier(value: str) -> None:
    assert PEPPER.node(Namespace.COOKIE, value) is not None


def test_the_crm_gives_out_its_numbers_itself() -> None:
    for number in ("11111111", "12345678"):
        assert normalise(Namespace.CRM, number) == number
        assert normalise(Namespace.LOYALTY, number) is None
    assert normalise(Namespace.CRM, "00000000") is None


@pytest.mark.parametrize(
    "address",
    [*(f"{mailbox}@shop.example" for mailbox in MAILBOXES), *NO_ADDRESS, "test@test.com",
     "Unknown@mail.example", "aaa@mail.example", "123456789@mail.example"],
)  # fmt: skip
def test_an_address_that_no_single_person_reads_never_links(address: str) -> None:
    assert normalise(Namespace.EMAIL, address) is None
    assert email_digest(address) is None


def test_the_digest_of_an_example_address_never_links() -> None:
    for address in NO_ADDRESS:
        assert normalise(Namespace.EMAIL, f"sha256:{sha256(address)}") is None


# -- e-mail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (" Ann@Mail.EXAMPLE ", "ann@mail.example"),
        ("ann\u200b@mail.example", "ann@mail.example"),
        ("\uff41nn\uff20mail.example", "ann@mail.example"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("Ann.Smith+shop@gmail.com", "annsmith@gmail.com"),
        ("Ann.Smith+shop@GoogleMail.com", "annsmith@gmail.com"),
        ("ann.smith+shop@mail.example", "ann.smith+shop@mail.example"),
        ("аня@почта.рф", "аня@xn--80a1acny.xn--p1ai"),
    ],
)
def test_an_address_is_one_however_it_is_written(written: str, address: str) -> None:
    assert normalise(Namespace.EMAIL, written) == f"sha256:{sha256(address)}"


@given(st.emails())
def test_an_address_and_its_sha256_are_one_node(address: str) -> None:
    node = None
    try:
        node, digest = PEPPER.node(Namespace.EMAIL, address), email_digest(address)
    except InvalidFieldError:
        return  # quoted and bracketed forms are no addresses of customers
    if node is not None and digest is not None:
        digits = digest.removeprefix("sha256:")
        as_base64 = base64.b64encode(bytes.fromhex(digits)).decode()
        for form in (digest, f"SHA256:{digits.upper()}", f"sha256:{as_base64}"):
            assert PEPPER.node(Namespace.EMAIL, form) == node


def test_md5_and_sha1_of_an_address_are_identifiers_of_their_own() -> None:
    forms = [email_digest("Ann@mail.example", name) for name in ("sha256", "sha1", "md5")]
    assert forms[2] == f"md5:{hashlib.md5(b'ann@mail.example').hexdigest()}"
    assert len({PEPPER.node(Namespace.EMAIL, form or "") for form in forms}) == 3


# -- advertising ids -------------------------------------------------------------------------------


@given(st.uuids(version=4))
def test_an_advertising_id_is_one_in_every_spelling(ifa: object) -> None:
    text = str(ifa)
    for written in (text, text.upper(), text.replace("-", ""), f"{{{text}}}", f"urn:uuid:{text}"):
        assert normalise(Namespace.IFA, written) == text


def test_hashed_advertising_ids_and_those_of_televisions_are_hexadecimal() -> None:
    for digits in ("4d12078d3246c0ff", "AA000DFE74168477C70D291f574D344790E0BB11", sha256(IFA)):
        assert normalise(Namespace.IFA, digits) == digits.lower()


# -- others ----------------------------------------------------------------------------------------


def test_a_loyalty_card_is_one_with_and_without_blanks_and_another_in_another_programme() -> None:
    assert normalise(Namespace.LOYALTY, "aa 4012-8881") == "AA40128881"
    assert normalise(Namespace.LOYALTY, "Miles|4012 8881") == "miles|40128881"
    assert normalise(Namespace.LOYALTY, "bonus|40128881") == "bonus|40128881"


def test_case_matters_where_the_identifier_does_not_say_otherwise() -> None:
    for namespace in (Namespace.COOKIE, Namespace.CRM, Namespace.SESSION):
        assert PEPPER.node(namespace, "aBc4") != PEPPER.node(namespace, "abc4")


@pytest.mark.parametrize(
    ("namespace", "value"),
    [
        (Namespace.EMAIL, "nobody here"),
        (Namespace.EMAIL, "ann@b"),
        (Namespace.EMAIL, "two words@mail.example"),
        (Namespace.EMAIL, "ann@b@mail.example"),
        (Namespace.EMAIL, "ann@198.51.100.7"),
        (Namespace.EMAIL, "+tag@gmail.com"),
        (Namespace.EMAIL, "ann@bad_domain.example"),
        (Namespace.EMAIL, "ann@ü\u0378.example"),
        (Namespace.EMAIL, "a" * 65 + "@mail.example"),
        (Namespace.EMAIL, "ann@" + "b" * 63 + ".c" * 120),
        (Namespace.EMAIL, "sha256:12"),
        (Namespace.EMAIL, "md5:" + "z" * 32),
        (Namespace.EMAIL, sha256("ann@mail.example")),
        (Namespace.IFA, "abcdef01-2345"),
        (Namespace.IFA, "test-ifa"),
        (Namespace.LOYALTY, "12"),
        (Namespace.LOYALTY, "|40128881"),
        (Namespace.LOYALTY, "card #1"),
        (Namespace.EXCHANGE_USER, "without exchange"),
        (Namespace.EID, "ids.example|abc"),
        (Namespace.EID, "ids.example|person|abc"),
        (Namespace.PERSON_EID, "ids.example|device|abc"),
        *((namespace, "c" * 500 + "d" * 13) for namespace in Namespace),
    ],
)
def test_what_cannot_be_an_identifier_is_refused_without_telling_it(
    namespace: Namespace, value: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        PEPPER.node(namespace, value)
    assert caught.value.field == namespace.name.lower()
    assert value not in str(caught.value)


@given(st.sampled_from(Namespace), texts)
def test_any_text_is_a_node_a_placeholder_or_a_refusal(namespace: Namespace, value: str) -> None:
    normal_or_none(namespace, value)
    normal_or_none(namespace, wrapped(namespace, value))
