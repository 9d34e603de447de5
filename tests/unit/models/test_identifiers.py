import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError, UnknownNameError
from models.event_base import _NODE
from models.identifiers import (
    PLACEHOLDERS,
    Namespace,
    NodeId,
    Pepper,
    is_crm,
    is_device,
    namespace_of,
    normalise,
    parse_identifier,
    scoped,
)

PEPPER, OTHER = Pepper("first secret"), Pepper("other secret")
opaque = st.sampled_from(
    [Namespace.CRM, Namespace.COOKIE, Namespace.EID, Namespace.EXCHANGE_USER, Namespace.IFA]
)
texts = st.text(max_size=80)


def normal_or_none(namespace: Namespace, value: str) -> str | None:
    try:
        return normalise(namespace, value)
    except InvalidFieldError:
        return None


@given(st.sampled_from(Namespace), texts | st.emails() | st.from_regex(r"\+?[0-9 ()-]{5,18}"))
def test_what_is_normal_stays_as_it_is(namespace: Namespace, value: str) -> None:
    normal = normal_or_none(namespace, value)
    if normal is not None:
        assert normalise(namespace, normal) == normal


@given(opaque, texts, st.text(" \t\n", max_size=3))
def test_one_value_is_one_node_and_another_pepper_another(
    namespace: Namespace, value: str, space: str
) -> None:
    node = PEPPER.node(namespace, value)
    assert PEPPER.node(namespace, space + value + space) == node
    assert Pepper("first secret").node(namespace, value) == node
    if node is not None:
        assert OTHER.node(namespace, value) != node
        assert _NODE.fullmatch(node)
        assert namespace_of(node) is namespace
        if len(value.strip()) > 3:
            assert value.strip() not in node


@given(texts)
def test_namespaces_never_share_a_node(value: str) -> None:
    spaces = [Namespace.CRM, Namespace.COOKIE, Namespace.EID, Namespace.EXCHANGE_USER]
    nodes = {PEPPER.node(space, value) for space in spaces}
    assert nodes == {None} or len(nodes) == len(spaces)


@pytest.mark.parametrize("namespace", Namespace)
@pytest.mark.parametrize("value", sorted(PLACEHOLDERS))
def test_a_placeholder_is_never_a_node(namespace: Namespace, value: str) -> None:
    for written in (value, value.upper(), f"  {value} "):
        assert PEPPER.node(namespace, written) is None


@pytest.mark.parametrize(
    ("namespace", "value"),
    [
        (Namespace.IFA, "00000000-0000-0000-0000-000000000000"),
        (Namespace.COOKIE, "xxxxxxxxxx"),
        (Namespace.COOKIE, "11111111"),
        (Namespace.PHONE, "+1 212 555 0123"),
        (Namespace.PHONE, "0000000000"),
        (Namespace.PHONE, "+1 111 111 1111"),
        (Namespace.EMAIL, "test@example.com"),
        (Namespace.EMAIL, "Unknown@Example.com"),
    ],
)
def test_what_many_people_share_is_never_a_node(namespace: Namespace, value: str) -> None:
    assert PEPPER.node(namespace, value) is None


@pytest.mark.parametrize(
    "written",
    ["+1 212 736 5000", "+12127365000", "(212) 736-5000", "212.736.5000", "1-212-736-5000",
     " 2127365000 ", "tel:+1-212-736-5000"],
)  # fmt: skip
def test_a_phone_number_is_one_however_it_is_written(written: str) -> None:
    assert normalise(Namespace.PHONE, written) == "+12127365000"


def test_a_number_from_abroad_keeps_its_country() -> None:
    assert normalise(Namespace.PHONE, "+33 1 42 68 53 00") == "+33142685300"


def test_case_matters_only_where_the_identifier_says_so() -> None:
    assert PEPPER.node(Namespace.EMAIL, "Ann@Example.COM") == PEPPER.node(
        Namespace.EMAIL, "ann@example.com"
    )
    assert PEPPER.node(Namespace.IFA, "ABCDEF01-2345") == PEPPER.node(
        Namespace.IFA, "abcdef01-2345"
    )
    assert PEPPER.node(Namespace.COOKIE, "aBc4") != PEPPER.node(Namespace.COOKIE, "abc4")


@pytest.mark.parametrize(
    ("namespace", "value"),
    [
        (Namespace.EMAIL, "nobody"),
        (Namespace.EMAIL, "a@b"),
        (Namespace.EMAIL, "two words@example.com"),
        (Namespace.EMAIL, "a@b@example.com"),
        (Namespace.PHONE, "call me"),
        (Namespace.PHONE, "12"),
        (Namespace.COOKIE, "c" * 513),
    ],
)
def test_what_cannot_be_an_identifier_is_refused_without_telling_it(
    namespace: Namespace, value: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        PEPPER.node(namespace, value)
    assert caught.value.field == namespace.name.lower()
    if namespace in {Namespace.EMAIL, Namespace.PHONE}:
        assert value not in str(caught.value)


def test_a_short_pepper_is_refused_and_not_told() -> None:
    with pytest.raises(InvalidFieldError, match="identity_pepper") as caught:
        Pepper("sevench")
    assert "sevench" not in str(caught.value)


@pytest.mark.parametrize("namespace", Namespace)
def test_the_first_letter_tells_crm_ids_and_devices_apart(namespace: Namespace) -> None:
    node = NodeId(namespace.value + "x" * 22)
    assert is_crm(node) == (namespace is Namespace.CRM)
    devices = {Namespace.COOKIE, Namespace.IFA, Namespace.EID, Namespace.EXCHANGE_USER}
    assert is_device(node) == (namespace in devices)


def test_an_identifier_is_read_as_people_write_it() -> None:
    assert parse_identifier("cookie:a:b") == (Namespace.COOKIE, "a:b")
    assert parse_identifier("CRM:42") == (Namespace.CRM, "42")
    with pytest.raises(InvalidFieldError, match="NAMESPACE:VALUE"):
        parse_identifier("42")
    with pytest.raises(UnknownNameError, match="did you mean 'cookie'"):
        parse_identifier("cokie:42")


def test_one_value_in_two_scopes_is_two_identifiers() -> None:
    one, other = scoped("one.example", "42"), scoped("other.example", "42")
    assert PEPPER.node(Namespace.EID, one) != PEPPER.node(Namespace.EID, other)
