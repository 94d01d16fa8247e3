# shellcheck shell=bash
# Starts the program: in a container of Docker, else of Podman, else with local Python. Sourced by
# tensor-guess and test.sh, which set ROOT (the clone). Runs under bash 3.2.

# Usage: say MESSAGE
say() { printf 'tensor-guess: %s\n' "$1" >&2; }

# Say how the work goes, unless less is wanted.
# Usage: tell MESSAGE
tell() { [[ ${VOICE} == --quiet ]] || say "$1"; }

# Usage: fail MESSAGE [CODE]
fail() {
  say "$1"
  exit "${2:-1}"
}

# shellcheck source=src/launcher/paths.bash
source "${ROOT}/src/launcher/paths.bash"
# shellcheck source=src/launcher/trust.bash
source "${ROOT}/src/launcher/trust.bash"
# shellcheck source=src/launcher/cache.bash
source "${ROOT}/src/launcher/cache.bash"
# shellcheck source=src/launcher/commands.bash
source "${ROOT}/src/launcher/commands.bash"
# shellcheck source=src/launcher/local.bash
source "${ROOT}/src/launcher/local.bash"
# shellcheck source=src/launcher/engine.bash
source "${ROOT}/src/launcher/engine.bash"
# shellcheck source=src/launcher/mounts.bash
source "${ROOT}/src/launcher/mounts.bash"
# shellcheck source=src/launcher/container.bash
source "${ROOT}/src/launcher/container.bash"

# Usage: answer_at_once [ARGUMENT...]; what needs neither Python nor a container
answer_at_once() {
  local line
  case $*,${#} in
  --version,1)
    while IFS= read -r line; do
      [[ ${line} != '__version__ = "'* ]] || printf 'tensor-guess %s\n' "${line:15:${#line}-16}"
    done <"${ROOT}/src/tensor_guess/__init__.py"
    ;;
  'completion bash,2' | 'completion zsh,2' | 'completion fish,2')
    cat -- "${ROOT}/src/tensor_guess/completions/tensor-guess.$2"
    ;;
  *) return 1 ;;
  esac
}

# Usage: launch SUBCOMMAND [ARGUMENT...]
launch() {
  local engine
  # The next file opened would take the place of a closed stream. This stdout is read-only, so that
  # printing to it fails rather than seems to succeed.
  [[ -e /dev/fd/0 ]] || exec </dev/null
  [[ -e /dev/fd/1 ]] || exec 1</dev/null
  [[ -e /dev/fd/2 ]] || exec 2>/dev/null
  if answer_at_once "$@"; then exit; fi
  case ${TENSOR_GUESS_LAUNCHER:-} in
  '')
    for engine in docker podman; do
      if probe "${engine}"; then run_in_container "$@"; fi
      # An engine that is not installed causes no trouble.
      [[ -z ${TROUBLE} ]] || say "${TROUBLE}; continuing without it"
    done
    run_local "$@"
    ;;
  docker | podman)
    probe "${TENSOR_GUESS_LAUNCHER}" ||
      fail "${TROUBLE:-${TENSOR_GUESS_LAUNCHER} is not installed} (TENSOR_GUESS_LAUNCHER)" 125
    run_in_container "$@"
    ;;
  local) run_local "$@" ;;
  *)
    fail "TENSOR_GUESS_LAUNCHER is '$(printable "${TENSOR_GUESS_LAUNCHER}")'; it must be docker, podman or local" 2
    ;;
  esac
}
