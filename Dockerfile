# syntax=docker/dockerfile:1
FROM oven/bun:1.4.5-slim AS dependencies
WORKDIR /app
ENV NODE_ENV=production
COPY package.json bun.lock ./
RUN bun install --frozen-lockfile --production

FROM oven/bun:1.4.5-slim
# For applications in PHP_ROOT; without it everything else works and PHP answers 503.
RUN apt-get update \
  && apt-get install -y --no-install-recommends php-fpm php-sqlite3 php-mbstring php-xml php-curl \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/data \
    # The folder of the program is not to be written to. A bucket (s3://…) is the better place.
    BACKUP_URL=file:/data/backups \
    PUBLIC_DIR=/app/public \
    PHP_ROOT=/app/php \
    UV_THREADPOOL_SIZE=8
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY drizzle ./drizzle
COPY src ./src
COPY public ./public
COPY php ./php
# The volume is made for the user that the server runs as.
RUN mkdir /data && chown bun:bun /data
VOLUME /data
USER bun
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["bun", "-e", "fetch(`http${process.env.TLS_CERT ? 's' : ''}://127.0.0.1:${process.env.PORT}/health/live`, { tls: { rejectUnauthorized: false } }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Bun is the first process, so it hears the signals itself.
CMD ["bun", "src/cli/index.ts", "serve"]
