# A server in a container: docs/howto/deploy.md says how to run it. Every step of the last stage is also done, without
# a container engine, by build/container_steps.sh.

# ---- the web pages
FROM node:20.19-bookworm-slim AS web
WORKDIR /source/web
COPY web/package.json web/package-lock.json web/.npmrc ./
COPY web/packages/console/package.json packages/console/package.json
COPY web/packages/debug/package.json packages/debug/package.json
COPY web/packages/protocol/package.json packages/protocol/package.json
COPY web/packages/sdk/package.json packages/sdk/package.json
RUN ["npm", "ci", "--no-audit", "--no-fund"]
COPY web/ ./
RUN ["npm", "run", "build"]

# ---- the wheel
FROM rust:1.95-slim-bookworm AS wheel
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/build
WORKDIR /source
COPY requirements/dev.txt requirements/dev.txt
RUN ["/opt/build/bin/pip", "install", "--no-cache-dir", "--require-hashes", "-r", "requirements/dev.txt"]
COPY Cargo.toml Cargo.lock pyproject.toml README.md LICENSE NOTICE clippy.toml ./
COPY .cargo/ .cargo/
COPY build/ build/
COPY crates/ crates/
COPY python/ python/
COPY --from=web /source/python/sanderling/server/static/ python/sanderling/server/static/
RUN ["/opt/build/bin/maturin", "build", "--release", "--locked", "--out", "/wheel"]
RUN ["python3", "build/slim.py", "/wheel"]

# ---- the environment: the pinned dependencies and the wheel
FROM python:3.11-slim-bookworm AS environment
RUN ["python", "-m", "venv", "/opt/sanderling"]
COPY requirements/runtime.txt /tmp/runtime.txt
RUN ["/opt/sanderling/bin/pip", "install", "--no-cache-dir", "--require-hashes", "-r", "/tmp/runtime.txt"]
COPY --from=wheel /wheel/ /tmp/wheel/
RUN /opt/sanderling/bin/pip install --no-cache-dir --no-index --no-deps /tmp/wheel/*.whl

# ---- what runs
FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 sanderling \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/sanderling --shell /usr/sbin/nologin sanderling \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/sanderling
COPY --from=environment /opt/sanderling/ /opt/sanderling/
# In a container "every interface" is the container's; who may come is decided by the ports that are published.
ENV PATH=/opt/sanderling/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SANDERLING_HOST=0.0.0.0 \
    SANDERLING_STATE=/var/lib/sanderling \
    SANDERLING_LOG_FORMAT=json
# HTTP and signalling; media over UDP, and over TCP where UDP is blocked.
EXPOSE 7700/tcp 42000-42015/udp 42000-42015/tcp
VOLUME ["/var/lib/sanderling"]
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["sanderling", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sanderling"]
CMD ["serve"]
