# shellcheck shell=bash
# One run of the program in a container. Sourced by launch.bash.

# Runs the program and exits with its code.
# Usage: run_in_container [SUBCOMMAND [ARGUMENT...]]
run_in_container() {
  local status=0
  NAME=tensor-guess-$$-${RANDOM}${RANDOM}
  RUN=() NONCES=() CACHE='' DISTRUST='' FETCHED=''
  trap clean_up EXIT
  here
  check_names "${HERE}" "${TENSOR_GUESS_CACHE:-}" "$@"
  plan "$@"
  [[ -z ${COMPLETE} ]] || plan_cache "$1"
  prepare_image
  fetch_first
  RUN=("${ENGINE}" run --rm --name "${NAME}")
  confine "${1:-}"
  show_folders
  RUN+=("${IMAGE}")
  [[ ${#PASSED[@]} -eq 0 ]] || RUN+=("${PASSED[@]}")
  supervise kill_container "${RUN[@]}" || status=$?
  explain "${status}"
  exit "${status}"
}

# An engine takes its arguments as UTF-8 text and would change any other byte.
# Usage: check_names [NAME...]
check_names() {
  local LC_ALL=C
  if [[ $* == *[!$'\t\n'\ -~]* ]] && command -v iconv >/dev/null; then
    printf '%s' "$*" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 ||
      fail 'a name that is not valid UTF-8 cannot be given to a container; rename it, give the folder it is in, or set TENSOR_GUESS_LAUNCHER=local' 2
  fi
}

# The folder of backbones, made here so that it is the user's own; without it the program does.
# Usage: plan_cache SUBCOMMAND
plan_cache() {
  local there=1
  make_cache || there=''
  check_cache
  if [[ -z ${there} || -n ${DISTRUST} ]]; then
    CACHE=''
    return
  fi
  place "${CACHE}"
  CACHE=${REAL}
  case $1 in
  train | fetch) add_mount rw "${CACHE}" ;;
  *) add_mount ro "${CACHE}" ;;
  esac
}

# Guessing has no network, and a module is a stranger's program: what is needed of either is
# fetched by a run of its own, which sees neither pictures nor classifiers.
fetch_first() {
  [[ -z ${MODULE} ]] || apart fetch -- "${MODULE}" || exit $?
  if [[ ${#URLS[@]} -gt 0 ]]; then
    make_fetched
    # What could not be fetched was said; the program leaves it out.
    apart fetch-images -- "${FETCHED}" "${URLS[@]}" || true
    add_mount ro "${FETCHED}"
  fi
  [[ -z ${BUILTIN} || -n ${OFFLINE} || -n ${DISTRUST} ]] || fetch_builtin
}

# FETCHED is a new folder for pictures.
make_fetched() {
  absolute "${TMPDIR:-/tmp}"
  local prefix=${ABSOLUTE%/}/.tensor-guess-fetched.
  sweep "${prefix}"????????
  FETCHED=$(mktemp -d "${prefix}XXXXXXXX") ||
    fail "could not make a folder for pictures in $(printable "${ABSOLUTE}"); set TMPDIR to one that can be written"
  real_folder "${FETCHED}"
  FETCHED=${REAL}
}

# Gives back its exit code; a signal ends this run with it.
# Usage: apart SUBCOMMAND [ARGUMENT...]
apart() {
  local status=0
  TENSOR_GUESS_LAUNCHER=${ENGINE} supervise kill_client "${ROOT}/tensor-guess" "$@" >/dev/null ||
    status=$?
  [[ -z ${STOPPED} ]] || exit "${status}"
  return "${status}"
}

# Fetch the backbone of the built-in classifier, unless it was fetched before.
fetch_builtin() {
  local kept
  for kept in "${CACHE}/backbones/${BACKBONE}"-*.pb; do
    [[ ! -e ${kept} ]] || return 0
  done
  # Where it fails it says why, and the program what it does instead.
  apart fetch -- "${BACKBONE}" || true
}

# RUN gets what keeps the program in: docs/design.md says what for.
# Usage: confine SUBCOMMAND
confine() {
  local group
  RUN+=(--read-only --cap-drop ALL --security-opt no-new-privileges)
  # Podman would put writable folders over /run and /var/tmp.
  [[ ${ENGINE} != podman ]] || RUN+=(--read-only-tmpfs=false)
  # Instead of relabelling people's folders where SELinux is on.
  RUN+=(--security-opt label=disable)
  if has_init; then RUN+=(--init); fi
  if can_limit pids; then RUN+=(--pids-limit 256); fi
  case $1 in
  guess | classify-dir | inspect | export | share | verify)
    RUN+=(--network none)
    if can_limit memory; then RUN+=(--memory "$(memory "$1")"); fi
    ;;
  esac
  # In a rootless Docker, root is this user.
  [[ -z ${ROOTLESS} || ${ENGINE} != docker ]] || return 0
  RUN+=(--user "$(id -u):$(id -g)")
  if [[ -n ${ROOTLESS} ]]; then
    RUN+=(--userns keep-id)
    [[ ${LIMITS} != *crun* ]] || RUN+=(--group-add keep-groups)
    return
  fi
  [[ -z ${REMAPPED} ]] || RUN+=(--userns host)
  for group in $(id -G); do
    [[ ${group} == "$(id -g)" ]] || RUN+=(--group-add "${group}")
  done
}

# Prints how much memory such a run gets: some five times its graph, of which VGG16's has half a
# gigabyte. Other runtimes' converters take fifty times a graph.
# Usage: memory SUBCOMMAND
memory() {
  local graph
  if [[ $1 == export ]]; then
    printf '8g'
    return
  fi
  for graph in "${CLASSIFIER}" "${CLASSIFIER%/}"/*.pb \
    "${CACHE}/backbones/${BACKBONE}"-*.pb; do
    if [[ -f ${graph} && -n $(find -L "${graph}" -prune -size +400000) ]]; then
      printf '4g'
      return
    fi
  done
  printf '2g'
}

# Whether the engine can start an init; Podman's is a package of its own.
has_init() {
  [[ ${ENGINE} == docker ]] || command -v catatonit >/dev/null ||
    [[ -x /usr/libexec/podman/catatonit || -x /usr/lib/podman/catatonit ]]
}

# RUN gets the folders, and the variables that the program needs.
show_folders() {
  local i scratch=/tmp name number=0
  for ((i = 0; i < ${#TARGETS[@]}; i++)); do
    is_shown "${i}" || RUN+=(--mount "$(mount_option "${i}")")
    [[ ${MODES[i]} == ro ]] || leave_nonce "${SOURCES[i]}" "${TARGETS[i]}"
    # Nothing else can be mounted where the user's own /tmp is.
    [[ ${TARGETS[i]} != /tmp ]] || scratch=/run/tensor-guess
  done
  RUN+=(--tmpfs "${scratch}" --env "HOME=${scratch}" --env "TMPDIR=${scratch}")
  # Docker makes the folder where it is not mounted; Podman wants it to be there.
  if [[ ${ENGINE} == podman ]] && ! is_mounted "${HERE}" && ! is_system "${HERE}"; then
    escaped "target=${HERE}"
    RUN+=(--mount "type=tmpfs,${ESCAPED},ro=true,tmpfs-mode=0555")
  fi
  RUN+=(--workdir "${HERE}" --env "TENSOR_GUESS_UMASK=$(umask)")
  [[ -z ${CACHE} ]] || RUN+=(--env "TENSOR_GUESS_CACHE=${CACHE}")
  [[ -z ${DISTRUST} ]] || RUN+=(--env "TENSOR_GUESS_DISTRUST=${DISTRUST}")
  [[ -z ${FETCHED} ]] || RUN+=(--env "TENSOR_GUESS_FETCHED=${FETCHED}")
  [[ -z ${HUB_CACHE} ]] || RUN+=(--env "TFHUB_CACHE_DIR=${HUB_CACHE}")
  for ((i = 0; i < ${#SEEN[@]}; i++)); do
    RUN+=(--env "TENSOR_GUESS_SEEN_$((++number))=${SEEN[i]}")
  done
  for name in NO_COLOR HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || RUN+=(--env "${name}")
  done
  # A terminal joins stdout and stderr, so only where the user sees both on one anyway.
  if [[ -t 0 && -t 1 && -t 2 ]]; then RUN+=(--interactive --tty); fi
}

# Prints a mount as the engine takes it.
# Usage: mount_option NUMBER
mount_option() {
  local option
  escaped "source=${SOURCES[$1]}"
  option=type=bind,${ESCAPED}
  escaped "target=${TARGETS[$1]}"
  option+=,${ESCAPED}
  [[ ${MODES[$1]} == rw ]] || option+=,readonly
  printf '%s' "${option}"
}

# Leaves a file that the program must find: an engine on another machine may have a folder of the
# same name. It has such a name as the program gives to what is only half written.
# Usage: leave_nonce FOLDER FOLDER_IN_CONTAINER
leave_nonce() {
  local name
  sweep "$1"/.tensor-guess-*.tmp
  name=.tensor-guess-$(printf '%04x' "$$" "${RANDOM}" "${RANDOM}" "${RANDOM}").tmp
  (set -o noclobber && : >"$1/${name}") 2>/dev/null || return 0
  NONCES+=("$1/${name}")
  SEEN+=("$2/${name}")
}

# Runs a command, handing signals on to it by what KILL SIGNAL does; gives back its exit code.
# STOPPED is set if there was one.
# Usage: supervise KILL COMMAND [ARGUMENT...]
supervise() {
  local status=0
  KILL=$1 SIGNALLED='' STOPPED=''
  shift
  trap 'hand_on INT' INT
  trap 'hand_on TERM' TERM
  trap 'hand_on HUP' HUP
  if [[ -t 0 && -t 1 && -t 2 ]]; then
    "$@" <&0 &
  else
    # In a process group of its own Ctrl-C does not reach the client as well: once is enough.
    set -m
    "$@" </dev/null &
    set +m
  fi
  CLIENT=$!
  wait "${CLIENT}" || status=$?
  while [[ -n ${SIGNALLED} ]]; do
    SIGNALLED='' status=0
    wait "${CLIENT}" || status=$?
  done
  trap - INT TERM HUP
  return "${status}"
}

# Usage: hand_on SIGNAL
hand_on() {
  SIGNALLED=1 STOPPED=1
  # It fails as long as the container is not there yet.
  until "${KILL}" "$1" >/dev/null 2>&1; do
    kill -0 "${CLIENT}" 2>/dev/null || return 0
    sleep 0.1
  done
}

# Usage: kill_container SIGNAL
kill_container() { "${ENGINE}" kill --signal "$1" "${NAME}"; }

# Usage: kill_client SIGNAL
kill_client() { kill -s "$1" "${CLIENT}"; }

# Says what an exit code means that the engine or the kernel gave.
# Usage: explain CODE
explain() {
  case $1 in
  125) say "${ENGINE} could not run the container (see above); TENSOR_GUESS_LAUNCHER=local does without" ;;
  132) say 'the processor refused an instruction (132): the image is for another kind of machine' ;;
  137) say "the program was killed (137), most likely out of memory; give the engine's machine more, or set TENSOR_GUESS_LAUNCHER=local" ;;
  esac
}

# Removes what was only there for the run.
clean_up() {
  local status=$? folder
  [[ ${#NONCES[@]} -eq 0 ]] || rm -f -- "${NONCES[@]}"
  [[ -z ${FETCHED} ]] || rm -rf -- "${FETCHED}"
  [[ ${status} -ne 0 && ${#MADE[@]} -gt 0 ]] || return 0
  for folder in "${MADE[@]}"; do
    rmdir -- "${folder}" 2>/dev/null || true
  done
}
