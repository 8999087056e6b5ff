# The image of Holdfast: Node with the libraries that it needs, and Holdfast. No shell, no package manager, nothing to write to.
# Build: docs/releasing.md. For a release give the base by digest: --build-arg NODE_IMAGE=docker.io/library/node:26-slim@sha256:…
ARG NODE_IMAGE=docker.io/library/node:26-slim

# TypeScript and packages to one program. Not `npm ci`: the lock file has no packages of other platforms (scripts/install.mjs). Versions and
# hashes are those of the lock file all the same. A registry of your own: --secret id=npmrc,src=$HOME/.npmrc
FROM ${NODE_IMAGE} AS compiled
WORKDIR /holdfast
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=secret,id=npmrc NPM_CONFIG_USERCONFIG=/run/secrets/npmrc npm install --no-save --ignore-scripts
COPY scripts/build.ts scripts/
COPY src src
RUN npm run build

# What runs: Node, what it is linked against, and the bill of materials of the packages that are in the program. dpkg/status.d is where
# scanners of images look for the versions of packages whose files were copied.
FROM ${NODE_IMAGE} AS assembled
WORKDIR /holdfast
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=secret,id=npmrc NPM_CONFIG_USERCONFIG=/run/secrets/npmrc npm install --no-save --ignore-scripts --omit=dev --omit=optional \
  && npm pkg delete devDependencies optionalDependencies \
  && npm sbom --sbom-format=cyclonedx --sbom-type=application > sbom.cdx.json
WORKDIR /image
# hadolint ignore=DL4006,SC2046
RUN mkdir -p usr/local/bin etc/holdfast var/lib/dpkg/status.d \
  && cp -L "$(command -v node)" usr/local/bin/node \
  && ldd usr/local/bin/node | grep -o '/[^ ]*' > /tmp/libraries \
  && xargs -I{} cp -L --parents {} . < /tmp/libraries \
  && cp -L --parents /etc/nsswitch.conf /etc/os-release . \
  && for package in $(sed 's,.*/,*/,' /tmp/libraries | xargs dpkg-query --search | cut -d: -f1 | sort -u); do \
       dpkg-query --status "$package" > "var/lib/dpkg/status.d/$package" || exit 1; \
     done

# docker build --target sbom --output . .
FROM scratch AS sbom
COPY --from=assembled /holdfast/sbom.cdx.json /

FROM scratch
COPY --from=assembled /image /
COPY --from=assembled /holdfast/sbom.cdx.json /holdfast/
COPY --from=compiled /holdfast/dist /holdfast/dist
COPY package.json LICENSE /holdfast/
ENV PATH=/usr/local/bin
WORKDIR /etc/holdfast
# No such user exists, and none is needed: nothing belongs to it. 65532 is what other images without a shell use.
USER 65532:65532
# The public port of the examples, and telemetry.
EXPOSE 8443 9902
# Node is process 1 and starts no other: worker threads are no processes, so there is nothing to reap.
# SIGUSR1 opens no inspector, from the first moment on.
ENTRYPOINT ["node", "--disable-sigusr1", "/holdfast/dist/main.js"]
CMD ["serve", "--config", "/etc/holdfast/holdfast.yaml"]
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="Edge gateway for OAuth tokens that cannot be stolen" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
