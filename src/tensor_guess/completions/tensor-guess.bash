# shellcheck shell=bash
# Completions of tensor-guess for bash 3.2 and later, written by tools/write_completions.py.
_tensor_guess() {
  local word=${COMP_WORDS[COMP_CWORD]} before='' command='' words=''
  ((COMP_CWORD == 0)) || before=${COMP_WORDS[COMP_CWORD - 1]}
  case ${COMP_WORDS[0]##*/} in
  train.sh) command=train ;;
  guess.sh) command=guess ;;
  classify_dir.sh) command=classify-dir ;;
  collect_faces.sh) command=collect-faces ;;
  serve.sh) command=serve ;;
  *)
    if ((COMP_CWORD == 1)); then
      words='train doctor heap collect-faces fetch-images guess classify-dir undo serve evaluate study inspect share verify merge export backbones fetch fetch-modules fetch-classifier worker completion --help --version'
    else
      command=${COMP_WORDS[1]}
    fi
    ;;
  esac
  case ${command}:${before} in
  train:--precision) words='float32 bf16' ;;
  train:--fit) words='squeeze crop pad' ;;
  heap:--precision) words='float32 bf16' ;;
  collect-faces:--detector) words='haar yunet' ;;
  guess:--precision) words='float32 bf16' ;;
  guess:--detector) words='haar yunet' ;;
  classify-dir:--precision) words='float32 bf16' ;;
  classify-dir:--layout) words='flat folders' ;;
  classify-dir:--detector) words='haar yunet' ;;
  classify-dir:--results) words='timelapse camtrap-dp' ;;
  serve:--precision) words='float32 bf16' ;;
  evaluate:--precision) words='float32 bf16' ;;
  study:--precision) words='float32 bf16' ;;
  export:--format) words='saved_model tflite onnx openvino photoprism html' ;;
  completion:completion) words='bash zsh fish' ;;
  esac
  if [[ -z ${words} && ${word} == -* ]]; then
    case ${command} in
    train) words='--steps --how-many-training-steps --epochs --learning-rate --head --dropout --train-batch-size --validation-batch-size --test-batch-size --testing-percentage --validation-percentage --eval-step-interval --seed --augment --flip-left-right --random-crop --random-scale --random-brightness --rotation --shear --zoom --shift --versions --fine-tune --fine-tune-epochs --fine-tune-rate --auto --time-budget --backbone --architecture --tfhub-module --from --bottleneck-tensor-name --precision --fit --final-tensor-name --offline --image-dir --output-graph --output-labels --bottleneck-dir --summaries-dir --intermediate-output-graphs-dir --intermediate-store-frequency --report --no-report --learn --print-misclassified-test-images --scheduler --workers --tls --quiet --verbose --help' ;;
    doctor) words='--json --fix --undo --not-duplicates --quiet --verbose --help' ;;
    heap) words='--groups --choose --backbone --precision --offline --quiet --verbose --help' ;;
    collect-faces) words='--count --test-count --test-dir --largest --all --detector --quiet --verbose --help' ;;
    fetch-images) words='--quiet --verbose --help' ;;
    guess) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --precision --backbone --offline --image --top --num-top-predictions --only --min-score --explain --unknown --both --face --detector --every --json --quiet --verbose --help' ;;
    classify-dir) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --precision --backbone --offline --tag --layout --move --link --symlink --keep-tree --only --min-score --unknown --both --face --detector --burst --results --location --scheduler --workers --tls --watch --settle --dry-run --csv --json --quiet --verbose --help' ;;
    undo) words='--run --quiet --verbose --help' ;;
    serve) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --precision --backbone --offline --port --host --token-file --allowed-host --only --min-score --unknown --both --quiet --verbose --help' ;;
    evaluate) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --precision --backbone --offline --thresholds --csv --json --scheduler --workers --tls --quiet --verbose --help' ;;
    study) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --precision --backbone --offline --quiet --verbose --help' ;;
    inspect) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --layers --json --quiet --verbose --help' ;;
    share) words='--labels --intended-use --licence --with-bottlenecks --quiet --verbose --help' ;;
    verify) words='--quiet --verbose --help' ;;
    merge) words='--quiet --verbose --help' ;;
    export) words='--graph --labels --input-height --input-width --input-mean --input-std --input-layer --output-layer --format --quantize --pictures --quiet --verbose --help' ;;
    backbones) words='--json --quiet --verbose --help' ;;
    fetch) words='--quiet --verbose --help' ;;
    fetch-modules) words='--quiet --verbose --help' ;;
    fetch-classifier) words='--quiet --verbose --help' ;;
    worker) words='--tls --quiet --verbose --help' ;;
    completion) words='--quiet --verbose --help' ;;
    esac
  fi
  COMPREPLY=()
  while IFS= read -r word; do
    COMPREPLY+=("${word}")
  done < <(compgen -W "${words}" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -o default -F _tensor_guess tensor-guess train.sh guess.sh classify_dir.sh collect_faces.sh serve.sh
