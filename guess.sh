#!/usr/bin/env bash
#
# Name pictures: every label with its score, best first.
#
# Usage: ./guess.sh TF_FILES IMAGE... [options]
#        ./guess.sh --help
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ! -L ${script} ]] || script=$(readlink -f -- "${script}")
[[ ${script} == */* ]] || script=./${script}
exec -- "${script%/*}/tensor-guess" guess "$@"
