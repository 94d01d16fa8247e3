#!/usr/bin/env bash
#
# Set up and run every check: formatting, lint, types, shell scripts, tests.
#
# Usage: ./test.sh [--quick | --long] [pytest arguments]
#        --quick: what is soon done: no TensorFlow, no container, nothing slow
#        --long: the long suites too
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ${script} == */* ]] || script=./${script}
CDPATH='' cd -- "${script%/*}/"
ROOT=$(pwd -P && printf x)
ROOT=${ROOT%$'\nx'}
# shellcheck source=src/launcher/launch.bash
source src/launcher/launch.bash

prepare_environment
venv=${VENV}
if ! cmp -s requirements-dev.lock "${venv}/dev-complete"; then
  printf 'test.sh: installing what the tests need (about 180 MB)\n' >&2
  "${venv}/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-deps \
    --require-hashes --requirement requirements-dev.lock >&2
  cp requirements-dev.lock "${venv}/dev-complete"
fi
PATH=${venv}/bin:${PATH}
python() { "${venv}/bin/python" "$@"; }

marks='not long'
case ${1:-} in
--quick)
  marks='not long and not slow and not container and not tensorflow'
  shift
  ;;
--long)
  marks=''
  shift
  ;;
esac

scripts=(tensor-guess ./*.sh src/launcher/*.bash src/tensor_guess/completions/*.bash tools/*.sh)
python -m ruff check
python -m ruff format --check
python -m mypy src tools bench tests
"${venv}/bin/shfmt" -d -i 2 "${scripts[@]}"
if [[ ${marks} != *'not slow'* ]]; then
  python -I -X utf8 src fetch onnxruntime-web >/dev/null ||
    printf 'test.sh: the tests that need ONNX Runtime Web are skipped\n' >&2
fi
"${venv}/bin/shellcheck" "${scripts[@]}" & # takes long; meanwhile the tests are collected
shellcheck=$!
# A file's tests share what they train: they stay in one process. Each takes up to 2 GB.
python -X utf8 -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "${marks}" "$@"
wait "${shellcheck}"
