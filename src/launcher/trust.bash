# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# Decides which folders are trusted: nothing is run or loaded from one that others own, can write
# to, or could replace. Sourced by launch.bash.

# Folders and links found safe, which are not checked again.
SAFE=()

# Succeed if only root, this user and the clone's owner (whose program this is) can change what is in
# a folder, or replace it; else WHY says who can. For a folder that does not exist yet, check the
# place where it will be created.
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
    # In a sticky folder on the way, nobody can replace what belongs to someone else.
    if is_sticky && [[ ${path} != "${END}" ]]; then continue; fi
    if can_others_write; then
      WHY="others can write to $(printable "${path}") (chmod go-w)"
      return 1
    fi
    SAFE+=("${path}")
  done
}
CLONE_OWNER=''

# Succeed if a folder that the user named, and those named in it, may be shared with its owner and
# its group: the owner got the place from root or the user, and not everybody can write to it. WHY
# is left as it is.
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

# Set MODE and OWNER to those of a folder or link, for the next three functions. Every system's ls
# has these options.
# Usage: look_at PATH
look_at() {
  LOOKED_AT=$1
  read -r MODE _ OWNER _ < <(LC_ALL=C ls -ldn -- "$1") || true
  [[ -n ${OWNER} ]] || fail "could not look at $(printable "$1")"
}

# Succeed if anyone but the owner can write to what was looked at. A group with the owner's name is
# the owner's alone.
can_others_write() {
  local user group
  if can_all_write; then return; fi
  [[ ${MODE} == d????w* ]] || return
  read -r _ _ user group _ < <(LC_ALL=C ls -ld -- "${LOOKED_AT}") || true
  [[ ${user} != "${group}" ]]
}

# Succeed if everybody can write to what was looked at.
can_all_write() { [[ ${MODE} == d???????w* ]]; }

# Succeed if in the folder looked at only owners can remove what is theirs.
is_sticky() { [[ ${MODE} == ?????????[tT]* ]]; }

# Set WAY to every folder and link that the system passes on its way to a path, as far as it exists,
# and END to where the way ends. The clone, what is above it, and what is above the user's home are
# left out: they are trusted.
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

# Set USER_HOME to the physical path of the user's home as the system knows it, whatever HOME says.
find_home() {
  [[ -z ${USER_HOME} ]] || return 0
  USER_HOME=$(unset HOME && CDPATH='' cd -P -- ~ 2>/dev/null && pwd -P) || USER_HOME=/
}
USER_HOME=''
