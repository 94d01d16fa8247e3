# The program in an image: Python, the locked packages, the source. src/launcher/launch.bash builds it
# when it is first needed; by hand:
#
#   docker build --tag my-tensor-guess [--build-arg BACKBONES="inception_v3"] [--build-arg FACES=1] [--build-arg MANY=1] \
#     [--build-arg STORES=1] .
#   TENSOR_GUESS_IMAGE=my-tensor-guess ./guess.sh tf_files photo.jpg
#
# It has no `# syntax=` line and no BuildKit mounts, so that it builds on any engine, with and
# without BuildKit, and needs no other image than this one. One file for amd64 and arm64.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS packages

# Only the lock file is copied, so that editing the source installs nothing again.
COPY requirements.lock /tmp/requirements.lock

# - pip's own bytecode goes along: an arbitrary user cannot write __pycache__ later.
# - What is removed is only needed to compile against TensorFlow and OpenVINO, to test them, or to
#   serve TensorBoard's pages.
# - The imports at the end fail the build rather than the first run.
RUN set -eu; \
    python3 -m venv --without-pip /opt/tensor-guess/venv; \
    python3 -m pip --python /opt/tensor-guess/venv/bin/python install \
      --no-cache-dir --disable-pip-version-check --root-user-action ignore \
      --no-deps --require-hashes --only-binary :all: \
      --requirement /tmp/requirements.lock; \
    cd /opt/tensor-guess/venv/lib/python3*/site-packages; \
    rm -rf tensorflow/include tensorflow/xla_aot_runtime_src openvino/include \
      tensorboard_data_server/bin tensorboard/webfiles.zip onnx/backend/test; \
    find . -type d -name tests ! -path './tensorflow/*' -prune -exec rm -rf {} +; \
    TF_CPP_MIN_LOG_LEVEL=2 /opt/tensor-guess/venv/bin/python -I -c \
      'import keras, onnxruntime, openvino, pi_heif, prometheus_client, python_multipart, starlette, \
tensorboard.summary, tensorflow, tf2onnx, uvicorn; \
from tensorflow.python.framework import convert_to_constants'

FROM ${BASE_IMAGE} AS sets

# OpenCV and PyAV for faces and videos, Dask for many machines, s3fs for object stores: each in a
# folder of its own, so that an image with them shares all its other layers with one without.
ARG FACES=""
ARG MANY=""
ARG STORES=""
COPY requirements-faces.lock requirements-many.lock requirements-stores.lock /tmp/
RUN set -eu; \
    add() { \
      mkdir "/opt/$1"; \
      if [ -n "$2" ]; then \
        python3 -m pip install \
          --no-cache-dir --disable-pip-version-check --root-user-action ignore \
          --no-deps --require-hashes --only-binary :all: \
          --target "/opt/$1" --requirement "/tmp/requirements-$1.lock"; \
      fi; \
    }; \
    add faces "${FACES}"; \
    add many "${MANY}"; \
    add stores "${STORES}"

FROM ${BASE_IMAGE}

# Backbones that are baked in besides efficientnet_lite0, which comes with the packages. One that
# cannot be had lets the build go on: it is then downloaded when it is first needed.
ARG BACKBONES=""

LABEL org.opencontainers.image.title="tensor-guess" \
      org.opencontainers.image.description="Train a picture classifier from a folder per category, and use it" \
      org.opencontainers.image.licenses="Apache-2.0"

# Whatever the uid, there is a home, and it is one that can be written to: /tmp is a tmpfs.
ENV HOME=/tmp USER=tensor-guess LANG=C.UTF-8 TF_CPP_MIN_LOG_LEVEL=2

COPY --from=packages /opt/tensor-guess/venv /opt/tensor-guess/venv
COPY src /opt/tensor-guess/src

RUN set -eu; \
    cd /opt/tensor-guess; \
    run() { TENSOR_GUESS_CACHE=/opt/tensor-guess venv/bin/python -I -u -X utf8 src "$@"; }; \
    venv/bin/python -I -m compileall -q --invalidation-mode unchecked-hash src; \
    run fetch efficientnet_lite0; \
    for name in ${BACKBONES}; do \
      run fetch "${name}" || \
        echo "tensor-guess: ${name} is not in this image (see above); it is downloaded when first needed" >&2; \
    done; \
    chmod -R a+rX src backbones

COPY --from=sets /opt/faces /opt/tensor-guess/venv/faces
COPY --from=sets /opt/many /opt/tensor-guess/venv/many
COPY --from=sets /opt/stores /opt/tensor-guess/venv/stores

USER 65534:65534
ENTRYPOINT ["/opt/tensor-guess/venv/bin/python", "-I", "-u", "-X", "utf8", "/opt/tensor-guess/src"]
CMD ["--help"]
