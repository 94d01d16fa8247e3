# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# The program's command lines: what is a path in them. Sourced by launch.bash.

# Every argument and option of every subcommand (tests/launcher/test_commands.py compares it with the CLI):
#   read        a path that is only read; its folder is mounted
#   images      the same, and its name as it was typed is printed with the results
#   classifier  a classifier's folder or a graph, or the word `imagenet`; only read
#   handle      a path that is read, or a URL, or the name of a backbone
#   train       a classifier's folder that is written to
#   pictures    a folder of categories, which may be links
#   folder      a folder that is written to, and made where it is not there
#   file        a file that is written, or a folder that is not there yet
#   backbone    the name of a backbone; no path
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
train --backbone handle
train --architecture handle
train --tfhub-module handle
train --from handle
train --bottleneck-tensor-name value
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
guess --image images
guess --graph classifier
guess --labels read
guess --input-height value
guess --input-width value
guess --input-mean value
guess --input-std value
guess --input-layer value
guess --output-layer value
guess --num-top-predictions value
guess --backbone backbone
guess --offline flag
guess --top value
guess --json flag
classify-dir TF_FILES classifier
classify-dir SRC read
classify-dir DEST folder
classify-dir --graph classifier
classify-dir --labels read
classify-dir --input-height value
classify-dir --input-width value
classify-dir --input-mean value
classify-dir --input-std value
classify-dir --input-layer value
classify-dir --output-layer value
classify-dir --backbone backbone
classify-dir --offline flag
inspect TF_FILES classifier
inspect --graph classifier
inspect --labels read
inspect --input-height value
inspect --input-width value
inspect --input-mean value
inspect --input-std value
inspect --input-layer value
inspect --output-layer value
inspect --json flag
export TF_FILES classifier
export --graph classifier
export --labels read
export --input-height value
export --input-width value
export --input-mean value
export --input-std value
export --input-layer value
export --output-layer value
export DEST file
export --format value
export --quantize flag
export --pictures pictures
share TF_FILES classifier
share OUT file
share --labels read
share --intended-use value
share --licence value
verify ZIP read
fetch BACKBONE... handle
fetch-images FOLDER folder
fetch-images URL... value
backbones --json flag
'

# The command line, taken apart: what each part is, what stands before its value, its value.
KINDS=() PREFIXES=() VALUES=()
# Takes a command line apart, as the program will; fails where the program will refuse it.
# Usage: parse SUBCOMMAND [ARGUMENT...]
parse() {
  local command=${1:-} name options=1 positional=0
  REPEATED=''
  [[ ${COMMANDS} == *$'\n'"${command} "* ]] || return 1
  shift
  # Where --graph is given, it is TF_FILES.
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
      if [[ -z ${REPEATED} ]]; then
        kind_of_positional "${command}" "$((++positional))" || return 1
      fi
      item "${REPEATED:-${KIND}}" '' "$1"
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

# KIND is that of a positional argument; REPEATED too, where all that follow are.
# Usage: kind_of_positional SUBCOMMAND NUMBER
kind_of_positional() {
  local command name kind number=0
  while read -r command name kind; do
    if [[ ${command} == "$1" && ${name} != --* ]]; then
      KIND=${kind}
      ((++number < $2)) || return 0
      if [[ ${name} == *... ]]; then
        REPEATED=${kind}
        return
      fi
    fi
  done <<<"${COMMANDS}"
  return 1
}
