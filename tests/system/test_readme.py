"""What the README has a newcomer try, tried."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.client import Client

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

README = Path(__file__).resolve().parents[2] / "README.md"


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_an_event_told_as_the_readme_tells_it_shows_in_its_person(client: Client) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    run("-c", program)
    shown = client.until(
        lambda: run("-m", "kinbid", "person", "cookie:abc"), lambda text: "hat" in text
    )
    assert "shop" in shown
