# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# Decides what a container sees of the host: from a command line to mounts. Sourced by launch.bash.

# The arguments that the program gets.
PASSED=()
# The mounts: a folder of the host, its path in the container, and rw or ro.
SOURCES=() TARGETS=() MODES=()
# Folders created on the host, deepest first.
MADE=()
# Paths that must exist in the container; one that ends in / must not be empty.
SEEN=()
# Each is set if it holds: the command line is valid; the classifier is the built-in one; nothing
# may be downloaded; the classifier's pictures are moved, or others come to them.
COMPLETE='' BUILTIN='' OFFLINE='' MOVES=''
# The backbone named; the module used as one; the URLs of modules that tensorflow_hub's cache is to
# have; the URLs of pictures; the addresses of classifiers.
BACKBONE='' MODULE='' HUB_MODULES=() URLS=() ADDRESSES=()
# The classifier's folder, graph or shared zip.
CLASSIFIER='' HUB_CACHE=''
# Where a server listens.
PORT='' HOST_ADDRESS=''
# The camera's device, and the id of the group that may use it.
CAMERA='' CAMERA_GROUP=''

# Fill PASSED, and the mounts that it needs.
# Usage: plan [SUBCOMMAND [ARGUMENT...]]
plan() {
  local i pictures='' unsorted='' access=ro
  PASSED=("$@")
  # A command line that the program will refuse or answer with help needs nothing of the host.
  parse "$@" || return 0
  COMPLETE=1
  PASSED=("$1")
  for ((i = 0; i < ${#KINDS[@]}; i++)); do
    TYPED=${VALUES[i]}
    if is_url "${i}"; then
      check_url "${TYPED}"
      PASSED+=("${PREFIXES[i]}${TYPED}")
      continue
    fi
    case ${KINDS[i]} in
    read)
      plan_read "${TYPED}"
      [[ $1 != verify ]] || CLASSIFIER=${ABSOLUTE}
      ;;
    images)
      if [[ ${TYPED} == *://* ]]; then URLS+=("${TYPED}"); else plan_read "${TYPED}" shown; fi
      ;;
    classifier)
      case ${TYPED} in
      imagenet) BUILTIN=1 ;;
      *://*) ADDRESSES+=("${TYPED}") ;;
      *)
        # Workers on other machines read there what network to compute.
        [[ $1 != evaluate ]] || ! has scheduler || access=rw
        plan_classifier "${TYPED}" "${access}"
        ;;
      esac
      ;;
    handle)
      if is_address "${TYPED}"; then
        ADDRESSES+=("${TYPED}")
      else
        if [[ ${TYPED} == *://* ]]; then plan_hub_cache "$1"; else plan_read "${TYPED}"; fi
        is_graph "${TYPED}" || [[ $1 == fetch* || ${TYPED} != */* ]] || MODULE=${TYPED}
      fi
      ;;
    backbone) BACKBONE=${TYPED} ;;
    port) PORT=${TYPED} ;;
    host) HOST_ADDRESS=${TYPED} ;;
    offline) OFFLINE=1 ;;
    looks) pictures=1 ;;
    train)
      if has learned; then MOVES=1; fi
      plan_classifier "${TYPED}" rw
      ;;
    learned) plan_read "${TYPED}" ;;
    examined)
      # Between two mounts, a file could not be renamed.
      if has moves; then MOVES=1; fi
      plan_classifier "${TYPED}" rw
      ;;
    pictures)
      plan_read "${TYPED}"
      plan_categories "${ABSOLUTE}"
      ;;
    folder)
      if has plans; then plan_read "${TYPED}"; else plan_folder "${TYPED}"; fi
      [[ -z ${unsorted} ]] || plan_together "${unsorted}" "${TYPED}" ||
        fail "with --move and --link, a container must see SRC and DEST in one folder, and the nearest that has both, $(printable "${COMMON}"), is or contains a system folder; set TENSOR_GUESS_LAUNCHER=local" 2
      ;;
    unsorted)
      if has tags && ! has plans; then plan_taken "${TYPED}"; else plan_read "${TYPED}"; fi
      if has moves && ! has plans; then unsorted=${TYPED}; fi
      ;;
    taken)
      plan_taken "${TYPED}"
      unsorted=${TYPED}
      ;;
    origin)
      plan_taken "${TYPED}"
      # On two mounts, what was moved is copied back.
      plan_together "${unsorted}" "${TYPED}" || true
      ;;
    tasks) plan_taken "${TYPED}" ;;
    source) plan_source "${TYPED}" ;;
    form)
      [[ ${TYPED} != html ]] ||
        fail 'a page is published only if it gives the right scores in a real browser, and a container has none; set TENSOR_GUESS_LAUNCHER=local, on a machine with Chromium or Google Chrome'
      ;;
    file)
      plan_file "${TYPED}"
      # A guess that is explained shows training pictures.
      [[ $1 != guess ]] || pictures=1
      ;;
    esac
    PASSED+=("${PREFIXES[i]}${TYPED}")
  done
  # What needs the classifier's own pictures, which may be links.
  case $1 in
  export | evaluate | study) pictures=1 ;;
  esac
  [[ -z ${pictures} || -z ${CLASSIFIER} ]] || plan_categories "${CLASSIFIER}/data"
  [[ -z ${BUILTIN} || -n ${BACKBONE} ]] || default_backbone
}

# Refuse a URL that may have a secret in it: others can see what a container is started with.
# Usage: check_url URL
check_url() {
  local rest=${1#*://}
  [[ ${rest%%/*} != *[@:]* && ${rest} != *[?#]* ]] ||
    fail 'a URL with a user, a password or a query is not taken, since others could see it; set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL in the environment' 2
}

# Succeed if an argument or option of this kind is given.
# Usage: has KIND
has() {
  [[ " ${KINDS[*]:-} " == *" $1 "* ]]
}

# Set BACKBONE to the one that is used if none was asked for, which config.py alone names.
default_backbone() {
  local before='DEFAULT_BACKBONES = ("'
  BACKBONE=$(<"${ROOT}/src/tensor_guess/config.py")
  BACKBONE=${BACKBONE#*"${before}"}
  BACKBONE=${BACKBONE%%\"*}
}

# Set PORT and HOST_ADDRESS, if they were not given, to those that config.py alone names.
default_port() {
  local config before='HOST, PORT = "'
  config=$(<"${ROOT}/src/tensor_guess/config.py")
  config=${config#*"${before}"}
  HOST_ADDRESS=${HOST_ADDRESS:-${config%%\"*}}
  config=${config#*', '}
  PORT=${PORT:-${config%%$'\n'*}}
}

# Mount a path that is read. With `shown`, it is passed as typed even if its folder is a link.
# Usage: plan_read PATH [shown]
plan_read() {
  local path folder name='' at
  absolute "$1"
  path=${ABSOLUTE} folder=${ABSOLUTE}
  if [[ ! -d ${path} ]]; then
    folder=${path%/*}/ name=/${path##*/}
    # If it is missing, the program says so. A folder that cannot be entered is mounted, so that the
    # program can say that.
    [[ -e ${path} || (-d ${folder} && ! -x ${folder}) ]] || return 0
  fi
  place "${folder}"
  at=${REAL}
  if [[ ${PLAIN} != "${REAL}" ]]; then
    if [[ -n ${2:-} && -n ${PLAIN} && ! -L ${path} ]]; then
      at=${PLAIN}
    else
      TYPED=${REAL%/}${name}
    fi
  fi
  add_mount ro "${REAL}" "${at}"
  expect "${path}" "${at%/}${name}"
  follow "${REAL%/}${name}"
}

# Mount a folder or a video; of a camera, note the device.
# Usage: plan_source PATH
plan_source() {
  if [[ ! -c $1 ]]; then
    [[ $1 == /dev/* ]] || plan_read "$1" # if there is no such camera, the program says so
    return
  fi
  absolute "$1"
  CAMERA=${ABSOLUTE}
  read -r _ _ _ CAMERA_GROUP _ < <(LC_ALL=C ls -lnL -- "${CAMERA}") || true
}

# Mount a classifier. Only links to its pictures are followed: it may come from a stranger, who must
# not choose what the program sees of this machine.
# Usage: plan_classifier TF_FILES ro|rw
plan_classifier() {
  local folder
  plan_read "$1"
  CLASSIFIER=${ABSOLUTE}
  [[ $2 == rw && -d ${ABSOLUTE} ]] || return 0
  place "${ABSOLUTE}"
  folder=${REAL%/}
  add_mount rw "${REAL}"
  if [[ -d ${folder}/data ]]; then
    # Otherwise training only reads pictures.
    [[ -n ${MOVES} || -L ${folder}/data ]] || add_mount ro "${folder}/data"
    plan_categories "${folder}/data"
  fi
}

# Succeed if a handle is the address of a classifier and not of a module.
# Usage: is_address HANDLE
is_address() {
  local path=${1%%[?#]*}
  [[ ${path} == *://*/*.pb || ${path} == *://*/*.zip ]]
}

# Succeed if a handle is a frozen graph, or a classifier's zip or folder: none is code to be run.
# Usage: is_graph HANDLE
is_graph() {
  [[ $1 != *.pb && $1 != *.zip ]] || return 0
  [[ ! -e $1/saved_model.pb ]] || return 1
  set -- "$1"/*.pb
  [[ -e $1 ]]
}

# Mount what tensorflow_hub has unpacked, for a handle that is a URL. What loads a module must not be
# able to change other modules, so only what loads none can write there.
# Usage: plan_hub_cache SUBCOMMAND
plan_hub_cache() {
  find_hub_cache
  [[ -n ${HUB_CACHE} ]] || return 0
  place "${HUB_CACHE}"
  HUB_CACHE=${REAL}
  case $1 in
  fetch-modules) add_mount rw "${HUB_CACHE}" ;;
  *) add_mount ro "${HUB_CACHE}" ;;
  esac
  [[ $1 != fetch || ! -w ${HUB_CACHE} ]] || HUB_MODULES+=("${TYPED}")
}

# Mount what a folder of categories, or a category, links to.
# Usage: plan_categories FOLDER
plan_categories() {
  local entry
  follow "$1"
  for entry in "$1"/*; do
    if [[ -L ${entry} && -d ${entry} ]]; then follow "${entry}"; fi
  done
}

# Mount a folder that is written to. It is created here, since an engine would create it as root.
# Usage: plan_folder PATH
plan_folder() {
  local missing=()
  absolute "$1"
  if [[ -e ${ABSOLUTE} && ! -d ${ABSOLUTE} ]]; then
    plan_read "$1"
    return
  fi
  local path=${ABSOLUTE%/}
  while [[ ! -e ${path}/ ]]; do
    missing+=("${path}")
    path=${path%/*}
  done
  place "${path}/"
  refuse "${REAL%/}${ABSOLUTE#"${path}"}"
  ((${#missing[@]} == 0)) || MADE+=("${missing[@]}")
  if ! mkdir -p -- "${ABSOLUTE}" 2>/dev/null; then
    # The program tries too, and says why it cannot.
    add_mount rw "${REAL}"
    return
  fi
  place "${ABSOLUTE}"
  [[ ${PLAIN} == "${REAL}" ]] || TYPED=${REAL}
  add_mount rw "${REAL}"
}

# Mount a folder that is there and is written to.
# Usage: plan_taken PATH
plan_taken() {
  plan_read "$1"
  [[ -d ${ABSOLUTE} ]] || return 0
  place "${ABSOLUTE}"
  add_mount rw "${REAL}"
}

# Mount the nearest folder that has both, to be written to: between two mounts, no file can be moved
# and none can get another name. Fail if it is, or contains, a system folder.
# Usage: plan_together FOLDER OTHER
plan_together() {
  local one i
  absolute "$1"
  place "${ABSOLUTE}"
  one=${REAL%/}/
  absolute "$2"
  place "${ABSOLUTE}"
  COMMON=${REAL%/}
  while [[ ${one} != "${COMMON}"/* ]]; do COMMON=${COMMON%/*}; done
  COMMON=${COMMON:-/}
  ! is_system "${COMMON}" || return 1
  add_mount rw "${COMMON}"
  # Mounts that have one of them would come between.
  for ((i = 0; i < ${#TARGETS[@]}; i++)); do
    if [[ ${TARGETS[i]} == "${COMMON%/}"/* && (${one} == "${TARGETS[i]}"/* || ${REAL}/ == "${TARGETS[i]}"/*) ]]; then
      MODES[i]=rw
    fi
  done
}
COMMON=''

# Mount the folder of a file that is written, since it is first written under a temporary name.
# Usage: plan_file PATH
plan_file() {
  absolute "$1"
  local folder=${ABSOLUTE%/*}/
  [[ -d ${folder} ]] || return 0
  place "${folder}"
  [[ ${PLAIN} == "${REAL}" ]] || TYPED=${REAL%/}/${ABSOLUTE##*/}
  add_mount rw "${REAL}"
}

# Mount, read-only, each step from a link to its target.
# Usage: follow PATH
follow() {
  local path=$1 link hops=0
  while [[ -L ${path} && -e ${path} ]] && ((++hops < 40)); do
    link=$(readlink -- "${path}" && printf x)
    real_folder "${path%/*}/"
    plain "${REAL}" "${link%$'\nx'}"
    [[ -n ${PLAIN} ]] || return 0
    path=${PLAIN}
    if [[ -d ${path} ]]; then
      real_folder "${path}"
      add_mount ro "${REAL}" "${path}"
      return
    fi
    real_folder "${path%/*}/"
    link=${path%/*}
    add_mount ro "${REAL}" "${link:-/}"
  done
}

# Usage: add_mount ro|rw SOURCE [TARGET]
add_mount() {
  local target=${3:-$2} i
  refuse "$2"
  refuse "${target}"
  for ((i = 0; i < ${#TARGETS[@]}; i++)); do
    if [[ ${TARGETS[i]} == "${target}" ]]; then
      [[ $1 == ro ]] || MODES[i]=rw
      return
    fi
  done
  SOURCES+=("$2")
  TARGETS+=("${target}")
  MODES+=("$1")
}

# Fail if a mount would show a system folder, or hide one of the container's own.
# Usage: refuse PATH
refuse() {
  if is_system "$1"; then
    fail "$(printable "$1") is or contains a system folder, which is never shown to a container; use a folder of your own" 2
  fi
}

# Usage: is_system PATH
is_system() {
  case $1/ in
  # People's folders inside system folders: the first pattern that matches decides.
  /run/media/?* | /run/user/?* | /var/lib/?*/?* | /var/cache/?* | /var/folders/?* | /var/home/?*) return 1 ;;
  /var/media/?* | /var/mnt/?* | /var/opt/?* | /var/tmp/* | /var/www/?* | /private/tmp/*) return 1 ;;
  /private/var/folders/?* | /private/var/tmp/*) return 1 ;;
  // | /bin/* | /boot/* | /dev/* | /etc/* | /lib/* | /lib32/* | /lib64/* | /libx32/* | /proc/* | \
    /run/* | /sbin/* | /sys/* | /usr/* | /var/* | /Library/* | /System/* | /private/* | /opt/ | \
    /opt/tensor-guess/ | /opt/tensor-guess/backbones/* | /opt/tensor-guess/src/* | \
    /opt/tensor-guess/venv/*) ;;
  *) return 1 ;;
  esac
}

# Note what the program must find in the container; one file is enough for each folder.
# Usage: expect PATH PATH_IN_CONTAINER
expect() {
  if [[ ! -d $1 ]]; then
    [[ ${1%/*} == "${EXPECTED}" ]] || SEEN+=("$2")
    EXPECTED=${1%/*}
  elif is_filled "$1"; then
    SEEN+=("$2/")
  fi
}
EXPECTED=''

# Succeed if a folder is not empty; quick even with a million files.
# Usage: is_filled FOLDER
is_filled() {
  local count
  # The first two are `.` and `..`; the names are only counted.
  # shellcheck disable=SC2012
  count=$(ls -f -- "$1" 2>/dev/null | head -n 3 | wc -l) || true
  ((count > 2))
}

# Succeed if the nearest mount around this one already shows it, in the same mode.
# Usage: is_shown NUMBER
is_shown() {
  local i nearest=''
  [[ ${SOURCES[$1]} == "${TARGETS[$1]}" ]] || return
  for ((i = 0; i < ${#TARGETS[@]}; i++)); do
    if [[ ${TARGETS[$1]} == "${TARGETS[i]}"/* ]]; then
      [[ -n ${nearest} && ${#TARGETS[i]} -lt ${#TARGETS[nearest]} ]] || nearest=${i}
    fi
  done
  [[ -n ${nearest} && ${MODES[nearest]} == "${MODES[$1]}" ]] &&
    [[ ${SOURCES[nearest]} == "${TARGETS[nearest]}" ]]
}

# Succeed if a mount shows a folder of the host at its own path.
# Usage: is_mounted FOLDER
is_mounted() {
  local i
  for ((i = 0; i < ${#TARGETS[@]}; i++)); do
    [[ $1/ != "${TARGETS[i]%/}"/* ]] || return 0
  done
  return 1
}

# Set ESCAPED to a text as a field of a CSV record, the form that --mount takes.
# Usage: escaped TEXT
escaped() {
  # In bash 3.2 a quote in the replacement would keep its backslash.
  local quote='"'
  ESCAPED=${quote}${1//${quote}/${quote}${quote}}${quote}
}
