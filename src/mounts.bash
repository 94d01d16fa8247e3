# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# What of the host a container gets to see: from a command line to mounts. Sourced by launch.bash.

# Every argument and option of every subcommand (tests/test_launch.py compares it with the CLI):
#   read        a path that is only read; its folder is mounted
#   images      the same, and its name as it was typed is printed with the results
#   classifier  a classifier's folder or a graph, or the word `imagenet`; only read
#   train       a classifier's folder that is written to
#   pictures    a folder of categories, which may be links
#   folder      a folder that is written to, and made where it is not there
#   file        a file that is written
#   value, flag no path: the option takes a value, or none
# A last argument that ends in ... may come again and again.
COMMANDS='
train TF_FILES train
train --image-dir pictures
train --output-graph file
train --output-labels file
train --bottleneck-dir folder
train --summaries-dir folder
train --intermediate-output-graphs-dir folder
train --steps value
train --how-many-training-steps value
train --learning-rate value
train --train-batch-size value
train --validation-batch-size value
train --test-batch-size value
train --testing-percentage value
train --validation-percentage value
train --eval-step-interval value
train --seed value
train --backbone value
train --precision value
train --final-tensor-name value
train --offline flag
train --intermediate-store-frequency value
train --print-misclassified-test-images flag
train --model-dir value
train --saved-model-dir value
train --checkpoint-path value
train --logging-verbosity value
train --flip-left-right flag
train --random-crop value
train --random-scale value
train --random-brightness value
guess TF_FILES classifier
guess IMAGE... images
guess --json flag
classify-dir TF_FILES classifier
classify-dir SRC read
classify-dir DEST folder
fetch BACKBONE... value
'

# The command line, taken apart: what each part is, what stands before its value, its value.
KINDS=() PREFIXES=() VALUES=()
# The program's arguments, as it gets them.
PASSED=()
# The mounts: each folder of the host, the path it gets in the container, and rw or ro.
SOURCES=() TARGETS=() MODES=()
# Folders that were made on the host, deepest first.
MADE=()
# What the program must find in the container; with a / at the end: and not empty.
SEEN=()
# Where the user is; the container starts at the same path, so that relative paths stay as typed.
HERE=''

# Fills PASSED, and the mounts that it needs.
# Usage: plan [SUBCOMMAND [ARGUMENT...]]
plan() {
  local i
  PASSED=("$@")
  here
  # What the program will refuse, or only answer with help, needs nothing of the host.
  parse "$@" || return 0
  PASSED=("$1")
  for ((i = 0; i < ${#KINDS[@]}; i++)); do
    TYPED=${VALUES[i]}
    case ${KINDS[i]} in
    read) plan_read "${TYPED}" ;;
    images) plan_read "${TYPED}" shown ;;
    classifier) [[ ${TYPED} == imagenet ]] || plan_classifier "${TYPED}" ro ;;
    train) plan_classifier "${TYPED}" rw ;;
    pictures)
      plan_read "${TYPED}"
      plan_categories "${ABSOLUTE}"
      ;;
    folder) plan_folder "${TYPED}" ;;
    file) plan_file "${TYPED}" ;;
    esac
    PASSED+=("${PREFIXES[i]}${TYPED}")
  done
}

