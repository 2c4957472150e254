# One image for both processes: the API by default, the worker with `node dist/worker.js`.
FROM node:22.22.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
# .dockerignore lets only the sources and their configuration through.
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22.22.2-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Owned by root, run by another: the process cannot change its own code.
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/tools ./tools
# What a volume for the ledger of erasures is mounted on: a new one takes its owner from here.
RUN install -d -o 1000 -g 1000 -m 700 /var/lib/ablauf
# By number, so that Kubernetes can see that it is not root. It is the image's own user "node".
USER 1000:1000
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["node", "-e", "const e = process.env, own = e.ABLAUF_TLS_CERT || e.ABLAUF_TLS_CERT_FILE; require(own ? 'https' : 'http').get({ host: '127.0.0.1', port: e.ABLAUF_PORT || 3000, path: '/readyz', rejectUnauthorized: false }, (r) => process.exit(r.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "dist/server.js"]
