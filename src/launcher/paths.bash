# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# Makes paths absolute, physical or printable; sweeps what was left behind. Sourced by launch.bash.

# The working folder. The container starts in the same path, so that relative paths stay as typed.
HERE=''

# Set ABSOLUTE to the absolute path.
# Usage: absolute PATH
absolute() {
  plain "${HERE}" "$1"
  ABSOLUTE=$1
  if [[ -n ${PLAIN} ]]; then
    ABSOLUTE=${PLAIN}
  elif [[ $1 != /* ]]; then
    ABSOLUTE=${HERE%/}/$1
  fi
}

# Set HERE. A name may end in a newline, which $(...) would drop.
here() {
  HERE=$(pwd -P && printf x)
  HERE=${HERE%$'\nx'}
}

# Set REAL to the physical path of a folder, and PLAIN to the path as given, tidied.
# Usage: place FOLDER
place() {
  real_folder "$1"
  plain / "$1"
}

# Set REAL to the physical path of a folder; asking for the same one again costs nothing.
# Usage: real_folder FOLDER
real_folder() {
  if [[ $1 != "${REAL_OF}" ]]; then
    REAL_OF=$1
    # A folder that cannot be entered stays as it is; the program reports it.
    REAL_IS=$(CDPATH='' cd -P -- "$1" 2>/dev/null && pwd -P && printf x) || REAL_IS=${1%/}$'\nx'
    REAL_IS=${REAL_IS%$'\nx'}
  fi
  REAL=${REAL_IS:-/}
}
REAL_OF='' REAL_IS=''

# Set PLAIN to the path, relative to BASE, without `.` and double slashes; empty if `..` follows a
# name, since that name may be a link.
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

# Print a path, escaped if it is not printable.
# Usage: printable PATH
printable() {
  if [[ $1 == *[![:print:]]* ]]; then printf '%q' "$1"; else printf '%s' "$1"; fi
}

# Remove those of the paths that a killed run left more than a day or two ago. Their names are ones
# that only this program uses.
# Usage: sweep PATH...
sweep() {
  # A pattern without a match expands to itself.
  [[ -e $1 ]] || return 0
  # BSD's find rounds days up.
  find "$@" -prune -user "${EUID}" -mtime +1 -exec rm -rf -- {} + 2>/dev/null || true
}
