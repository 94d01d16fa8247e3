# shellcheck shell=bash
# shellcheck disable=SC2034 # the other files of launch.bash use what is set here
# The container engine: whether it answers, what kind it is, and the program's image.
# Sourced by launch.bash.

# Seconds within which an engine must answer.
PATIENCE=10
# The label that holds the digest of what an image was built from.
INPUTS_LABEL=tensor-guess.inputs
# A file with one line: the registry that has the image of this release.
RELEASE=${ROOT}/registry.txt

# macOS has the other one.
SHA256=(sha256sum)
command -v sha256sum >/dev/null || SHA256=(shasum -a 256)

# ENGINE is the command to run. ROOTLESS is set if it runs as this user, REMAPPED if it maps user
# ids to others. LIMITS holds the cgroup controllers it can use ('all' for Docker).
ENGINE='' ROOTLESS='' REMAPPED='' LIMITS=''
# Why an installed engine is not used, and the remedy; empty if it is not installed.
TROUBLE=''

# Set ANSWER to what a command prints on both streams within PATIENCE seconds; SILENT is set if it
# takes longer.
# Usage: ask COMMAND [ARGUMENT...]
ask() {
  local process line end=$((SECONDS + PATIENCE))
  ANSWER='' SILENT=''
  # macOS has no timeout(1), so the builtin read waits. The first line is the process to kill.
  # shellcheck disable=SC2016 # sh expands them
  exec 9< <(exec sh -c 'echo "$$"; exec "$@" 2>&1' sh "$@")
  read -r process <&9
  while ((SECONDS < end)) && IFS= read -r -t "${PATIENCE}" line <&9; do
    ANSWER+=${line}$'\n'
  done
  if ((SECONDS >= end)); then
    SILENT=1
    kill -9 "${process}" 2>/dev/null || true
  fi
  exec 9<&-
}

# Set ENGINE and what is known of it if that engine answers; else fail, with the reason in TROUBLE.
# Usage: probe docker|podman
probe() {
  TROUBLE=''
  command -v "$1" >/dev/null || return
  "probe_$1" || return
  ENGINE=$1
}

probe_docker() {
  ask docker info --format 'answer={{.ServerVersion}} {{.SecurityOptions}}'
  if [[ ${ANSWER} == *answer=[0-9]* ]]; then
    LIMITS=all
    [[ ${ANSWER} != *name=rootless* ]] || ROOTLESS=1
    [[ ${ANSWER} != *name=userns* ]] || REMAPPED=1
    return
  fi
  # `info --format` of Docker 20 does not say why.
  [[ -n ${SILENT} ]] || ask docker version --format '{{.Server.Version}}'
  TROUBLE=$(docker_trouble)
  return 1
}

# Print what is wrong with Docker, judging by ANSWER.
docker_trouble() {
  if [[ -n ${SILENT} ]]; then
    printf 'Docker is installed but does not answer within %s seconds; restart it (Linux: sudo systemctl restart docker; macOS and Windows: Docker Desktop)' "${PATIENCE}"
  elif [[ ${ANSWER} == *'permission denied'* ]]; then
    printf "Docker is installed but this user may not use its socket; run 'sudo usermod -aG docker %s' and log in again, or set up rootless Docker" "$(id -un 2>/dev/null || id -u)"
  elif [[ $(docker --version 2>/dev/null) != podman* ]]; then
    printf 'Docker is installed but its daemon is not running; start it (Linux: sudo systemctl start docker; macOS and Windows: open Docker Desktop)'
  fi
}

