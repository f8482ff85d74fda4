# The serving image: Python, the packages of knative/image/image.txt, Snooze's bundle and service packages, and models.
#
#   docker build --build-arg MODELS=models -t tumour:1 .
#   docker build --build-arg MODELS=models --build-arg EXTRAS="image text" -t photos:1 .
#   docker run --read-only --cap-drop ALL -p 8080:8080 tumour:1
#
# The context is the repository, or the folder `snooze` of an installed wheel (with `-f knative/image/Dockerfile` there).
# docs/image.md explains the build arguments.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build

# strip makes the installed packages 17 MB smaller.
RUN { command -v strip && test -e /etc/ssl/certs/ca-certificates.crt; } \
 || { apt-get update && apt-get install -y --no-install-recommends binutils ca-certificates; }

COPY knative/image/*.txt ./
ARG EXTRAS=
RUN set -- -r image.txt \
 && for extra in ${EXTRAS}; do set -- "$@" -r "extra-${extra}.txt"; done \
 && python -m pip install --quiet --root-user-action ignore --no-deps --only-binary :all: --require-hashes \
      --target /opt/snooze --no-compile "$@"

COPY LICENSE ./
COPY knative/image/*.py image/
COPY bundle /opt/snooze/snooze/bundle
COPY service /opt/snooze/snooze/service
ARG VERSION=0.1.0
RUN PYTHONPATH=/opt/snooze python -B image/sample.py /sample \
 && python -B image/rootfs.py /opt/snooze /rootfs "${VERSION}" \
 && python -B image/sbom.py /opt/snooze /rootfs \
 && find /rootfs -exec touch --no-dereference --date @0 {} +

# Nothing but MODELS changes these files. Without MODELS one small file is copied and removed, for COPY needs a source.
FROM ${BASE} AS models
ARG MODELS=
COPY ${MODELS:-knative/image/image.in} /served/models/
RUN if [ -z "${MODELS}" ]; then rm /served/models/image.in; fi \
 && chmod -R a=rX /served \
 && find /served -exec touch --no-dereference --date @0 {} +

FROM scratch AS server
COPY --from=build /rootfs/ /
ENV PATH=/usr/local/bin:/usr/bin \
    PYTHONPATH=/opt/snooze \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    PYTHONOPTIMIZE=2 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    ORT_DISABLE_TELEMETRY=1 \
    MALLOC_MMAP_THRESHOLD_=262144 \
    MALLOC_TRIM_THRESHOLD_=262144 \
    OPENBLAS_NUM_THREADS=1 \
    SNOOZE_MODELS=/models
USER 65532:65532
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["python", "-m", "snooze.service"]

# The server starts in the file system of the image and proves the golden samples. What is served is copied from here, so
# that no builder skips this stage.
FROM server AS proof
COPY --from=build /sample/ /sample/
COPY knative/image/prove.py /proof/
RUN ["python", "/proof/prove.py", "sample", "/sample"]
COPY --from=models /served/ /served/
RUN ["python", "/proof/prove.py", "models", "/served/models"]

FROM server
ARG EXTRAS=
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
ARG MODELS=
LABEL org.opencontainers.image.title="snooze" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      snooze.bundle-schema="2" \
      snooze.extras="${EXTRAS}" \
      snooze.models="${MODELS:+unknown}"
COPY --from=proof /served/ /