# Takes a command line apart, as the program will; fails where the program will refuse it.
# Usage: parse SUBCOMMAND [ARGUMENT...]
parse() {
  local command=${1:-} name options=1 positional=0
  [[ ${COMMANDS} == *$'\n'"${command} "* ]] || return 1
  shift
  while (($#)); do
    name=${1%%=*}
    if [[ -n ${options} && $1 == -- ]]; then
      options=''
      item flag '' --
    elif [[ -z ${options} || $1 != -?* ]]; then
      kind_of_positional "${command}" "$((++positional))" || return 1
      item "${KIND}" '' "$1"
    else
      kind_of "${command} ${name//_/-}" || return 1
      if [[ $1 == *=* ]]; then
        item "${KIND}" "${name}=" "${1#*=}"
      else
        item flag '' "$1"
        if [[ ${KIND} != flag ]]; then
          (($# > 1)) || return 1
          item "${KIND}" '' "$2"
          shift
        fi
      fi
    fi
    shift
  done
}

# Usage: item KIND PREFIX VALUE
item() {
  KINDS+=("$1")
  PREFIXES+=("$2")
  VALUES+=("$3")
}

# KIND is that of the row that starts so.
# Usage: kind_of "SUBCOMMAND NAME"
kind_of() {
  local rest=${COMMANDS#*$'\n'"$1 "}
  KIND=${rest%%$'\n'*}
  [[ ${rest} != "${COMMANDS}" ]]
}

# Usage: kind_of_positional SUBCOMMAND NUMBER
kind_of_positional() {
  local command name kind number=0
  while read -r command name kind; do
    if [[ ${command} == "$1" && ${name} != --* ]]; then
      KIND=${kind}
      ((++number < $2)) || return 0
      [[ ${name} != *... ]] || return 0
    fi
  done <<<"${COMMANDS}"
  return 1
}

# A path that is read. With `shown`, it is passed as typed even where a link leads to its folder.
# Usage: plan_read PATH [shown]
plan_read() {
  local path folder name='' at
  absolute "$1"
  path=${ABSOLUTE} folder=${ABSOLUTE}
  if [[ ! -d ${path} ]]; then
    folder=${path%/*}/ name=/${path##*/}
    # The program says that it is not there; or that its folder may not be entered.
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
  follow "${REAL%/}${name}" ro
}

# Usage: plan_classifier TF_FILES ro|rw
plan_classifier() {
  local folder name
  plan_read "$1"
  [[ -d ${ABSOLUTE} ]] || return 0
  place "${ABSOLUTE}"
  folder=${REAL%/}
  for name in retrained_graph.pb retrained_labels.txt; do
    follow "${folder}/${name}" ro
  done
  [[ $2 == rw ]] || return 0
  add_mount rw "${REAL}"
  follow "${folder}/bottlenecks" rw
  if [[ -d ${folder}/data ]]; then
    # Training only reads pictures.
    [[ -L ${folder}/data ]] || add_mount ro "${folder}/data"
    plan_categories "${folder}/data"
  fi
}

# A folder of categories is there; it and they may be links.
# Usage: plan_categories FOLDER
plan_categories() {
  local entry
  follow "$1" ro
  for entry in "$1"/*; do
    if [[ -L ${entry} && -d ${entry} ]]; then follow "${entry}" ro; fi
  done
}

# A folder that is written to; made on the host, as an engine would make it as root.
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
    # The program tries in its turn, and says why not.
    add_mount rw "${REAL}"
    return
  fi
  place "${ABSOLUTE}"
  [[ ${PLAIN} == "${REAL}" ]] || TYPED=${REAL}
  add_mount rw "${REAL}"
}

# A file that is written: under a temporary name first, so its folder is needed.
# Usage: plan_file PATH
plan_file() {
  absolute "$1"
  local folder=${ABSOLUTE%/*}/
  [[ -d ${folder} ]] || return 0
  place "${folder}"
  [[ ${PLAIN} == "${REAL}" ]] || TYPED=${REAL%/}/${ABSOLUTE##*/}
  add_mount rw "${REAL}"
}

# Mounts what a link leads to, link by link, where it leads.
# Usage: follow PATH ro|rw
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
      add_mount "$2" "${REAL}" "${path}"
      return
    fi
    real_folder "${path%/*}/"
    link=${path%/*}
    add_mount "$2" "${REAL}" "${link:-/}"
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

# Ends the run where a mount would show a system's folder, or hide the container's own.
# Usage: refuse PATH
refuse() {
  case $1/ in
  # People's folders within the system's: the first pattern that fits counts.
  /run/media/?* | /run/user/?* | /var/lib/?*/?* | /var/cache/?* | /var/folders/?* | /var/home/?*) ;;
  /var/media/?* | /var/mnt/?* | /var/opt/?* | /var/tmp/* | /var/www/?* | /private/tmp/*) ;;
  /private/var/folders/?* | /private/var/tmp/*) ;;
  // | /bin/* | /boot/* | /dev/* | /etc/* | /lib/* | /lib32/* | /lib64/* | /libx32/* | /proc/* | \
    /run/* | /sbin/* | /sys/* | /usr/* | /var/* | /Library/* | /System/* | /private/* | /opt/ | \
    /opt/tensor-guess/ | /opt/tensor-guess/backbones/* | /opt/tensor-guess/src/* | \
    /opt/tensor-guess/venv/*)
    fail "$(printable "$1") is or holds a system's folder, which no container gets to see; use a folder of your own" 2
    ;;
  esac
}

# Says what the program must find in the container; one file stands for its folder.
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

# Whether there is anything in a folder, even of a million. Usage: is_filled FOLDER
is_filled() {
  local count
  # The first two are `.` and `..`; names are only counted.
  # shellcheck disable=SC2012
  count=$(ls -f -- "$1" 2>/dev/null | head -n 3 | wc -l) || true
  ((count > 2))
}

# ABSOLUTE is the path, absolute. Usage: absolute PATH
absolute() {
  plain "${HERE}" "$1"
  ABSOLUTE=$1
  if [[ -n ${PLAIN} ]]; then
    ABSOLUTE=${PLAIN}
  elif [[ $1 != /* ]]; then
    ABSOLUTE=${HERE%/}/$1
  fi
}

# HERE is the working folder. A name may end in a newline, which $(...) would drop.
here() {
  HERE=$(pwd -P && printf x)
  HERE=${HERE%$'\nx'}
}

# REAL is the physical path of a folder, PLAIN the one it was given as. Usage: place FOLDER
place() {
  real_folder "$1"
  plain / "$1"
}

# REAL is the physical path of a folder; asked again for the same one, it costs nothing.
# Usage: real_folder FOLDER
real_folder() {
  if [[ $1 != "${REAL_OF}" ]]; then
    REAL_OF=$1
    # One that may not be entered stays as it is; the program says so.
    REAL_IS=$(CDPATH='' cd -P -- "$1" 2>/dev/null && pwd -P && printf x) || REAL_IS=${1%/}$'\nx'
    REAL_IS=${REAL_IS%$'\nx'}
  fi
  REAL=${REAL_IS:-/}
}
REAL_OF='' REAL_IS=''

# PLAIN is the path from BASE on, without `.` and doubled slashes; empty where `..` comes after a
# name, since that may be a link.
# Usage: plain BASE PATH
plain() {
  local rest=$2/ part named=''
  PLAIN=${1%/}
  [[ $2 != /* ]] || PLAIN=''
  while [[ -n ${rest} ]]; do
    part=${rest%%/*}
    rest=${rest#*/}
    case ${part} in
    '' | .) ;;
    ..)
      if [[ -n ${named} ]]; then
        PLAIN=''
        return
      fi
      PLAIN=${PLAIN%/*}
      ;;
    *)
      named=1
      PLAIN+=/${part}
      ;;
    esac
  done
  PLAIN=${PLAIN:-/}
}

# Prints a path, escaped where it is not printable. Usage: printable PATH
printable() {
  if [[ $1 == *[![:print:]]* ]]; then printf '%q' "$1"; else printf '%s' "$1"; fi
}

# Whether the nearest mount around another already shows it as it should be.
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

# Usage: escaped TEXT; ESCAPED is the text as a field of a CSV record, which --mount takes.
escaped() {
  # In bash 3.2 a quote in the replacement would keep its backslash.
  local quote='"'
  ESCAPED=${quote}${1//${quote}/${quote}${quote}}${quote}
}
