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
  say "first run: installing TensorFlow, OpenVINO and their dependencies into $(printable "${VENV}")"
  say 'this takes 1 to 5 minutes, once: about 430 MB to download, 2 GB on disk'
  NEW=${VENV}.new.$$
  trap 'rm -rf -- "${NEW}"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  (umask go-w && fill_environment "${NEW}") || exit
  # Remove one of an older lock file, but not one that a parallel run has finished.
  cmp -s "${LOCK}" "${VENV}/complete" || rm -rf -- "${VENV}"
  # If a parallel run was faster the rename fails, and nothing is lost.
  "${PYTHON}" -I -c 'import os, sys; os.rename(*sys.argv[1:])' "${NEW}" "${VENV}" 2>/dev/null ||
    cmp -s "${LOCK}" "${VENV}/complete" ||
    fail "could not rename $(printable "${NEW}") to $(printable "${VENV}")"
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

# Usage: run_local [SUBCOMMAND [ARGUMENT...]]
run_local() {
  local i
  prepare_environment
  # Create no folder for a command line that the program will refuse or answer with help.
  if ! parse "$@" || ! make_cache; then find_cache; fi
  check_cache
  for ((i = 0; i < ${#KINDS[@]}; i++)); do
    [[ ${KINDS[i]} != handle || ${VALUES[i]} != *://* ]] || find_hub_cache
  done
  export TENSOR_GUESS_CACHE=${CACHE} TENSOR_GUESS_DISTRUST=${DISTRUST} TFHUB_CACHE_DIR=${HUB_CACHE}
  exec -- "${VENV}/bin/python" -I -u -X utf8 "${ROOT}/src" "$@"
}
