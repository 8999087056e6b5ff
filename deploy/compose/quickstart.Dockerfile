# The other parties of the quickstart, with everything that development needs: for deploy/compose, and nothing else.
ARG NODE_IMAGE=docker.io/library/node:26-slim
FROM ${NODE_IMAGE}
WORKDIR /quickstart
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=secret,id=npmrc NPM_CONFIG_USERCONFIG=/run/secrets/npmrc npm install --no-save --ignore-scripts --omit=optional
COPY src src
COPY quickstart quickstart
# The user of the gateway's image: both read the keys in the volume, which starts as a copy of this folder.
RUN mkdir .quickstart && chown 65532:65532 .quickstart
USER 65532:65532
ENTRYPOINT ["node"]
