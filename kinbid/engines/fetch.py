"""``make engines``: fetches Apache Kafka; installs Redis, Prometheus, docker-compose, Chromium.

Everything here is optional: what cannot be had is told in a sentence, and its tests are skipped.
Only a download or an installation that fails counts as a failure, and only in CI.
"""

import contextlib
import importlib.resources
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kinbid.engines.installed import (
    JAVA_MAJOR_MIN,
    KAFKA_FOLDER,
    POM_NAME,
    STAMP_NAME,
    apache_kafka_version,
    find_apache_kafka,
    find_redis_server,
    java_major,
)

__all__ = ["FetchError", "fetch_apache_kafka", "find_apache_kafka", "find_redis_server", "main"]

POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it before it starts a daemon
DAEMONS_OFF = "#!/bin/sh\nexit 101\n"  # 101: "action forbidden by policy"
EMBEDDED_ONLY = "system tests will run on the embedded broker"

# Debian's package and what is skipped without it.
PACKAGES: Mapping[str, str] = {
    "redis-server": "tests on an installed Redis",
    "prometheus": "the checks of Prometheus rules",
    "docker-compose": "the check of the compose file",
    "chromium": "the tests of creatives in a browser",
}


class FetchError(Exception):
    """A download or an installation failed; the text is a sentence with the reason."""


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
    """Runs an installer quietly.

    Raises:
        FetchError: it failed; with the last line that it wrote.
    """
    done = subprocess.run(  # noqa: S603 - the command is ours, and no shell reads it
        command, capture_output=True, text=True, check=False, env=env, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("[ERROR]", "E:"))]
        reason = (errors[:1] or lines[-1:] or ["it gave no reason"])[0]
        raise FetchError(f"{command[0]} failed with code {done.returncode}: {reason}")


def fetch_apache_kafka(root: Path) -> str:
    """Copies Apache Kafka's jars below ``root`` with Maven, unless they are there.

    Returns:
        A sentence for the person: what is there now, or what is missing for it.

    Raises:
        FetchError: Maven failed; nothing is left behind.
    """
    version = apache_kafka_version()
    if find_apache_kafka(root):
        return f"Apache Kafka {version} is in {KAFKA_FOLDER / 'lib'}."
    major = java_major()
    if major is None:
        return f"Java is not installed: {EMBEDDED_ONLY}."
    if major < JAVA_MAJOR_MIN:
        return f"Java {major} is too old for Apache Kafka {version}: {EMBEDDED_ONLY}."
    if shutil.which("mvn") is None:
        return f"Maven is not installed: {EMBEDDED_ONLY}."
    print(f"Fetching Apache Kafka {version} with Maven (once, about 45 MB)", flush=True)
    copy_jars(root / KAFKA_FOLDER, version)
    return f"Apache Kafka {version} is now in {KAFKA_FOLDER / 'lib'}."


def copy_jars(folder: Path, version: str) -> None:
    """Fills ``folder/lib`` whole or not at all: the stamp inside says that it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    resource = importlib.resources.files("kinbid.engines").joinpath(POM_NAME)
    with (
        tempfile.TemporaryDirectory(dir=folder.resolve()) as scratch,
        importlib.resources.as_file(resource) as pom,
    ):
        lib = Path(scratch) / "lib"
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={lib}"]
        run(["mvn", "-q", "-B", "-f", str(pom), *goal])
        (lib / STAMP_NAME).write_text(f"{version}\n")
        shutil.rmtree(folder / "lib", ignore_errors=True)
        lib.rename(folder / "lib")


def missing_packages() -> list[str]:
    """Names the Debian packages whose programs this machine lacks, or has in too old a version."""
    is_present = {
        "redis-server": find_redis_server() is not None,
        "prometheus": all(shutil.which(program) for program in ("prometheus", "promtool")),
        "docker-compose": shutil.which("docker-compose") is not None,
        "chromium": any(map(shutil.which, ("chromium", "chromium-browser"))),
    }
    return [package for package in PACKAGES if not is_present[package]]


def install_packages() -> list[str]:
    """Installs what is missing with apt-get, where we may.

    Returns:
        A sentence for each package that is still missing; or one that says all are there.

    Raises:
        FetchError: apt-get failed.
    """
    missing = missing_packages()
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {', '.join(missing)} with apt-get", flush=True)
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with daemons_stay_off(POLICY):
            run(["apt-get", "update", "-qq"], env=env)
            run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], env=env)
        missing = missing_packages()
    if not missing:
        return ["Redis, Prometheus, docker-compose and Chromium are installed."]
    return [f"{package} is missing: {PACKAGES[package]} will be skipped." for package in missing]


@contextlib.contextmanager
def daemons_stay_off(policy: Path) -> Iterator[None]:
    """Keeps Debian from starting what it installs; a policy that exists already stays as it is."""
    if policy.exists():
        yield
        return
    policy.write_text(DAEMONS_OFF)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def main() -> int:
    """Fetches what can be had into the current folder.

    Returns:
        1 if something failed in CI, else 0.
    """
    failures = 0
    steps: list[Callable[[], list[str]]] = [
        lambda: [fetch_apache_kafka(Path.cwd())],
        install_packages,
    ]
    for step in steps:
        try:
            print("\n".join(step()), flush=True)
        except FetchError as error:
            failures += 1
            print(f"{error}\nkinbid works without it; the tests that need it are skipped.")
    is_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    return 1 if failures and is_ci else 0


if __name__ == "__main__":
    sys.exit(main())
