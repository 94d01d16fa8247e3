#!/usr/bin/env bash
#
# Copy every picture in SRC to DEST as <category>-<score>.<ext>.
#
# Usage: ./classify_dir.sh TF_FILES SRC DEST [options]
#        ./classify_dir.sh --help
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ! -L ${script} ]] || script=$(readlink -f -- "${script}")
[[ ${script} == */* ]] || script=./${script}
exec -- "${script%/*}/tensor-guess" classify-dir "$@"
