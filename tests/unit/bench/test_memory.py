from benchmarks.bench.memory import growth_of


def test_what_the_first_person_costs_along_is_not_in_the_growth_between_sizes() -> None:
    fixed, each = 580_000, 2_240
    used = [(0, 1_000), *((count, 1_000 + fixed + each * count) for count in (400, 4_000))]
    whole, between = growth_of(used)
    assert (between.from_persons, between.to_persons, between.bytes_per_person) == (
        400,
        4_000,
        each,
    )
    assert (whole.from_persons, whole.to_persons) == (0, 4_000)
    assert whole.bytes_per_person == each + fixed / 4_000
