#compdef tensor-guess train.sh guess.sh classify_dir.sh collect_faces.sh serve.sh
# Completions of tensor-guess for zsh, written by tools/write_completions.py.
_tensor_guess() {
  local command=$1
  case ${service:t} in
  train.sh) command=train ;;
  guess.sh) command=guess ;;
  classify_dir.sh) command=classify-dir ;;
  collect_faces.sh) command=collect-faces ;;
  serve.sh) command=serve ;;
  *)
    if ((CURRENT == 2)); then
      local -a commands=(
        'train:Train a classifier on TF_FILES/data/<category>/*.'
        'doctor:Find what is wrong with the pictures in TF_FILES/data.'
        'heap:Group unlabelled pictures by what they look like.'
        'collect-faces:Write the faces in SOURCE to TF_FILES/data/CATEGORY.'
        'fetch-images:Download pictures to FOLDER.'
        'guess:Print each IMAGEs labels with their scores, best first.'
        'classify-dir:Sort copies of all pictures in SRC into DEST.'
        'undo:Undo what classify-dir did last in DEST.'
        'serve:Answer guesses over HTTP, until Ctrl-C.'
        'evaluate:Measure a classifier on labelled pictures.'
        'study:Write OUT, a page on why PICTURE gets its label.'
        'inspect:Show what is in a frozen graph, without running it.'
        'share:Write the classifier TF_FILES to OUT, a zip to share.'
        'verify:Check a zip that share wrote.'
        'merge:Join shared classifiers, without their pictures.'
        'export:Write a classifier for another runtime.'
        'backbones:List the pretrained networks.'
        'fetch:Download, verify and freeze each BACKBONE.'
        'fetch-modules:Download TF Hubs module at each URL; load none.'
        'fetch-classifier:Download the classifier at each ADDRESS.'
        'worker:Do tasks for the Dask scheduler at ADDRESS, until stopped (Ctrl-C).'
        'completion:Print the completions for SHELL: bash, zsh or fish.'
      )
      _describe command commands
      return
    fi
    command=${words[2]}
    shift words
    ((CURRENT--))
    ;;
  esac
  case ${command} in
  train)
    _arguments -s \
      '*--steps[Training steps]:value:_files' \
      '*--how-many-training-steps[Training steps]:value:_files' \
      '*--epochs[In place of --steps; how many times the training pictures are gone through]:value:_files' \
      '*--learning-rate[Size of each step]:value:_files' \
      '*--head[Widths of hidden layers before the softmax, as in 1024,1024,512]:value:_files' \
      '*--dropout[With --head; the share of a layers outputs that a step leaves out]:value:_files' \
      '*--train-batch-size[Images per step]:value:_files' \
      '*--validation-batch-size[Validation images per evaluation; -1 for all]:value:_files' \
      '*--test-batch-size[Images in the final test; -1 for all]:value:_files' \
      '*--testing-percentage[Percent of the images held out for the final test]:value:_files' \
      '*--validation-percentage[Percent of the images held out to watch training]:value:_files' \
      '*--eval-step-interval[Steps between evaluations]:value:_files' \
      '*--seed[Seed of all random draws; the same seed gives the same graph]:value:_files' \
      '*--augment[Train on versions of each picture too; mirrored, turned, zoomed, shifted, brighter]' \
      '*--flip-left-right[Mirror half of the versions]' \
      '*--random-crop[Margin to cut off, in percent]:value:_files' \
      '*--random-scale[Most by which to enlarge, in percent]:value:_files' \
      '*--random-brightness[Most change, in percent]:value:_files' \
      '*--rotation[Most degrees to turn]:value:_files' \
      '*--shear[Most degrees to shear]:value:_files' \
      '*--zoom[Most zoom in or out, from 0 to 0.9]:value:_files' \
      '*--shift[Most shift, in sides of the picture]:value:_files' \
      '*--versions[Versions of each picture]:value:_files' \
      '*--fine-tune[Train the last N blocks of the backbone too, or all]:value:_files' \
      '*--fine-tune-epochs[Most epochs of that]:value:_files' \
      '*--fine-tune-rate[Its highest learning rate]:value:_files' \
      '*--auto[Try several ways, keep the best; fits, versions and, if there is time, fine-tuning]' \
      '*--time-budget[With --auto; how long it may take, as in 90s or 10m]:value:_files' \
      '*--backbone[The pretrained network; a name, a module or any frozen graph]:value:_files' \
      '*--architecture[The pretrained network; a name, a module or any frozen graph]:value:_files' \
      '*--tfhub-module[The pretrained network; a name, a module or any frozen graph]:value:_files' \
      '*--from[The pretrained network; a name, a module or any frozen graph]:value:_files' \
      '*--bottleneck-tensor-name[Bottleneck of a frozen graph]:value:_files' \
      '*--precision[bf16 is twice as fast if the CPU supports it]:value:(float32 bf16)' \
      '*--fit[How a picture becomes square; squeezed, its middle cut out, or all of it with borders]:value:(squeeze crop pad)' \
      '*--final-tensor-name[Name of the scores tensor in the graph]:value:_files' \
      '*--offline[Never use the internet]' \
      '*--image-dir[Category folders]:value:_files' \
      '*--output-graph[(default; TF_FILES/retrained_graph.pb)]:value:_files' \
      '*--output-labels[(default; TF_FILES/retrained_labels.txt)]:value:_files' \
      '*--bottleneck-dir[(default; TF_FILES/bottlenecks)]:value:_files' \
      '*--summaries-dir[Folder for TensorBoard summaries]:value:_files' \
      '*--intermediate-output-graphs-dir[Folder for intermediate graphs]:value:_files' \
      '*--intermediate-store-frequency[Steps between intermediate graphs; 0 for none]:value:_files' \
      '*--report[Write a page about the result, report.html]' \
      '*--no-report[Write a page about the result, report.html]' \
      '*--learn[First copy what was corrected in this folder, which classify-dir sorted, into TF_FILES/data]:value:_files' \
      '*--print-misclassified-test-images[List the test pictures that were guessed wrong]' \
      '*--scheduler[Have the workers of this Dask scheduler compute, as in tcp;//host;8786]:value:_files' \
      '*--workers[Compute in so many processes on this machine, as --scheduler does on others]:value:_files' \
      '*--tls[For tls;//; a folder with ca.pem, cert.pem and key.pem]:value:_files' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  doctor)
    _arguments -s \
      '*--json[Print one JSON object, with everything]' \
      '*--fix[Move what can be spared to TF_FILES/set_aside]' \
      '*--undo[Move back what the last --fix moved]' \
      '*--not-duplicates[Remember that the PICTUREs are no duplicates]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  heap)
    _arguments -s \
      '*--groups[How many groups to make]:value:_files' \
      '*--choose[Name so many pictures to label first, and mark them in the sheet]:value:_files' \
      '*--backbone[The pretrained network]:value:_files' \
      '*--precision[Precision to compute in]:value:(float32 bf16)' \
      '*--offline[Never use the internet]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  collect-faces)
    _arguments -s \
      '*--count[Faces to collect at most]:value:_files' \
      '*--test-count[Faces to collect after those, for evaluate]:value:_files' \
      '*--test-dir[Folder for those, in CATEGORY there]:value:_files' \
      '*--largest[Of several faces in a picture, take the largest]' \
      '*--all[Of several faces in a picture, take all]' \
      '*--detector[What finds faces; OpenCVs cascade, or a network (fetch yunet brings it)]:value:(haar yunet)' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  fetch-images)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  guess)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--precision[Precision to compute in]:value:(float32 bf16)' \
      '*--backbone[imagenet; the pretrained network]:value:_files' \
      '*--offline[imagenet; never use the internet]' \
      '*--image[Another IMAGE]:value:_files' \
      '*--top[Labels to print]:value:_files' \
      '*--num-top-predictions[Labels to print]:value:_files' \
      '*--only[Guess among these categories only; their scores are made to add up to 1]:value:_files' \
      '*--min-score[Least score of a category, or of all, below which a guess is unsure]:value:_files' \
      '*--explain[PNG to write, which shows why (one IMAGE only)]:value:_files' \
      '*--unknown[Say if one is like nothing in training]' \
      '*--both[Say if two categories are side by side in one]' \
      '*--face[Look only at the largest face; leave out pictures without one]' \
      '*--detector[What finds faces; OpenCVs cascade, or a network (fetch yunet brings it)]:value:(haar yunet)' \
      '*--every[Time between the frames of a video to guess, such as 1s]:value:_files' \
      '*--json[Print one JSON object per line]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  classify-dir)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--precision[Precision to compute in]:value:(float32 bf16)' \
      '*--backbone[imagenet; the pretrained network]:value:_files' \
      '*--offline[imagenet; never use the internet]' \
      '*--tag[Without DEST; write labels into XMP files beside SRCs pictures]' \
      '*--layout[DEST/<category>-<score>.<ext>, or DEST/<category>/<original name>]:value:(flat folders)' \
      '*--move[Move the pictures out of SRC instead of copying them]' \
      '*--link[Make hard links; no second copy on the same disk]' \
      '*--symlink[Make symbolic links to the pictures in SRC]' \
      '*--keep-tree[Make the folders below SRC in DEST too]' \
      '*--only[Guess among these categories only; their scores are made to add up to 1]:value:_files' \
      '*--min-score[Least score of a category, or of all, below which a guess is unsure]:value:_files' \
      '*--unknown[Say if one is like nothing in training]' \
      '*--both[Say if two categories are side by side in one]' \
      '*--face[Look only at the largest face; leave out pictures without one]' \
      '*--detector[What finds faces; OpenCVs cascade, or a network (fetch yunet brings it)]:value:(haar yunet)' \
      '*--burst[Sort shots as one if each was taken within this time of the one before, as in 60s]:value:_files' \
      '*--results[Also write DEST/timelapse.json, or a Camtrap DP package in DEST, for researchers]:value:(timelapse camtrap-dp)' \
      '*--location[With camtrap-dp; where the camera stood, as in 50.9413,6.9583]:value:_files' \
      '*--scheduler[Have the workers of this Dask scheduler compute, as in tcp;//host;8786]:value:_files' \
      '*--workers[Compute in so many processes on this machine, as --scheduler does on others]:value:_files' \
      '*--tls[For tls;//; a folder with ca.pem, cert.pem and key.pem]:value:_files' \
      '*--watch[Sort what arrives in SRC, until stopped (Ctrl-C)]' \
      '*--settle[--watch; a file is complete if it has not changed for this long]:value:_files' \
      '*--dry-run[Print what would be done, and touch nothing]' \
      '*--csv[New file for a line per picture in DEST]:value:_files' \
      '*--json[Print JSON]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  undo)
    _arguments -s \
      '*--run[The run to undo]:value:_files' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  serve)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--precision[Precision to compute in]:value:(float32 bf16)' \
      '*--backbone[imagenet; the pretrained network]:value:_files' \
      '*--offline[imagenet; never use the internet]' \
      '*--port[Port to use]:value:_files' \
      '*--host[Address to listen at; any but this machines own needs --token-file]:value:_files' \
      '*--token-file[File with a word that each client must know]:value:_files' \
      '*--allowed-host[Another name by which clients call this machine]:value:_files' \
      '*--only[Guess among these categories only; their scores are made to add up to 1]:value:_files' \
      '*--min-score[Least score of a category, or of all, below which a guess is unsure]:value:_files' \
      '*--unknown[Say if one is like nothing in training]' \
      '*--both[Say if two categories are side by side in one]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  evaluate)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--precision[Precision to compute in]:value:(float32 bf16)' \
      '*--backbone[imagenet; the pretrained network]:value:_files' \
      '*--offline[imagenet; never use the internet]' \
      '*--thresholds[Print what each --min-score of guess would do]' \
      '*--csv[New file for a line per picture]:value:_files' \
      '*--json[Print one JSON object]' \
      '*--scheduler[Have the workers of this Dask scheduler compute, as in tcp;//host;8786]:value:_files' \
      '*--workers[Compute in so many processes on this machine, as --scheduler does on others]:value:_files' \
      '*--tls[For tls;//; a folder with ca.pem, cert.pem and key.pem]:value:_files' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  study)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--precision[Precision to compute in]:value:(float32 bf16)' \
      '*--backbone[imagenet; the pretrained network]:value:_files' \
      '*--offline[imagenet; never use the internet]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  inspect)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--layers[List the layers instead]' \
      '*--json[Print one JSON object]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  share)
    _arguments -s \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--intended-use[Intended use to state on the model card]:value:_files' \
      '*--licence[Licence to state on the model card]:value:_files' \
      '*--with-bottlenecks[Add a bottleneck of each picture in TF_FILES/data, for merge; it reveals something of the picture]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  verify)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  merge)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  export)
    _arguments -s \
      '*--graph[Same as TF_FILES (from label_image)]:value:_files' \
      '*--labels[Labels file of another programs graph]:value:_files' \
      '*--input-height[Height of the images, in pixels]:value:_files' \
      '*--input-width[Width of the images; the same as the height]:value:_files' \
      '*--input-mean[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-std[Pixels are fed as (x - mean) / std]:value:_files' \
      '*--input-layer[Tensor to feed the images to]:value:_files' \
      '*--output-layer[Tensor with the scores]:value:_files' \
      '*--format[The format to write]:value:(saved_model tflite onnx openvino photoprism html)' \
      '*--quantize[Compute in 8 bits (tflite only)]' \
      '*--pictures[Pictures to compare on]:value:_files' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  backbones)
    _arguments -s \
      '*--json[Print one JSON object per line]' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  fetch)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  fetch-modules)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  fetch-classifier)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  worker)
    _arguments -s \
      '*--tls[For tls;//; a folder with ca.pem, cert.pem and key.pem]:value:_files' \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:_files'
    ;;
  completion)
    _arguments -s \
      '*--quiet[Print results, warnings and errors only]' \
      '*--verbose[Print more about what is done, and how long it takes]' \
      '*--help[Show this message and exit]' \
      '*:argument:(bash zsh fish)'
    ;;
  esac
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _tensor_guess "$@"
else
  compdef _tensor_guess tensor-guess train.sh guess.sh classify_dir.sh collect_faces.sh serve.sh
fi
