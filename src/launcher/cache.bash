# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# The folder of backbones, and of the Python environment if the clone is read-only. Sourced by
# launch.bash.

# CACHE is the folder, absolute; it need not be there.
find_cache() {
  here
  find_home
  absolute "${TENSOR_GUESS_CACHE:-${XDG_CACHE_HOME:-${HOME:-${USER_HOME}}/.cache}/tensor-guess}"
  CACHE=${ABSOLUTE}
}

# Makes the folder, which others cannot write to then. Fails if it can be neither found nor made.
make_cache() {
  find_cache
  (umask go-w && mkdir -p -- "${CACHE}") 2>/dev/null
}

# DISTRUST is why no backbone is to be taken from CACHE or kept there, as a sentence; empty: none.
check_cache() {
  DISTRUST=''
  if ! is_cache_own && ! is_cache_shared; then
    DISTRUST="no backbone is taken from $(printable "${CACHE}"): ${WHY}; set TENSOR_GUESS_CACHE to a folder of your own"
    return
  fi
  sweep "${CACHE}"/backbones/.tensor-guess-*.tmp
}

is_cache_own() {
  is_safe "${CACHE}" && is_safe "${CACHE}/backbones" && is_safe "${CACHE}/downloads"
}

is_cache_shared() {
  [[ -n ${TENSOR_GUESS_CACHE:-} ]] && is_shared "${CACHE}" backbones downloads
}

# HUB_CACHE is where tensorflow_hub keeps modules that it has unpacked; empty if that is not known,
# or not to be trusted.
find_hub_cache() {
  HUB_CACHE=''
  [[ -d ${TFHUB_CACHE_DIR:-} ]] || return 0
  absolute "${TFHUB_CACHE_DIR}"
  if is_safe "${ABSOLUTE}" || is_shared "${ABSOLUTE}"; then
    HUB_CACHE=${ABSOLUTE}
  else
    say "no module is taken from TFHUB_CACHE_DIR: ${WHY}"
  fi
}
