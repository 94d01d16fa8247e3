#!/usr/bin/env bash
#
# Answer guesses over HTTP, until Ctrl-C.
#
# Usage: ./serve.sh TF_FILES [options]
#        ./serve.sh --help
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ! -L ${script} ]] || script=$(readlink -f -- "${script}")
[[ ${script} == */* ]] || script=./${script}
exec -- "${script%/*}/tensor-guess" serve "$@"
