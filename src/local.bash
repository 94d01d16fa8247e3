# shellcheck shell=bash
# Runs the program with local Python, in an environment that is made when it is first needed.
# Sourced by launch.bash.

LOCK=${ROOT}/requirements.lock

# Prints the first Python that the locked packages run on.
find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3; do
    if "${candidate}" -I -c 'import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      printf '%s' "${candidate}"
      return
    fi
  done
  fail "no Python 3.11, 3.12 or 3.13 with venv was found; install one (Debian: apt install python3 python3-venv; macOS: brew install python@3.13), or Docker"
}

# Prints where the environment is, or is to be made.
environment() {
  local cache
  cache=$(cache_folder)
  if [[ -w ${ROOT} || -f ${ROOT}/.venv/complete ]]; then
    printf '%s' "${ROOT}/.venv"
  elif mkdir -p "${cache}" 2>/dev/null && [[ -w ${cache} ]]; then
    printf '%s' "${cache}/venv"
  else
    fail "cannot write to ${ROOT} nor to ${cache}; set TENSOR_GUESS_CACHE to a folder that can be written"
  fi
}

# Makes the environment in VENV unless it is there, complete and of this lock file.
# Usage: prepare_environment VENV
prepare_environment() {
  local venv=$1 python new
  # The stamp, written last, is the lock file itself: another lock file needs another environment.
  if cmp -s "${LOCK}" "${venv}/complete"; then return; fi
  python=$(find_python)
  printf 'tensor-guess: first run: installing TensorFlow, OpenVINO and what they need into %s\n' \
    "${venv}" >&2
  printf 'tensor-guess: about 430 MB to download, 2 GB on disk; 1 to 5 minutes, once\n' >&2
  new=${venv}.new.$$
  # shellcheck disable=SC2064 # the name as it is now
  trap "rm -rf '${new//\'/\'\\\'\'}'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  "${python}" -I -m venv "${new}" >&2 || fail "could not make ${venv}: python -m venv failed"
  "${new}/bin/python" -I -m pip install --quiet --disable-pip-version-check --no-deps \
    --require-hashes --only-binary :all: --requirement "${LOCK}" >&2 ||
    fail "could not install the packages (see above); check the network and run again: what was done is undone"
  cp "${LOCK}" "${new}/complete"
  # Of another lock file; not that of a run that was faster.
  cmp -s "${LOCK}" "${venv}/complete" || rm -rf "${venv}"
  # A rename fails, and nothing is lost, where another run was faster.
  "${python}" -I -c 'import os, sys; os.rename(*sys.argv[1:])' "${new}" "${venv}" 2>/dev/null ||
    cmp -s "${LOCK}" "${venv}/complete" || fail "could not rename ${new} to ${venv}"
  rm -rf "${new}"
  trap - EXIT INT TERM
}

# Usage: run_local SUBCOMMAND [ARGUMENT...]
run_local() {
  local venv
  venv=$(environment)
  prepare_environment "${venv}"
  exec "${venv}/bin/python" -I -u -X utf8 "${ROOT}/src" "$@"
}
