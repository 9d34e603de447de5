"""What is refused before anything is copied."""

import asyncio

import pytest

from kinbid.rotate import rotate
from runtime.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (Settings(owner="air", identity_pepper="an old secret,a new one"), "KINBID_OWNER"),
        (Settings(owner="new", identity_pepper="an old secret"), "KINBID_IDENTITY_PEPPER"),
    ],
)
def test_settings_that_rotate_nothing_are_refused(settings: Settings, field: str) -> None:
    with pytest.raises(SettingsError, match=field):
        asyncio.run(rotate(settings, "air", lambda *_: None))
