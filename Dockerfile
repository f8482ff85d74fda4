# The serving image: Python, the packages of knative/image/image.txt, Snooze's bundle and service packages, and models.
#
#   docker build --build-arg MODELS=models -t tumour:1 .
#   docker build --build-arg MODELS=models --build-arg EXTRAS="image text" -t photos:1 .
#   docker run --read-only --cap-drop ALL -p 8080:8080 tumour:1
#
# MODELS is a model repository, a model's folder or one bundle, relative to the build context. Without it the image holds
# no model: mount one at /models. EXTRAS are the libraries of adapters: `image` for models of pictures, `text` for those with
# a tokenizer. BASE is any image with glibc and Python 3.13; the build stage runs in it.
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BASE} AS build
WORKDIR /build

# strip makes the installed packages 17 MB smaller.
RUN command -v strip || { apt-get update && apt-get install -y --no-install-recommends binutils; }

COPY knative/image/*.txt ./
ARG EXTRAS=
RUN install="python -m pip install --quiet --root-user-action ignore --no-deps --only-binary :all: --require-hashes" \
 && ${install} --target tools -r build.txt \
 && ${install} --target /opt/snooze --no-compile -r image.txt \
 && for extra in ${EXTRAS}; do ${install} --target /opt/snooze --no-compile -r "extra-${extra}.txt" || exit 1; done

COPY pyproject.toml README.md LICENSE Dockerfile cli.py ./
COPY bundle bundle
COPY convert convert
COPY service service
COPY knative knative
COPY client client
COPY benchmarks benchmarks
RUN PYTHONPATH=tools python -m pip install --quiet --root-user-action ignore --no-deps --no-build-isolation \
      --no-compile --target /opt/snooze .
RUN python knative/image/rootfs.py /opt/snooze /rootfs

# The models are the last layer, so that pushing and pulling a new version of a model is quick.
ARG MODELS=
RUN --mount=type=bind,target=/context \
    mkdir -p /models \
 && if [ -n "${MODELS}" ]; then cp -rL "/context/${MODELS}/." /models; fi \
 && chmod -R a=rX /models

FROM scratch
LABEL org.opencontainers.image.title="snooze" org.opencontainers.image.licenses="Apache-2.0"
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
COPY --from=build /models/ /models/
USER 65532:65532
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["python", "-m", "snooze.service"]
