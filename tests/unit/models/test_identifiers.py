"""Nodes: one for each identifier, nesting peppers, and what the letter tells."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidFieldError, UnknownNameError
from models.identifiers import (
    HOLDERS,
    NODE_FORM,
    TRUST,
    Holder,
    Namespace,
    NodeId,
    Pepper,
    eid,
    email_digest,
    holder_of,
    is_account,
    is_crm,
    is_device,
    namespace_of,
    parse_identifier,
    rehash,
    scoped,
)

PEPPER, OTHER = Pepper("first secret"), Pepper("other secret")
UID = "8f5a3b6c1d2e4f60"
texts = st.text(max_size=80)
opaque = st.sampled_from([Namespace.CRM, Namespace.COOKIE, Namespace.SESSION])
nodes = st.from_regex(NODE_FORM, fullmatch=True).map(NodeId)
secrets = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs", "Z", "Cc"]),
                  min_size=8, max_size=30)  # fmt: skip


spaced = st.sampled_from(["", " ", "\t", "\x1f"])
sources = st.one_of(st.sampled_from(["ids.example", "Ids.Example", "a|b", ""]), st.text(max_size=6))
uids = st.one_of(
    st.sampled_from([UID, "null", "0" * 32, UID * 25, "\ud800", "a|b", "some-uid"]), texts
)


def told(make: Callable[[], NodeId | None]) -> object:
    """A node, or why there is none."""
    try:
        return make()
    except InvalidFieldError as error:
        return str(error)


@pytest.mark.parametrize("pepper", [PEPPER, Pepper("first secret", "other secret")])
@given(sources, spaced, uids, spaced, st.one_of(st.none(), st.integers(-1, 600)))
def test_an_extended_id_is_the_same_node_by_the_short_way(
    pepper: Pepper, source: str, before: str, uid: str, after: str, atype: int | None
) -> None:
    parts = (before + source, before + uid + after, atype)
    expected = told(lambda: pepper.node(*eid(*parts)))
    assert told(lambda: pepper.eid_node(*parts)) == expected


@given(opaque, texts, st.text(" \t\n", max_size=3))
def test_one_value_is_one_node_and_another_pepper_another(
    namespace: Namespace, value: str, space: str
) -> None:
    node = PEPPER.node(namespace, value)
    assert PEPPER.node(namespace, space + value + space) == node
    assert Pepper("first secret").node(namespace, value) == node
    if node is not None:
        assert OTHER.node(namespace, value) != node
        assert NODE_FORM.fullmatch(node)
        assert namespace_of(node) is namespace
        if len(value.strip()) > 3:
            assert value.strip() not in node


@given(texts)
def test_namespaces_never_share_a_node_nor_its_digest(value: str) -> None:
    spaces = [Namespace.CRM, Namespace.COOKIE, Namespace.SESSION]
    found = {(PEPPER.node(space, value) or "")[1:] for space in spaces}
    assert "" in found or len(found) == len(spaces)


def test_nodes_are_what_they_were() -> None:
    """Stored nodes outlive a release: a change here is a rotation that nobody ordered."""
    assert {
        "cookie": PEPPER.node(Namespace.COOKIE, "abc"),
        "email": PEPPER.node(Namespace.EMAIL, "ann@mail.example"),
        "phone": PEPPER.node(Namespace.PHONE, "+1 212 736 5000"),
        "eid": PEPPER.node(*eid("ids.example", "e-1", 1)),
        "nested": Pepper("first secret", "other secret").node(Namespace.COOKIE, "abc"),
    } == GOLDEN


GOLDEN = {
    "cookie": "kM7iSdYnHDE1Z3J7_qd4CHQ",
    "email": "efFfQX-RnVhm6lc8zO_C_Nw",
    "phone": "pTmB0_jYawTRIKO-Lj9zcag",
    "eid": "xjCPgOpPf25NnhZRbFilHcQ",
    "nested": "kR1jKaeoDk6Mx3oSTeZRMRw",
}


# -- peppers ---------------------------------------------------------------------------------------


@given(opaque, texts, st.lists(secrets, min_size=2, max_size=4))
def test_a_stored_node_is_rotated_without_the_raw_identifier(
    namespace: Namespace, value: str, chain: list[str]
) -> None:
    node = Pepper(chain[0]).node(namespace, value)
    for secret in chain[1:]:
        node = None if node is None else rehash(node, secret)
    assert Pepper(*chain).node(namespace, value) == node


@given(st.sets(nodes, min_size=2), secrets)
def test_rotation_keeps_namespaces_and_joins_nobody(stored: set[NodeId], secret: str) -> None:
    rotated = {node: rehash(node, secret) for node in stored}
    assert len(set(rotated.values())) == len(stored)
    assert all(namespace_of(new) is namespace_of(old) for old, new in rotated.items())


def test_the_order_of_secrets_matters() -> None:
    one, other = Pepper("first secret", "other secret"), Pepper("other secret", "first secret")
    assert one.node(Namespace.COOKIE, "abc") != other.node(Namespace.COOKIE, "abc")


@pytest.mark.parametrize("secret", ["sevench", "   short   ", "two secrets,in one text"])
def test_a_secret_that_cannot_be_used_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(InvalidFieldError, match="identity_pepper") as caught:
        Pepper("a good secret", secret)
    assert secret.strip() not in str(caught.value)
    with pytest.raises(InvalidFieldError, match="identity_pepper"):
        rehash(NodeId("k" + "n" * 22), secret)


def test_a_pepper_without_a_secret_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="one secret or more"):
        Pepper()


def test_the_owner_names_further_identifiers_that_never_link() -> None:
    pepper = Pepper(
        "first secret", placeholders=["phone:+1 (212) 736-5000", "email:DESK@shop.example"]
    )
    assert pepper.node(Namespace.PHONE, "212.736.5000") is None
    assert pepper.node(Namespace.EMAIL, "desk@shop.example") is None
    assert pepper.node(Namespace.EMAIL, email_digest("desk@shop.example") or "") is None
    assert pepper.node(Namespace.PHONE, "212 736 5001") == PEPPER.node(
        Namespace.PHONE, "212 736 5001"
    )


# -- what the letter tells -------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", Namespace)
def test_the_first_letter_tells_who_holds_a_node(namespace: Namespace) -> None:
    node = NodeId(namespace.letter + "x" * 22)
    assert Namespace(namespace.letter) is namespace
    assert NODE_FORM.fullmatch(node)
    assert namespace_of(node) is namespace
    assert holder_of(node) is HOLDERS[namespace]
    assert is_crm(node) == (HOLDERS[namespace] is Holder.CUSTOMER)
    assert is_account(node) == (HOLDERS[namespace] is Holder.ACCOUNT)
    assert is_device(node) == (HOLDERS[namespace] is Holder.DEVICE)


def test_accounts_and_devices_are_told_apart() -> None:
    accounts = {space for space, holder in HOLDERS.items() if holder is Holder.ACCOUNT}
    devices = {space for space, holder in HOLDERS.items() if holder is Holder.DEVICE}
    assert accounts == {Namespace.EMAIL, Namespace.PHONE, Namespace.LOYALTY}
    assert devices == {
        Namespace.COOKIE, Namespace.IFA, Namespace.EID, Namespace.EXCHANGE_USER,
    }  # fmt: skip


def test_customers_are_trusted_before_accounts_and_these_before_devices() -> None:
    assert TRUST[0] is Namespace.CRM
    assert TRUST[-1] is Namespace.EXCHANGE_USER
    accounts = [place for place, one in enumerate(TRUST) if HOLDERS[one] is Holder.ACCOUNT]
    others = [place for place, one in enumerate(TRUST) if HOLDERS[one] is not Holder.ACCOUNT]
    assert max(accounts) < min(others[1:])


# -- scopes ----------------------------------------------------------------------------------------


def test_one_value_in_two_scopes_is_two_identifiers() -> None:
    one, other = scoped("north", "42"), scoped("south", "42")
    assert PEPPER.node(Namespace.EXCHANGE_USER, one) != PEPPER.node(Namespace.EXCHANGE_USER, other)
    assert PEPPER.node(*eid("one.example", UID)) != PEPPER.node(*eid("other.example", UID))


@given(
    st.tuples(st.sampled_from(["a.example", "b.example"]), texts, st.integers(0, 600)),
    st.tuples(st.sampled_from(["a.example", "b.example"]), texts, st.integers(0, 600)),
)
def test_extended_ids_meet_only_with_source_id_and_agent_class_alike(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    def key(source: str, uid: str, atype: int) -> tuple[str, str, int]:
        return source, uid.strip(), 1 if atype < 3 else atype

    first, second = (PEPPER.node(*eid(*each)) for each in (one, other))
    if first is not None and second is not None:
        assert (first == second) == (key(*one) == key(*other))


def test_an_agent_type_tells_a_person_from_a_device() -> None:
    found = {atype: PEPPER.node(*eid("Ids.Example", UID, atype)) for atype in (None, 0, 1, 2)}
    assert len(set(found.values())) == 1
    (device,) = set(found.values())
    person = PEPPER.node(*eid("ids.example", UID, 3))
    vendors = PEPPER.node(*eid("ids.example", UID, 501))
    assert device is not None
    assert person is not None
    assert vendors is not None
    assert is_device(device)
    assert is_device(vendors)
    assert not is_device(person)
    assert len({device[1:], person[1:], vendors[1:]}) == 3
    assert device == PEPPER.node(*eid("ids.example", UID, 1))


def test_a_scope_that_would_meet_another_one_is_refused() -> None:
    """``a|b`` with ``c`` would be ``a`` with ``b|c``."""
    for scope in ("a|b", "|", ""):
        with pytest.raises(InvalidFieldError, match="scope"):
            scoped(scope, "c")
    assert scoped("a", "b|c") == "a|b|c"


def test_a_source_that_is_no_domain_is_refused() -> None:
    for source in ("", "ids.example|device"):
        with pytest.raises(InvalidFieldError, match="eid"):
            PEPPER.node(*eid(source, UID, 1))


def test_an_agent_type_that_is_no_number_of_a_type_is_refused() -> None:
    for atype in (-1, 10**10):
        with pytest.raises(InvalidFieldError, match="eid"):
            PEPPER.node(*eid("ids.example", UID, atype))


# -- as people write them --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "namespace", "value"),
    [
        ("cookie:a:b", Namespace.COOKIE, "a:b"),
        ("CRM:42", Namespace.CRM, "42"),
        ("email_sha256:AB", Namespace.EMAIL, "sha256:AB"),
        ("email_md5:AB", Namespace.EMAIL, "md5:AB"),
        ("loyalty:miles|4012", Namespace.LOYALTY, "miles|4012"),
        ("session:s-1", Namespace.SESSION, "s-1"),
        ("exchange_user:north|7|8", Namespace.EXCHANGE_USER, "north|7|8"),
        ("eid:ids.example|3|a|b", Namespace.PERSON_EID, "ids.example|person|a|b"),
        ("eid:ids.example||ab", Namespace.EID, "ids.example|device|ab"),
        ("eid:ids.example|501|ab", Namespace.EID, "ids.example|501|ab"),
    ],
)
def test_an_identifier_is_read_as_people_write_it(
    text: str, namespace: Namespace, value: str
) -> None:
    assert parse_identifier(text) == (namespace, value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("42", "NAMESPACE:VALUE"),
        ("eid:abc", r"eid:SOURCE\|ATYPE\|ID"),
        ("eid:ids.example|abc", r"eid:SOURCE\|ATYPE\|ID"),
        ("eid:ids.example|person|abc", r"eid:SOURCE\|ATYPE\|ID"),
        ("eid:|1|abc", r"eid:SOURCE\|ATYPE\|ID"),
        ("exchange_user:7", r"exchange_user:EXCHANGE\|ID"),
        ("exchange_user:|7", r"exchange_user:EXCHANGE\|ID"),
    ],
)
def test_an_identifier_with_a_part_missing_says_which_form_is_right(text: str, wanted: str) -> None:
    with pytest.raises(InvalidFieldError, match=wanted):
        parse_identifier(text)


def test_a_misspelt_namespace_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cookie'"):
        parse_identifier("cokie:42")
