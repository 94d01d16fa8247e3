# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# The cache: the folder of backbones and compiled networks, and of the Python environment if the
# clone is read-only. Sourced by launch.bash.

# Set CACHE to the folder's absolute path; it need not exist.
find_cache() {
  here
  find_home
  absolute "${TENSOR_GUESS_CACHE:-${XDG_CACHE_HOME:-${HOME:-${USER_HOME}}/.cache}/tensor-guess}"
  CACHE=${ABSOLUTE}
}

# Create the folder so that only its user can write to it. Fail if it cannot be created.
make_cache() {
  find_cache
  (umask go-w && mkdir -p -- "${CACHE}") 2>/dev/null
}

# Set DISTRUST to a sentence that says why CACHE must not be used for backbones; empty if it may be.
check_cache() {
  DISTRUST=''
  if ! is_cache_own && ! is_cache_shared; then
    DISTRUST="not using the backbones in $(printable "${CACHE}"): ${WHY}; set TENSOR_GUESS_CACHE to a folder of your own"
    return
  fi
  sweep "${CACHE}"/backbones/.tensor-guess-*.tmp
  sweep "${CACHE}"/networks/.tensor-guess-*.tmp
}

is_cache_own() {
  is_safe "${CACHE}" && is_safe "${CACHE}/backbones" && is_safe "${CACHE}/downloads" &&
    is_safe "${CACHE}/networks" && is_safe "${CACHE}/classifiers"
}

is_cache_shared() {
  [[ -n ${TENSOR_GUESS_CACHE:-} ]] && is_shared "${CACHE}" backbones downloads networks classifiers
}

# Succeed if the classifier at an address was fetched before; set CLASSIFIER to its file.
# Usage: is_kept ADDRESS
is_kept() {
  local file key
  key=$(printf '%s' "${1%%#*}" | "${SHA256[@]}" | cut -c 1-32)
  [[ $1 != *'#sha256='* ]] || set -- "$1" "${1#*#sha256=}"
  for file in "${CACHE}/classifiers/${key}"/*.pb "${CACHE}/classifiers/${key}"/*.zip; do
    if [[ -f ${file} && ${file##*/} == "${2:-}"*.* ]]; then
      CLASSIFIER=${file}
      return
    fi
  done
  return 1
}

# Set HUB_CACHE to the folder in which tensorflow_hub keeps unpacked modules; empty if it is unknown
# or not trusted.
find_hub_cache() {
  HUB_CACHE=''
  [[ -d ${TFHUB_CACHE_DIR:-} ]] || return 0
  absolute "${TFHUB_CACHE_DIR}"
  if is_safe "${ABSOLUTE}" || is_shared "${ABSOLUTE}"; then
    HUB_CACHE=${ABSOLUTE}
  else
    say "not using the modules in TFHUB_CACHE_DIR: ${WHY}"
  fi
}
