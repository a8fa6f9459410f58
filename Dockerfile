# The server with both of its forms: on its own files, and on ClickHouse and PostgreSQL. `make check-image` carries out
# these steps where there is no Docker; it knows the instructions that stand here.
FROM python:3.13-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements-image.lock ./
RUN python3 -m venv /opt/usageledger && \
    /opt/usageledger/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/usageledger/bin/pip install --quiet --no-deps --no-build-isolation . && \
    /opt/usageledger/bin/pip uninstall --quiet --yes hatchling editables

FROM python:3.13-slim-trixie
LABEL org.opencontainers.image.title="UsageLedger" org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 usageledger && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/usageledger usageledger && \
    install -d -m 0700 -o usageledger -g usageledger /var/lib/usageledger
COPY --from=build /opt/usageledger /opt/usageledger
ENV PATH=/opt/usageledger/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 USAGELEDGER_DATA=/var/lib/usageledger
USER 10001:10001
WORKDIR /var/lib/usageledger
VOLUME /var/lib/usageledger
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('USAGELEDGER_PORT', 8080)}/readyz\", timeout=4)"]
# Inside of its network a container is behind what publishes its port: TLS is there, or with USAGELEDGER_TLS_CERT here.
CMD ["usageledger", "serve", "--host", "0.0.0.0", "--allow-plain-http"]
