# shellcheck shell=bash
# Runs the program in a container. Sourced by launch.bash.

# Run the program and exit with its code.
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
  [[ ${VOICE} != --verbose ]] || say "running$(printf ' %q' "${RUN[@]}")"
  supervise kill_container "${RUN[@]}" || status=$?
  explain "${status}"
  exit "${status}"
}

# Refuse names that are not valid UTF-8: an engine would replace their bytes.
# Usage: check_names [NAME...]
check_names() {
  local LC_ALL=C
  if [[ $* == *[!$'\t\n'\ -~]* ]] && command -v iconv >/dev/null; then
    printf '%s' "$*" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1 ||
      fail 'a name that is not valid UTF-8 cannot be passed to a container; rename it, pass the folder it is in, or set TENSOR_GUESS_LAUNCHER=local' 2
  fi
}

# Create the cache here, so that it belongs to the user, and mount it. The program works without.
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
  train | heap | fetch | fetch-classifier | fetch-modules) add_mount rw "${CACHE}" ;;
  *) add_mount ro "${CACHE}" ;;
  esac
}

# Download what this run needs. Guessing has no internet access, and a module is someone else's
# code, so each download is a separate run that sees neither pictures nor classifiers.
fetch_first() {
  local address
  for address in ${ADDRESSES[@]+"${ADDRESSES[@]}"}; do
    # Without a cache, the program says why there is none.
    if [[ -n ${CACHE} && -z ${OFFLINE} ]] && ! is_kept "${address}"; then
      apart fetch-classifier -- "${address}" || exit $?
      is_kept "${address}" || true
    fi
  done
  [[ ${#HUB_MODULES[@]} -eq 0 ]] || apart fetch-modules -- "${HUB_MODULES[@]}" || exit $?
  [[ -z ${MODULE} ]] || apart fetch -- "${MODULE}" || exit $?
  if [[ ${#URLS[@]} -gt 0 ]]; then
    make_fetched
    # A failed download has been reported; the program skips that picture.
    apart fetch-images -- "${FETCHED}" "${URLS[@]}" || true
    add_mount ro "${FETCHED}"
  fi
  [[ -z ${BUILTIN} || -n ${OFFLINE} || -n ${DISTRUST} ]] || fetch_builtin
}

# Set FETCHED to a new temporary folder for downloaded pictures.
make_fetched() {
  absolute "${TMPDIR:-/tmp}"
  local prefix=${ABSOLUTE%/}/.tensor-guess-fetched.
  sweep "${prefix}"????????
  FETCHED=$(mktemp -d "${prefix}XXXXXXXX") ||
    fail "could not create a folder for pictures in $(printable "${ABSOLUTE}"); set TMPDIR to a writable folder"
  real_folder "${FETCHED}"
  FETCHED=${REAL}
}

# Run a subcommand in a container of its own and return its exit code; if a signal stopped it, exit.
# Usage: apart SUBCOMMAND [ARGUMENT...]
apart() {
  local status=0
  TENSOR_GUESS_LAUNCHER=${ENGINE} supervise kill_client \
    "${ROOT}/tensor-guess" "$1" ${VOICE:+"${VOICE}"} "${@:2}" >/dev/null ||
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
  # On failure it says why, and the program says what it uses instead.
  apart fetch -- "${BACKBONE}" || true
}

# Add to RUN the options that confine the program; docs/design.md gives the reasons.
# Usage: confine SUBCOMMAND
confine() {
  local group network=none
  # A scheduler is elsewhere, and connects to its workers too.
  if has scheduler; then network=host; elif needs_stores; then network=''; fi
  RUN+=(--read-only --cap-drop ALL --security-opt no-new-privileges)
  # Podman would mount writable folders over /run and /var/tmp.
  [[ ${ENGINE} != podman ]] || RUN+=(--read-only-tmpfs=false)
  # With SELinux, the alternative would be to relabel people's folders.
  RUN+=(--security-opt label=disable)
  if has_init; then RUN+=(--init); fi
  if can_limit pids; then RUN+=(--pids-limit 256); fi
  case $1 in
  guess | classify-dir | collect-faces | evaluate | study | inspect | export | share | verify | merge)
    [[ -z ${network} ]] || RUN+=(--network "${network}")
    # Each worker needs as much again.
    if can_limit memory && ! has many; then RUN+=(--memory "$(memory "$1")"); fi
    ;;
  train | worker) [[ ${network} != host ]] || RUN+=(--network "${network}") ;;
  doctor | undo) RUN+=(--network none) ;;
  serve)
    publish
    if can_limit memory; then RUN+=(--memory "$(memory "$1")"); fi
    ;;
  esac
  [[ -z ${CAMERA} ]] || RUN+=(--device "${CAMERA}")
  # In rootless Docker, root is this user.
  [[ -z ${ROOTLESS} || ${ENGINE} != docker ]] || return 0
  RUN+=(--user "$(id -u):$(id -g)")
  if [[ -n ${ROOTLESS} ]]; then
    RUN+=(--userns keep-id)
    [[ ${LIMITS} != *crun* ]] || RUN+=(--group-add keep-groups)
    return
  fi
  [[ -z ${REMAPPED} ]] || RUN+=(--userns host)
  for group in $(id -G) ${CAMERA_GROUP}; do
    [[ ${group} == "$(id -g)" ]] || RUN+=(--group-add "${group}")
  done
}

# Add to RUN the port of a server, and no other network; none for what the program will refuse. The
# program itself gives up connecting to others: an engine publishes no port of a network without them.
publish() {
  default_port
  local host=${HOST_ADDRESS}
  [[ ${host} != localhost ]] || host=127.0.0.1
  if [[ -z ${COMPLETE} || ! ${PORT} =~ ^[0-9]{1,5}$ || ! ${host} =~ ^[0-9A-Fa-f.:]+$ ]]; then
    RUN+=(--network none)
    return
  fi
  [[ ${host} != *:* ]] || host=[${host}]
  RUN+=(--publish "${host}:${PORT}:${PORT}" --env TENSOR_GUESS_PUBLISHED=1)
}

# Print the memory limit: about five times the graph, which is half a gigabyte for VGG16. The
# converters of other runtimes need fifty times the graph.
# Usage: memory SUBCOMMAND
memory() {
  local graph
  if [[ $1 == export ]]; then
    printf '8g'
    return
  elif [[ $1 == merge ]]; then # several, one after another, and their bottlenecks together
    printf '4g'
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

# Succeed if the engine can start an init; Podman's is a separate package.
has_init() {
  [[ ${ENGINE} == docker ]] || command -v catatonit >/dev/null ||
    [[ -x /usr/libexec/podman/catatonit || -x /usr/lib/podman/catatonit ]]
}

# Add to RUN the mounts, and the variables that the program needs.
show_folders() {
  local i scratch=/tmp name number=0
  for ((i = 0; i < ${#TARGETS[@]}; i++)); do
    is_shown "${i}" || RUN+=(--mount "$(mount_option "${i}")")
    [[ ${MODES[i]} == ro ]] || leave_nonce "${SOURCES[i]}" "${TARGETS[i]}"
    # The user's own /tmp is mounted here, so the scratch folder goes elsewhere.
    [[ ${TARGETS[i]} != /tmp ]] || scratch=/run/tensor-guess
  done
  RUN+=(--tmpfs "${scratch}" --env "HOME=${scratch}" --env "TMPDIR=${scratch}")
  # Docker creates a working folder that is not mounted; Podman requires it to exist.
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
  for name in NO_COLOR HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy \
    npm_config_registry; do
    [[ -z ${!name:-} ]] || RUN+=(--env "${name}")
  done
  # Who asks a store is said by these only, and to nobody else.
  if needs_stores; then
    for name in AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_ENDPOINT_URL \
      AWS_REGION AWS_DEFAULT_REGION; do
      [[ -z ${!name:-} ]] || RUN+=(--env "${name}")
    done
  fi
  # A terminal merges stdout and stderr: only if the user sees both on one anyway.
  if [[ -t 0 && -t 1 && -t 2 ]]; then RUN+=(--interactive --tty); fi
}

# Print a mount in the form that --mount takes.
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

# Leave a file that the program must find: an engine on another machine may have a folder of the
# same name. The file is named like the program's own unfinished files.
# Usage: leave_nonce FOLDER FOLDER_IN_CONTAINER
leave_nonce() {
  local name
  sweep "$1"/.tensor-guess-*.tmp
  name=.tensor-guess-$(printf '%04x' "$$" "${RANDOM}" "${RANDOM}" "${RANDOM}").tmp
  (set -o noclobber && : >"$1/${name}") 2>/dev/null || return 0
  NONCES+=("$1/${name}")
  SEEN+=("$2/${name}")
}

# Run a command and return its exit code. Signals are passed on by calling KILL SIGNAL; STOPPED is
# set if there was one.
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
    # In its own process group the client does not get Ctrl-C a second time.
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
  # It fails until the container exists.
  until "${KILL}" "$1" >/dev/null 2>&1; do
    kill -0 "${CLIENT}" 2>/dev/null || return 0
    sleep 0.1
  done
}

# Usage: kill_container SIGNAL
kill_container() { "${ENGINE}" kill --signal "$1" "${NAME}"; }

# Usage: kill_client SIGNAL
kill_client() { kill -s "$1" "${CLIENT}"; }

# Explain an exit code that comes from the engine or the kernel.
# Usage: explain CODE
explain() {
  case $1 in
  125) say "${ENGINE} could not run the container (see above); TENSOR_GUESS_LAUNCHER=local runs without one" ;;
  132) say 'illegal instruction (132): the image was built for another kind of machine' ;;
  137) say "the program was killed (137), most likely out of memory; give the container engine more, or set TENSOR_GUESS_LAUNCHER=local" ;;
  esac
}

# Remove what existed only for this run.
clean_up() {
  local status=$? folder
  [[ ${#NONCES[@]} -eq 0 ]] || rm -f -- "${NONCES[@]}"
  [[ -z ${FETCHED} ]] || rm -rf -- "${FETCHED}"
  [[ ${status} -ne 0 && ${#MADE[@]} -gt 0 ]] || return 0
  for folder in "${MADE[@]}"; do
    rmdir -- "${folder}" 2>/dev/null || true
  done
}
