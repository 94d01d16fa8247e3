# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# Takes the program's command lines apart, to find the paths in them. Sourced by launch.bash.

# Every argument and option, below the subcommands that have it (tests/launcher/test_commands.py
# compares this with the CLI). The kinds:
#   read        a path that is only read; its folder is mounted
#   images      the same, but printed with the results as it was typed
#   classifier  a classifier's folder or a graph, or the word `imagenet`; only read
#   handle      a path that is read, or a URL, or the name of a backbone
#   train       a classifier's folder that is written to
#   examined    the same, with pictures that may be moved inside it
#   learned     a folder that is read, and whose pictures may come to those of the classifier
#   pictures    a folder of categories, which may be links; this and the three kinds that say so
#               may also be the URL of a folder in an object store
#   folder      a folder that is written to; created if it is missing; or a URL
#   file        a file that is written, or a folder that does not exist yet
#   backbone    the name of a backbone; no path
#   offline     no path: the option itself, which forbids every download
#   moves       no path: the option itself, with which pictures are moved or linked
#   unsorted    a folder that is read; with one that `moves`, pictures leave it for the next one;
#               or a URL
#   tags        no path: the option itself, with which the `unsorted` folder is written to
#   taken       a folder that is written to, and is there
#   origin      a folder that pictures of the one before may go back to
#   plans       no path: the option itself, with which nothing is written
#   looks       no path: the option itself, for which the classifier's pictures are read
#   source      a folder or a video, which is read, or a camera
#   face        no path: the option itself, which needs the packages for faces and videos
#   every       no path: an option with a value, which needs them
#   form        no path: an option with a format that is written
#   port, host  no path: where a server listens, which is published
#   scheduler   no path: the address of a scheduler, which needs those for many machines
#   many        no path: an option with a value, which needs them
#   tasks       a folder that a scheduler's tasks may write to, and is there; or a URL
#   flag, value no path: an option without and with a value
# The options of VOICES, which every subcommand has, are of the kind `voice`.
# An argument that ends in ... may be repeated; at most one comes after it.
COMMANDS='
train
  TF_FILES train
  --image-dir pictures
  --output-graph file
  --output-labels file
  --bottleneck-dir folder
  --summaries-dir folder
  --intermediate-output-graphs-dir folder
  --steps value
  --how-many-training-steps value
  --epochs value
  --learning-rate value
  --head value
  --dropout value
  --train-batch-size value
  --validation-batch-size value
  --test-batch-size value
  --testing-percentage value
  --validation-percentage value
  --eval-step-interval value
  --seed value
  --backbone handle
  --architecture handle
  --tfhub-module handle
  --from handle
  --bottleneck-tensor-name value
  --precision value
  --fit value
  --final-tensor-name value
  --intermediate-store-frequency value
  --print-misclassified-test-images flag
  --report flag
  --no-report flag
  --model-dir value
  --saved-model-dir value
  --checkpoint-path value
  --logging-verbosity value
  --augment flag
  --flip-left-right flag
  --random-crop value
  --random-scale value
  --random-brightness value
  --rotation value
  --shear value
  --zoom value
  --shift value
  --versions value
  --fine-tune value
  --fine-tune-epochs value
  --fine-tune-rate value
  --auto flag
  --time-budget value
  --learn learned
train,classify-dir,evaluate
  --scheduler scheduler
  --workers many
train,classify-dir,evaluate,worker
  --tls read
train,guess,classify-dir,evaluate,study,heap,serve
  --offline offline
guess,classify-dir,evaluate,study,inspect,export,share,serve
  TF_FILES classifier
  --labels read
guess,classify-dir,evaluate,study,inspect,export,serve
  --graph classifier
  --input-height value
  --input-width value
  --input-mean value
  --input-std value
  --input-layer value
  --output-layer value
guess,classify-dir,serve
  --only value
  --min-score value
  --unknown flag
  --both flag
guess,classify-dir
  --face face
  --detector value
guess,classify-dir,evaluate,study,serve
  --precision value
  --backbone backbone
guess,classify-dir,evaluate,inspect,backbones,doctor
  --json flag
inspect
  --layers flag
doctor
  TF_FILES examined
  PICTURE... read
  --fix moves
  --undo moves
  --not-duplicates flag
guess
  IMAGE... images
  --image images
  --explain file
  --every every
  --num-top-predictions value
  --top value
classify-dir
  SRC unsorted
  DEST folder
  --tag tags
  --move moves
  --link moves
  --symlink flag
  --layout value
  --keep-tree flag
  --burst value
  --results value
  --location value
  --watch flag
  --settle value
  --dry-run plans
  --csv file
serve
  --port port
  --host host
  --token-file read
  --allowed-host value
heap
  SRC read
  DEST folder
  --groups value
  --choose value
  --backbone handle
  --precision value
undo
  DEST taken
  SRC origin
  --run value
evaluate
  LABELLED_FOLDER pictures
  --csv file
  --thresholds flag
study
  PICTURE images
  OUT file
export
  DEST file
  --format form
  --quantize flag
  --pictures pictures