probe_podman() {
  ask podman info --format \
    'answer={{.Host.Security.Rootless}} {{.Host.CgroupsVersion}} {{.Host.OCIRuntime.Name}} {{.Host.CgroupControllers}}'
  if [[ ${ANSWER} == *answer=true* ]]; then
    ROOTLESS=1
    # Without cgroups v2, rootless Podman rejects every limit.
    [[ ${ANSWER} != *'answer=true v2'* ]] || LIMITS=${ANSWER#*answer=}
    return
  elif [[ ${ANSWER} == *answer=false* ]]; then
    LIMITS=all
    return
  fi
  TROUBLE="Podman is installed but does not work; run 'podman info' to see why"
  [[ -z ${SILENT} ]] || TROUBLE="Podman is installed but does not answer within ${PATIENCE} seconds; run 'podman info' to see why"
  return 1
}

# Succeed if the engine can limit this: memory or pids.
# Usage: can_limit CONTROLLER
can_limit() { [[ ${LIMITS} == all || ${LIMITS} == *[\[\ ]"$1"[\]\ ]* ]]; }

# Print the SHA-256 of everything that the image is built from.
digest_of_inputs() {
  (
    cd -- "${ROOT}" || exit
    find .dockerignore Dockerfile requirements.lock requirements-faces.lock requirements-many.lock requirements-stores.lock src -type f ! -name '*.bash' ! -name '.?*.*' \
      ! -name '*~' ! -path '*/__pycache__/*' -exec "${SHA256[@]}" {} + |
      LC_ALL=C sort | "${SHA256[@]}" | cut -c 1-64
  )
}

# Set IMAGE to the image to run, and pull or build it if it does not exist: one with the optional
# packages if they are needed.
prepare_image() {
  local digest sets=''
  IMAGE=${TENSOR_GUESS_IMAGE:-}
  [[ -z ${IMAGE} ]] || return 0
  digest=$(digest_of_inputs)
  # The name contains the digest, so that no other clone can swap the image before it runs.
  if needs_faces; then sets+=-faces; fi
  if needs_many; then sets+=-many; fi
  if needs_stores; then sets+=-stores; fi
  IMAGE=tensor-guess:${digest:0:16}${sets}
  [[ $(inputs_of "${IMAGE}") == "${digest}" ]] || pull_image "${digest}" "${sets}" ||
    build_image "${digest}" "${sets}"
}

# Print the digest of what an image was built from; nothing if there is no such image.
# Usage: inputs_of IMAGE
inputs_of() {
  "${ENGINE}" image inspect --format "{{index .Config.Labels \"${INPUTS_LABEL}\"}}" "$1" 2>/dev/null || true
}

# Give IMAGE to what a registry has for these inputs, if one is named; fail if it has none.
# Usage: pull_image DIGEST [-faces][-many][-stores]
pull_image() {
  local registry=${TENSOR_GUESS_REGISTRY:-} name pull=("${ENGINE}" pull)
  if [[ -z ${registry} && -f ${RELEASE} ]]; then IFS= read -r registry <"${RELEASE}" || true; fi
  [[ -n ${registry} ]] || return
  [[ ${registry} =~ ^[A-Za-z0-9][A-Za-z0-9._:/-]*$ ]] ||
    fail "'$(printable "${registry}")' is no registry such as ghcr.io/somebody (TENSOR_GUESS_REGISTRY)" 2
  name=${registry%/}/tensor-guess:$1$2
  tell "looking for the image of this version in ${registry}"
  [[ ${VOICE} != --quiet ]] || pull+=(--quiet)
  if ! "${pull[@]}" "${name}" >&2; then
    say "it could not be pulled (${ENGINE} says why above); it is built instead"
    return 1
  fi
  if [[ $(inputs_of "${name}") != "$1" ]]; then
    say "what ${registry} has was built from something else; it is not used, and the image is built instead"
    "${ENGINE}" image rm "${name}" >/dev/null 2>&1 || true
    return 1
  fi
  "${ENGINE}" tag "${name}" "${IMAGE}" &&
    { "${ENGINE}" image rm "${name}" >/dev/null 2>&1 || true; } # the other name only
}

# Usage: build_image DIGEST [-faces][-many][-stores]
build_image() {
  local clone name build=("${ENGINE}" build --tag "${IMAGE}")
  clone=$(printf '%s' "${ROOT}" | cksum)
  clone=tensor-guess.clone=${clone%% *}$2
  [[ $2 != *-faces* ]] || build+=(--build-arg FACES=1)
  [[ $2 != *-many* ]] || build+=(--build-arg MANY=1)
  [[ $2 != *-stores* ]] || build+=(--build-arg STORES=1)
  build+=(--label "${INPUTS_LABEL}=$1" --label "${clone}")
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || build+=(--build-arg "${name}")
  done
  tell "building the image ${IMAGE}: it does not exist yet, or the program has changed"
  tell 'the first build takes 2 to 10 minutes: about 500 MB to download, 1.9 GB on disk'
  [[ $2 != *-faces* ]] || tell 'with OpenCV and PyAV for faces and videos: about 100 MB more to download, 270 MB on disk'
  [[ $2 != *-many* ]] || tell 'with Dask for many machines: about 10 MB more to download, 60 MB on disk'
  [[ $2 != *-stores* ]] || tell 'with s3fs for object stores: about 20 MB more to download, 50 MB on disk'
  [[ ${VOICE} != --quiet ]] || build+=(--quiet)
  "${build[@]}" "${ROOT}" >&2 ||
    fail "could not build the image (${ENGINE} says why above); check the internet connection and the free disk space and run again, or set TENSOR_GUESS_LAUNCHER=local" 125
  remove_old_images "${clone}"
}

# Remove the images of this kind that this clone built before; one that is in use stays.
# Usage: remove_old_images LABEL
remove_old_images() {
  local name
  "${ENGINE}" image ls --filter "label=$1" --format '{{.Repository}}:{{.Tag}}' |
    while IFS= read -r name; do
      [[ ${name} != tensor-guess:* && ${name} != localhost/tensor-guess:* ]] ||
        [[ ${name} == *"${IMAGE}" ]] || "${ENGINE}" image rm "${name}" >/dev/null 2>&1 || true
    done || true
}
