#!/usr/bin/env bash
#
# Train a classifier from TF_FILES/data/<category>/*.
#
# Usage: ./train.sh TF_FILES [options]
#        ./train.sh --help
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ! -L ${script} ]] || script=$(readlink -f -- "${script}")
[[ ${script} == */* ]] || script=./${script}
exec -- "${script%/*}/tensor-guess" train "$@"