share
  OUT file
  --intended-use value
  --licence value
  --with-bottlenecks looks
verify
  ZIP read
merge
  ZIP... read
  OUT folder
collect-faces
  TF_FILES folder
  CATEGORY value
  SOURCE source
  --count value
  --test-count value
  --test-dir folder
  --largest flag
  --all flag
  --detector value
fetch
  BACKBONE... handle
fetch-modules
  URL... handle
fetch-classifier
  ADDRESS... value
fetch-images
  FOLDER folder
  URL... value
worker
  ADDRESS scheduler
  FOLDER... tasks
completion
  SHELL value
'

# How much is said.
VOICES=' --quiet --verbose '

# A command line, taken apart: what each part is, what stands before its value, and its value; and
# which of VOICES is given.
KINDS=() PREFIXES=() VALUES=() VOICE=''
# Take a command line apart as the program will; fail if the program will refuse it.
# Usage: parse SUBCOMMAND [ARGUMENT...]
parse() {
  local name kind options=1 positional=0 last=-1
  find_rows "${1:-}" || return
  shift
  # The graph takes the place of TF_FILES.
  for name in "$@"; do
    [[ ${name} != -- ]] || break
    [[ ${name%%=*} != --graph ]] || positional=1
  done
  while (($#)); do
    name=${1%%=*}
    if [[ -n ${options} && $1 == -- ]]; then
      options=''
      item flag '' --
    elif [[ -z ${options} || $1 != -?* ]]; then
      kind=${POSITIONALS[positional]:-${REPEATED}}
      [[ -n ${kind} ]] || return
      ((positional++ < ${#POSITIONALS[@]})) || last=${#KINDS[@]}
      item "${kind}" '' "$1"
    else
      kind_of "${name//_/-}" || return
      if [[ $1 == *=* ]]; then
        item "${KIND}" "${name}=" "${1#*=}"
      elif [[ ' flag offline moves tags plans looks face voice ' == *" ${KIND} "* ]]; then
        item "${KIND}" '' "$1"
      else
        (($# > 1)) || return
        item flag '' "$1"
        item "${KIND}" '' "$2"
        shift
      fi
    fi
    shift
  done
  # Only now is it known which of the arguments is the last.
  if [[ -n ${LAST} ]]; then
    ((positional > ${#POSITIONALS[@]} + 1)) || return
    KINDS[last]=${LAST}
  fi
}

# Succeed if the command line that was taken apart needs the packages for faces and videos.
needs_faces() {
  local kinds=" ${KINDS[*]:-} "
  [[ ${kinds} == *' source '* || ${kinds} == *' face '* || ${kinds} == *' every '* ]]
}

# Succeed if it needs those for many machines.
needs_many() {
  local kinds=" ${KINDS[*]:-} "
  [[ ${kinds} == *' scheduler '* || ${kinds} == *' many '* ]]
}

# Succeed if it needs those for object stores.
needs_stores() {
  local i
  for ((i = 0; i < ${#KINDS[@]}; i++)); do
    if is_url "${i}" && [[ ${VALUES[i]} == [Ss]3://* ]]; then return; fi
  done
  return 1
}

# Succeed if a part of it is a URL in place of a folder: nothing of this machine is meant.
# Usage: is_url NUMBER
is_url() {
  [[ ' pictures unsorted folder tasks ' == *" ${KINDS[$1]} "* && ${VALUES[$1]} == *://* ]]
}

# Usage: item KIND PREFIX VALUE
item() {
  KINDS+=("$1")
  PREFIXES+=("$2")
  VALUES+=("$3")
}

# Set what a subcommand takes: POSITIONALS, the kinds of its arguments in their order; REPEATED, the
# kind of all that follow them; LAST, that of one after these; OPTIONS, lines of a name and a kind.
# Fail if there is no such subcommand.
# Usage: find_rows SUBCOMMAND
find_rows() {
  local commands name kind
  POSITIONALS=() REPEATED='' LAST='' OPTIONS=$'\n'
  while read -r name kind; do
    if [[ -z ${kind} ]]; then
      commands=,${name},
    elif [[ ${commands} == *,"$1",* && $1 != *,* ]]; then
      case ${name} in
      --*) OPTIONS+="${name} ${kind}"$'\n' ;;
      *...) REPEATED=${kind} ;;
      *) if [[ -n ${REPEATED} ]]; then LAST=${kind}; else POSITIONALS+=("${kind}"); fi ;;
      esac
    fi
  done <<<"${COMMANDS}"
  [[ ${#POSITIONALS[@]} -gt 0 || -n ${REPEATED} || ${OPTIONS} != $'\n' ]]
}

# Set KIND to that of an option; fail if the subcommand has no such option.
# Usage: kind_of NAME
kind_of() {
  local rest=${OPTIONS#*$'\n'"$1 "}
  if [[ ${VOICES} == *" $1 "* ]]; then
    KIND=voice VOICE=$1
    return
  fi
  KIND=${rest%%$'\n'*}
  [[ ${rest} != "${OPTIONS}" ]]
}
