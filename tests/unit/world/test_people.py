import random
from collections import Counter

import pytest

from benchmarks.world import World
from benchmarks.world.devices import make_devices
from benchmarks.world.people import Person, make_people
from models.errors import InvalidFieldError
from models.identifiers import Namespace, Pepper

ITEMS = tuple(f"CD-{number}" for number in range(50))


@pytest.fixture(scope="module")
def people(pepper: Pepper) -> list[Person]:
    return make_people(3, 1000, pepper, [f"trip-{number}" for number in range(1200)], ITEMS)


def test_customers_have_a_unique_card_and_two_to_four_devices(people: list[Person]) -> None:
    cards = [person.card for person in people if person.card is not None]
    assert len(cards) == 1000
    for field in ("customer", "crm_id", "email", "phone", "crm_node", "email_node", "phone_node"):
        assert len({getattr(card, field) for card in cards}) == 1000
    assert {len(person.devices) for person in people if person.card} == {2, 3, 4}


def test_phones_are_possible_numbers_and_never_placeholders(people: list[Person]) -> None:
    for person in people:
        if person.card is not None:
            assert len(person.card.phone) == 12
            assert person.card.phone[5:8] != "555"


def test_trips_belong_to_one_person_each(people: list[Person]) -> None:
    wanted = Counter(trip for person in people for trip in person.trips)
    assert set(wanted.values()) == {1}
    assert all(person.trips for person in people if person.card)


def test_about_fifteen_percent_never_sign_in_on_one_device(people: list[Person]) -> None:
    silent = Counter(
        sum(not device.signs_in for device in person.devices) for person in people if person.card
    )
    assert set(silent) == {0, 1}
    assert 0.11 < silent[1] / 1000 < 0.19


def test_visitors_have_no_card_and_never_sign_in(people: list[Person]) -> None:
    visitors = [person for person in people if person.card is None]
    assert len(visitors) == 200
    assert not any(device.signs_in for person in visitors for device in person.devices)


def test_nodes_are_unique_to_their_owner(world: World) -> None:
    owners = world.owners()
    nodes = [node for person in world.people for device in person.devices for node in device.nodes]
    assert len(set(nodes)) == len(nodes)
    assert set(nodes) < owners.keys()


def test_devices_carry_the_ids_of_their_surfaces(pepper: Pepper) -> None:
    rng = random.Random(1)
    for _ in range(200):
        desktop, phone, *others = make_devices(rng, pepper, 4)
        assert desktop.kind == "desktop"
        assert desktop.surfaces == ("site",)
        assert phone.kind == "phone"
        assert phone.surfaces in {("site",), ("app",)}
        assert sorted(device.kind for device in others) == ["desktop", "tablet"]
        for device in (desktop, phone, *others):
            for surface in device.surfaces:
                assert device.ids_on(surface)[0] == device.node_on(surface)
            if device.cookie is not None:
                assert device.cookie_node == pepper.node(Namespace.COOKIE, device.cookie)
            if device.ifa is not None:
                assert device.ifa_node == pepper.node(Namespace.IFA, device.ifa.lower())
        if phone.ifa is None:
            with pytest.raises(ValueError, match="app"):
                phone.node_on("app")


@pytest.mark.parametrize("count", [0, 23_571])
def test_a_number_of_persons_out_of_range_is_refused(pepper: Pepper, count: int) -> None:
    with pytest.raises(InvalidFieldError, match="persons"):
        make_people(1, count, pepper, [], ITEMS)


def test_fewer_trips_than_customers_is_an_error(pepper: Pepper) -> None:
    with pytest.raises(ValueError, match="trips for 5 customers"):
        make_people(1, 5, pepper, ["only-one"], ITEMS)
