# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# Paths: absolute, without links, printable; what was left at them. Sourced by launch.bash.

# Where the user is; the container starts at the same path, so that relative paths stay as typed.
HERE=''

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

# Removes those of the paths, of names that only we give, that a killed run left a day or two ago.
# Usage: sweep PATH...
sweep() {
  # What a pattern gives that nothing fits is the pattern itself.
  [[ -e $1 ]] || return 0
  # BSD's find rounds days up.
  find "$@" -prune -user "${EUID}" -mtime +1 -exec rm -rf -- {} + 2>/dev/null || true
}
