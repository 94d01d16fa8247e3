# shellcheck shell=bash
# Runs the program with local Python, in an environment that is made when it is first needed.
# Sourced by launch.bash.

LOCK=${ROOT}/requirements.lock

# PYTHON is the first that the locked packages run on.
find_python() {
  for PYTHON in python3.13 python3.12 python3.11 python3; do
    if "${PYTHON}" -I -c 'import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 with venv was found; install one (Debian: apt install python3 python3-venv; macOS: brew install python@3.13), or Docker"
}

# VENV is where the environment is, or is to be made.
find_environment() {
  VENV=${ROOT}/.venv
  [[ ! -w ${ROOT} && ! -f ${VENV}/complete ]] || return 0
  if ! make_cache || [[ ! -w ${CACHE} && ! -f ${CACHE}/venv/complete ]]; then
    fail "cannot write to $(printable "${ROOT}") nor to $(printable "${CACHE}"); set TENSOR_GUESS_CACHE to a folder that can be written"
  fi
  VENV=${CACHE}/venv
}

# Ends the run if others can change what is run, but for the clone itself.
check_environment() {
  local folder
  look_at "${ROOT}"
  # Who can write to the clone can change anything in it.
  if ! can_others_write || is_sticky; then
    while IFS= read -r -d '' folder; do
      is_safe "${folder}" ||
        fail "nothing is run from $(printable "${folder}"): ${WHY}; remove it, and it is made anew"
    done < <(printf '%s\0' "${ROOT}/.venv" && suspects)
  fi
  [[ ${VENV} == "${ROOT}"/* ]] || is_safe "${VENV}" ||
    fail "nothing is run from $(printable "${VENV}"): ${WHY}; set TENSOR_GUESS_CACHE to a folder of your own"
}

# Prints the folders and links in src/ that others may be able to write to, each with a NUL behind:
# bytecode is in many, and one look at them all costs as much as a look at one.
suspects() {
  find "${ROOT}/src" \( -type l -o -type d \( -perm -020 -o -perm -002 -o ! -user "${EUID}" \) \) -print0
}

# VENV is there, complete, of this lock file, and nobody else's.
prepare_environment() {
  find_environment
  check_environment
  sweep "${VENV}".new.*
  # The stamp, written last, is the lock file itself: another lock file needs another environment.
  if ! cmp -s "${LOCK}" "${VENV}/complete"; then
    make_environment
    check_environment
  fi
}

make_environment() {
  find_python
  say "first run: installing TensorFlow, OpenVINO and what they need into $(printable "${VENV}")"
  say 'about 430 MB to download, 2 GB on disk; 1 to 5 minutes, once'
  NEW=${VENV}.new.$$
  trap 'rm -rf -- "${NEW}"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  (umask go-w && fill_environment "${NEW}") || exit
  # Of another lock file; not that of a run that was faster.
  cmp -s "${LOCK}" "${VENV}/complete" || rm -rf -- "${VENV}"
  # A rename fails, and nothing is lost, where another run was faster.
  "${PYTHON}" -I -c 'import os, sys; os.rename(*sys.argv[1:])' "${NEW}" "${VENV}" 2>/dev/null ||
    cmp -s "${LOCK}" "${VENV}/complete" ||
    fail "could not rename $(printable "${NEW}") to $(printable "${VENV}")"
  rm -rf -- "${NEW}"
  trap - EXIT INT TERM
}

# Usage: fill_environment VENV
fill_environment() {
  "${PYTHON}" -I -m venv "$1" >&2 ||
    fail "could not make $(printable "${VENV}"): python -m venv failed"
  "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-deps \
    --require-hashes --only-binary :all: --requirement "${LOCK}" >&2 ||
    fail "could not install the packages (see above); check the network and run again: what was done is undone"
  cp "${LOCK}" "$1/complete"
}

# Usage: run_local [SUBCOMMAND [ARGUMENT...]]
run_local() {
  local i
  prepare_environment
  # What the program will refuse, or only answer with help, makes no folder.
  if ! parse "$@" || ! make_cache; then find_cache; fi
  check_cache
  for ((i = 0; i < ${#KINDS[@]}; i++)); do
    [[ ${KINDS[i]} != handle || ${VALUES[i]} != *://* ]] || find_hub_cache
  done
  export TENSOR_GUESS_CACHE=${CACHE} TENSOR_GUESS_DISTRUST=${DISTRUST} TFHUB_CACHE_DIR=${HUB_CACHE}
  exec -- "${VENV}/bin/python" -I -u -X utf8 "${ROOT}/src" "$@"
}
