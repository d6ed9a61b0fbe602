# syntax=docker/dockerfile:1
# Assay in a small image: the program, PostgreSQL's client programs for backups, and nothing that compiles.
# The client programs must be at least as new as the server, here and in compose.yaml: both are version 17.

FROM node:24-trixie-slim AS ui
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ui/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY ui .
RUN npm run build

FROM rust:1.95-trixie AS build
# Whatever version the distribution has today is the one with its security fixes.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake libclang-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=ui /src/ui/dist ui/dist
# The image runs on machines that are not known here, so no instruction sets beyond AVX2 (docs/adr/0006).
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    rm -f .cargo/machine.toml \
    && cargo build --locked --release --package server \
    && install -D target/release/assay /out/assay

FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl libgomp1 postgresql-client-17 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin assay \
    && install -d -o assay -g assay -m 700 /app/data /app/cache /backups
COPY --from=build /out/assay /usr/local/bin/assay
COPY scripts/db_init.sh /usr/local/bin/db_init.sh
WORKDIR /app
USER 10001
ENV DATA_DIR=/app/data \
    ASSAY_CACHE_DIR=/app/cache \
    LISTEN=0.0.0.0:8000 \
    LOG_FORMAT=json
VOLUME ["/app/data", "/app/cache", "/backups"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "http://127.0.0.1:8000/health/live"]
# Passes signals on, so that running questions finish, and collects the model's process.
ENTRYPOINT ["tini", "--", "assay"]
CMD ["serve"]
