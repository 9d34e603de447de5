"""The pepper is rotated: under new hashes, everybody is who they were, and the erased stay gone."""

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec
import pytest

from kinbid.export import export_persons
from kinbid.progress import records_behind
from kinbid.rotate import rotate
from models.errors import KinbidError
from models.events import PageView
from models.identifiers import Namespace, NodeId, Pepper, rehash
from models.topics import Topics
from runtime.settings import Settings, as_environment
from tests.system.client import AIRLINE, Client
from tests.system.test_rebuild import kinbid, tell_a_story

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

NEW_OWNER, NEW_SECRET = "rotated", "a newer secret"
again = partial(rehash, secret=NEW_SECRET)


def rotated_settings(settings: Settings, owner: str) -> Settings:
    """Those of a new owner name, with one more secret."""
    chain = f"{settings.identity_pepper},{NEW_SECRET}"
    return msgspec.structs.replace(settings, owner=owner, identity_pepper=chain)


def under_new_hashes(settings: Settings, *arguments: str, code: int = 0) -> str:
    """Runs a command of the new owner; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "kinbid", *arguments],
        env={**os.environ, **as_environment(rotated_settings(settings, NEW_OWNER))},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def people(lines: tuple[bytes, ...] | list[str]) -> list[dict[str, Any]]:
    """The export's persons, with their identifiers in order."""
    found = [json.loads(line) for line in lines]
    for person in found:
        person["members"].sort()
        person["shared"].sort()
    return sorted(found, key=lambda person: str(person["members"]))


def renamed(lines: tuple[bytes, ...]) -> list[dict[str, Any]]:
    """The export's persons as they are to be after the rotation."""
    nodes = {node for line in lines for node in json.loads(line)["members"]}
    texts = [line.decode() for line in lines]
    for node in nodes:
        texts = [text.replace(f'"{node}"', f'"{again(node)}"') for text in texts]
    return people(texts)


def a_page(client: Client, node: NodeId) -> PageView:
    return PageView(
        event_id="p", ids=(node,), event_time_ms=client.now_ms(), advertiser=AIRLINE, page="/"
    )


def test_after_a_rotation_everybody_is_who_they_were(client: Client) -> None:
    settings = client.settings
    tell_a_story(client)
    erased = client.node(Namespace.COOKIE, "somebody who is erased")
    client.produce(a_page(client, erased))
    topic = Topics.EVENTS.name(settings.owner)
    client.produce_raw(topic, [(erased.encode(), b"no event")])
    kinbid("erase", erased, "--yes")
    tablet = client.node(Namespace.COOKIE, "the family's tablet")
    anna = client.node(Namespace.EMAIL, "anna@family.example")
    kinbid("unlink", tablet, anna, "--by", "ann", "--why", "it is Boris's")
    client.stack.stop_part("streams")
    before = asyncio.run(export_persons(settings)).lines

    assert "--yes" in under_new_hashes(settings, "rotate", settings.owner, code=2)
    told = under_new_hashes(settings, "rotate", settings.owner, "--yes")
    assert "left out 1 that streams had refused" in told
    assert "not empty" in under_new_hashes(settings, "rotate", settings.owner, "--yes", code=1)
    under_new_hashes(settings, "rebuild", "--yes")
    after = asyncio.run(export_persons(rotated_settings(settings, NEW_OWNER))).lines
    assert people(after) == renamed(before)
    assert not [line for line in after if again(erased).encode() in line]
    found = Pepper(settings.identity_pepper, NEW_SECRET).node(
        Namespace.EMAIL, "anna@family.example"
    )
    assert [line for line in after if (found or "nobody").encode() in line]

    # Whoever has not stood still is told.
    client.produce(a_page(client, tablet))
    with pytest.raises(KinbidError, match="1 records left to read"):
        asyncio.run(rotate(rotated_settings(settings, "third"), settings.owner, lambda *_: None))
    client.stack.restart_part("streams")
    client.until(lambda: asyncio.run(records_behind(settings, 0)), lambda left: not left)

    def write(*_: object) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(client.produce, a_page(client, tablet)).result()

    with pytest.raises(KinbidError, match="somebody writes to the topics"):
        asyncio.run(rotate(rotated_settings(settings, "fourth"), settings.owner, write))

    # Nobody comes back because the word that erased them could not be read.
    client.produce_raw(Topics.ERASURES.name(settings.owner), [(erased.encode(), b"no erasure")])
    client.until(lambda: asyncio.run(records_behind(settings, 0)), lambda left: not left)
    with pytest.raises(KinbidError, match=r"erasures.v1, offset \d+"):
        asyncio.run(rotate(rotated_settings(settings, "fifth"), settings.owner, lambda *_: None))
