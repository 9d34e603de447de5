# The image of every kinbid process: `kinbid streams`, `kinbid bidder`, `kinbid apply`.
#
# requirements.lock holds everything that anybody needs, the tools of developers and the engines of
# the one-machine stack included. Here it serves as the list of what may be installed: uv picks from
# pyproject.toml what kinbid itself needs, takes the version that the lock names, and refuses a file
# whose hash is not in the lock. Where a library ships no wheel (faust-streaming on ARM), its source
# is built, which is why the first stage has a compiler. The second stage has neither compiler nor uv.

FROM python:3.12-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    UV_NO_CACHE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY requirements.lock pyproject.toml ./
# The tools come from the lock too: each entry begins with its name and ends without a backslash.
RUN awk '/^(setuptools|uv)==/ {kept=1} kept {print} !/\\$/ {kept=0}' requirements.lock > tools.lock \
    && pip install --require-hashes --only-binary=:all: -r tools.lock \
    && python -m venv --without-pip /opt/kinbid \
    && uv pip install --python /opt/kinbid/bin/python --compile-bytecode \
        --require-hashes --constraint requirements.lock --requirements pyproject.toml
COPY README.md LICENSE ./
COPY benchmarks/ benchmarks/
COPY bidder/ bidder/
COPY kinbid/ kinbid/
COPY models/ models/
COPY runtime/ runtime/
COPY streams/ streams/
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /dist . \
    && uv pip install --python /opt/kinbid/bin/python --compile-bytecode --no-deps --no-index /dist/*.whl

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /var/lib/kinbid --shell /usr/sbin/nologin kinbid
# A new volume takes its owner from the folder that it is mounted over.
RUN install -d -o kinbid -g kinbid /var/lib/kinbid/spool
COPY --from=build /opt/kinbid /opt/kinbid
ENV PATH=/opt/kinbid/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /var/lib/kinbid
# Bids and notices; the streams worker's admin port; the first bidder worker's.
EXPOSE 8080 9100 9110
CMD ["kinbid", "--help"]
