from runtime import clock


def test_the_clock_tells_unix_milliseconds() -> None:
    before = clock.now_ms()
    assert 1_700_000_000_000 < before <= clock.now_ms() < 10**13
