"""What this machine already has: programs on PATH, programs inside wheels, Apache Kafka's jars."""

import importlib.resources
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import msgspec

POM_NAME = "kafka-pom.xml"
KAFKA_FOLDER = Path(".engines") / "kafka"
STAMP_NAME = "complete"
JAVA_MAJOR_MIN = 17  # Apache Kafka 4 does not run on less
# Listpacks of 512 bytes a value came with Redis 7; Valkey begins to differ from Redis at 8.
REDIS_MAJOR_MIN = {"Redis": 7, "Valkey": 8}


class RedisProgram(msgspec.Struct, frozen=True):
    """A server program that speaks Redis."""

    path: Path
    family: Literal["Redis", "Valkey"]
    version: str

    @property
    def is_new_enough(self) -> bool:
        """Whether it knows what kinbid asks of it: Redis 7 or Valkey 8, or later."""
        return int(self.version.split(".")[0]) >= REDIS_MAJOR_MIN[self.family]


def program_says(path: Path | str, *arguments: str) -> str:
    """Runs a program that prints something about itself, and returns both output streams.

    Returns:
        The text, empty if the program cannot be run.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours, and no shell reads it
            [str(path), *arguments], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def read_redis_program(path: Path) -> RedisProgram | None:
    """Asks a program for its version; None if it is not a Redis or Valkey server."""
    found = re.search(r"(Redis|Valkey) server v=(\d+\.\d+\.\d+)", program_says(path, "--version"))
    if found is None:
        return None
    family: Literal["Redis", "Valkey"] = "Redis" if found[1] == "Redis" else "Valkey"
    return RedisProgram(path=path, family=family, version=found[2])


def find_redis_server() -> Path | None:
    """Returns the first of redis-server and valkey-server on PATH that is new enough."""
    for name in ("redis-server", "valkey-server"):
        place = shutil.which(name)
        program = read_redis_program(Path(place)) if place else None
        if program and program.is_new_enough:
            return program.path
    return None


def find_in_wheel(package: str, *parts: str) -> Path | None:
    """Returns a file inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder).joinpath(*parts)
        if path.is_file():
            return path
    return None


def java_major(java: str = "java") -> int | None:
    """Returns Java's major version, such as 17; None without Java."""
    found = re.search(r'version "(\d+)', program_says(java, "-version"))
    return int(found[1]) if found else None


def apache_kafka_version() -> str:
    """Returns the version of Apache Kafka that our pom names."""
    pom = importlib.resources.files("kinbid.engines").joinpath(POM_NAME).read_text()
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", pom)
    if found is None:
        raise ValueError(f"{POM_NAME} names no kafka.version")
    return found[1]


def find_apache_kafka(root: Path) -> Path | None:
    """Returns the folder of Apache Kafka's jars under a project, None unless all are there.

    Args:
        root: the folder in which ``make engines`` ran.
    """
    lib = (root / KAFKA_FOLDER / "lib").resolve()
    stamp = lib / STAMP_NAME
    is_complete = stamp.is_file() and stamp.read_text().strip() == apache_kafka_version()
    return lib if is_complete else None
