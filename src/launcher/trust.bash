# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# Whose folders are trusted: nothing is run or loaded from one that others own or can write to, or
# could put in its place. Sourced by launch.bash.

# Folders and links that were found safe: they are not looked at again.
SAFE=()

# Whether only root, this user, and who owns the clone (and so what is being run) can change what
# is in a folder, or put another in its place; else WHY says who can. Of a folder that is not there
# yet: the same of where it will be made.
# Usage: is_safe FOLDER
is_safe() {
  local i k path user
  [[ -n ${CLONE_OWNER} ]] || { look_at "${ROOT}" && CLONE_OWNER=${OWNER}; }
  way "$1"
  for ((i = 0; i < ${#WAY[@]}; i++)); do
    path=${WAY[i]}
    for ((k = 0; k < ${#SAFE[@]}; k++)); do
      [[ ${path} != "${SAFE[k]}" ]] || continue 2
    done
    look_at "${path}"
    case ${OWNER} in
    0 | "${EUID}" | "${CLONE_OWNER}") ;;
    *)
      read -r _ _ user _ < <(LC_ALL=C ls -ld -- "${path}") || true
      WHY="$(printable "${path}") belongs to ${user}"
      return 1
      ;;
    esac
    # In a sticky folder on the way nobody can replace what is somebody else's.
    if is_sticky && [[ ${path} != "${END}" ]]; then continue; fi
    if can_others_write; then
      WHY="others can write to $(printable "${path}") (chmod go-w)"
      return 1
    fi
    SAFE+=("${path}")
  done
}
CLONE_OWNER=''

# Whether a folder that the user has named, with what is right in it, can be shared with its owner
# and its group: whoever it belongs to got that place from root or from the user, and it is not
# everybody's. WHY stays what it was.
# Usage: is_shared FOLDER [NAME_IN_IT...]
is_shared() {
  local WHY folder
  real_folder "$1"
  is_safe "${1%/*}/" && is_safe "${REAL%/*}/" || return
  for folder in "$@"; do
    [[ ${folder} == "$1" ]] || folder=$1/${folder}
    [[ -d ${folder} ]] || continue
    look_at "${folder}/"
    ! can_all_write || return
  done
}

# MODE and OWNER are those of a folder or a link, of which the next three tell then. The options of
# ls are those that every system has.
# Usage: look_at PATH
look_at() {
  LOOKED_AT=$1
  read -r MODE _ OWNER _ < <(LC_ALL=C ls -ldn -- "$1") || true
  [[ -n ${OWNER} ]] || fail "could not look at $(printable "$1")"
}

# Whether others than its owner can write to what was looked at. A group that is called as the
# owner is the owner's alone.
can_others_write() {
  local user group
  if can_all_write; then return; fi
  [[ ${MODE} == d????w* ]] || return
  read -r _ _ user group _ < <(LC_ALL=C ls -ld -- "${LOOKED_AT}") || true
  [[ ${user} != "${group}" ]]
}

# Whether everybody can write to what was looked at.
can_all_write() { [[ ${MODE} == d???????w* ]]; }

# Whether only its owner can remove what is in what was looked at.
is_sticky() { [[ ${MODE} == ?????????[tT]* ]]; }

# WAY is every folder and link that the system passes on its way to a path, as far as it is there.
# The clone, what is above it, and what is above the user's home are left out: they are taken as
# they are. END is where the way ends.
# Usage: way PATH
way() {
  local rest=$1/ part link hops=0
  WAY=() END=''
  find_home
  while [[ -n ${rest} ]]; do
    part=${rest%%/*}
    rest=${rest#*/}
    case ${part} in
    '' | .) continue ;;
    ..)
      END=${END%/*}
      continue
      ;;
    esac
    END+=/${part}
    [[ -e ${END} || -L ${END} ]] || continue
    [[ ${ROOT}/ == "${END}"/* || ${USER_HOME} == "${END}"/* ]] || WAY+=("${END}")
    if [[ -L ${END} ]]; then
      ((++hops < 40)) || return 0
      link=$(readlink -- "${END}" && printf x)
      rest=${link%$'\nx'}/${rest}
      END=${END%/*}
      [[ ${rest} != /* ]] || END=''
    fi
  done
}

# USER_HOME is the user's home without links, as the system knows it, whatever HOME says.
find_home() {
  [[ -z ${USER_HOME} ]] || return 0
  USER_HOME=$(unset HOME && CDPATH='' cd -P -- ~ 2>/dev/null && pwd -P) || USER_HOME=/
}
USER_HOME=''
