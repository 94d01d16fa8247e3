#!/usr/bin/env bash
#
# Collect faces for TF_FILES/data/CATEGORY from a folder of pictures, a video, or a camera.
#
# Usage: ./collect_faces.sh TF_FILES CATEGORY SOURCE [options]
#        ./collect_faces.sh --help
set -euo pipefail

script=${BASH_SOURCE[0]}
[[ ! -L ${script} ]] || script=$(readlink -f -- "${script}")
[[ ${script} == */* ]] || script=./${script}
exec -- "${script%/*}/tensor-guess" collect-faces "$@"
