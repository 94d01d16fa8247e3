# shellcheck shell=bash
# Runs the program with local Python, in an environment that is created on first use.
# Sourced by launch.bash.

LOCK=${ROOT}/requirements.lock

# Set PYTHON to the first interpreter that the locked packages support.
find_python() {
  for PYTHON in python3.13 python3.12 python3.11 python3; do
    if "${PYTHON}" -I -c 'import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 with venv was found; install one (Debian: apt install python3 python3-venv; macOS: brew install python@3.13), or Docker"
}

# Set VENV to the folder of the environment, which need not exist.
find_environment() {
  VENV=${ROOT}/.venv
  [[ ! -w ${ROOT} && ! -f ${VENV}/complete ]] || return 0
  if ! make_cache || [[ ! -w ${CACHE} && ! -f ${CACHE}/venv/complete ]]; then
    fail "cannot write to $(printable "${ROOT}") or $(printable "${CACHE}"); set TENSOR_GUESS_CACHE to a writable folder"
  fi
  VENV=${CACHE}/venv
}

# Fail if others can change what is run. The clone itself is trusted.
check_environment() {
  local folder
  look_at "${ROOT}"
  # Who can write to the clone can change anything in it.
  if ! can_others_write || is_sticky; then
    while IFS= read -r -d '' folder; do
      is_safe "${folder}" ||
        fail "refusing to run anything from $(printable "${folder}"): ${WHY}; remove it, and it will be created again"
    done < <(printf '%s\0' "${ROOT}/.venv" && suspects)
  fi
  [[ ${VENV} == "${ROOT}"/* ]] || is_safe "${VENV}" ||
    fail "refusing to run anything from $(printable "${VENV}"): ${WHY}; set TENSOR_GUESS_CACHE to a folder of your own"
}

# Print the folders and links in src/ that others may be able to write to, each followed by a NUL.
# Many hold bytecode; finding them all costs as much as checking one.
suspects() {
  find "${ROOT}/src" \( -type l -o -type d \( -perm -020 -o -perm -002 -o ! -user "${EUID}" \) \) -print0
}

# Make sure that VENV exists, is complete, matches the lock file, and cannot be changed by others.
prepare_environment() {
  find_environment
  check_environment
  sweep "${VENV}".new.*
  # The stamp, written last, is a copy of the lock file: a new lock file needs a new environment.
  if ! cmp -s "${LOCK}" "${VENV}/complete"; then
    make_environment
    check_environment
  fi
}

make_environment() {
  find_python
  tell "first run: installing TensorFlow, OpenVINO and their dependencies into $(printable "${VENV}")"
  tell 'this takes 1 to 5 minutes, once: about 430 MB to download, 2 GB on disk'
  make_whole "${VENV}" "${LOCK}" fill_environment
}

# Fill a new folder and give it its name, in place of one that was made from an older lock file.
# Usage: make_whole FOLDER LOCK_FILE FUNCTION_THAT_FILLS_IT
make_whole() {
  NEW=$1.new.$$
  trap 'rm -rf -- "${NEW}"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  (umask go-w && "$3" "${NEW}") || exit
  # Remove one of an older lock file, but not one that a parallel run has finished.
  cmp -s "$2" "$1/complete" || rm -rf -- "$1"
  # If a parallel run was faster the rename fails, and nothing is lost.
  "${PYTHON}" -I -c 'import os, sys; os.rename(*sys.argv[1:])' "${NEW}" "$1" 2>/dev/null ||
    cmp -s "$2" "$1/complete" ||
    fail "could not rename $(printable "${NEW}") to $(printable "$1")"
  rm -rf -- "${NEW}"
  trap - EXIT INT TERM
}

# Usage: fill_environment VENV
fill_environment() {
  "${PYTHON}" -I -m venv "$1" >&2 ||
    fail "could not create $(printable "${VENV}"): python -m venv failed"
  "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-deps \
    --require-hashes --only-binary :all: --requirement "${LOCK}" >&2 ||
    fail "could not install the packages (see above); the half-made environment was removed; check the internet connection and run again"
  cp "${LOCK}" "$1/complete"
}

# Make sure that VENV has the packages of an optional set, in a folder of their own, so that they
# too are there as a whole or not at all.
# Usage: prepare_set NAME PACKAGES WHAT_FOR_AND_HOW_MUCH
prepare_set() {
  local folder=${VENV}/$1
  SET_LOCK=${ROOT}/requirements-$1.lock SET_PACKAGES=$2
  sweep "${folder}".new.*
  ! cmp -s "${SET_LOCK}" "${folder}/complete" || return 0
  PYTHON=${VENV}/bin/python
  tell "installing $2 $3"
  make_whole "${folder}" "${SET_LOCK}" fill_set
}

# Usage: fill_set FOLDER
fill_set() {
  local said reason
  said=$("${PYTHON}" -I -m pip install --quiet --disable-pip-version-check --no-deps \
    --require-hashes --only-binary :all: --target "$1" --requirement "${SET_LOCK}" 2>&1) || {
    reason=${said##*ERROR: }
    fail "could not install ${SET_PACKAGES} ($(printable "${reason%%$'\n'*}")); check the internet connection and that $(printable "${VENV}") can be written to, and run again"
  }
  cp "${SET_LOCK}" "$1/complete"
}

# Usage: run_local [SUBCOMMAND [ARGUMENT...]]
run_local() {
  local i complete=1
  parse "$@" || complete=''
  prepare_environment
  # Create no folder for a command line that the program will refuse or answer with help.
  if [[ -z ${complete} ]] || ! make_cache; then find_cache; fi
  check_cache
  if needs_faces; then
    prepare_set faces 'OpenCV and PyAV' 'for faces and videos, once: about 100 MB to download, 270 MB on disk'
  fi
  if needs_many; then
    prepare_set many Dask 'for many machines, once: about 10 MB to download, 60 MB on disk'
  fi
  if needs_stores; then
    prepare_set stores s3fs 'for object stores, once: about 20 MB to download, 50 MB on disk'
  fi
  for ((i = 0; i < ${#KINDS[@]}; i++)); do
    [[ ${KINDS[i]} != handle || ${VALUES[i]} != *://* ]] || find_hub_cache
  done
  export TENSOR_GUESS_CACHE=${CACHE} TENSOR_GUESS_DISTRUST=${DISTRUST} TFHUB_CACHE_DIR=${HUB_CACHE}
  exec -- "${VENV}/bin/python" -I -u -X utf8 "${ROOT}/src" "$@"
}
