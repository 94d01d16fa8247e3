#!/usr/bin/env bash
#
# Rewrite the lock files from pyproject.toml and requirements*.in: with hashes, without URLs.
#
# Usage: tools/lock.sh [--upgrade]      needs `uv`
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ${script} == */* ]] || script=./${script}
CDPATH='' cd -- "${script%/*}/.."
compile() {
  uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header "$@"
}
compile --override overrides.txt --extra export --extra serve "$@" pyproject.toml requirements.in \
  --output-file requirements.lock
# What requirements.lock has is installed already.
compile --no-emit-package numpy "$@" requirements-faces.in --output-file requirements-faces.lock
compile --no-emit-package click --no-emit-package jinja2 --no-emit-package markupsafe \
  --no-emit-package packaging --no-emit-package urllib3 \
  "$@" requirements-many.in --output-file requirements-many.lock
compile --no-emit-package idna --no-emit-package six --no-emit-package typing-extensions \
  --no-emit-package urllib3 --no-emit-package wrapt \
  "$@" requirements-stores.in --output-file requirements-stores.lock
compile "$@" requirements-dev.in --output-file requirements-dev.lock
