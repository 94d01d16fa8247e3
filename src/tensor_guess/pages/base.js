// What pages that take pictures have in common: where those come from, a card for each, bars.
// A page's own script follows. It has take(files), and NO_CAMERA: what to say if the browser has none for it.

const SHOWN = 5; // labels at once; the others are behind "more labels"
const [state, list, input, camera, video] = ["state", "results", "files", "camera", "video"].map((id) =>
  document.getElementById(id),
);

function say(text) {
  state.textContent = text;
}

// --- cards

function copyOf(template) {
  return document.getElementById(template).content.firstElementChild.cloneNode(true);
}

// Return a new card at the top, for a picture that waits.
function card(file) {
  const element = copyOf("result");
  element.querySelector(".file").textContent = file.name;
  list.prepend(element);
  return element;
}

// Show the picture, what is told of it, and the bars of its [label, score] pairs, best first.
function fill(element, file, told, pairs) {
  const picture = element.querySelector("img");
  picture.addEventListener("load", () => (picture.hidden = false)); // not every browser shows every kind
  picture.src = URL.createObjectURL(file);
  element.querySelector(".told").textContent = told;
  const others = pairs.slice(SHOWN);
  element.querySelector(".bars").append(...pairs.slice(0, SHOWN).map(bar));
  if (others.length) {
    const more = element.querySelector("details");
    more.hidden = false;
    more.querySelector("summary").textContent = `${others.length} more ${others.length === 1 ? "label" : "labels"}`;
    more.addEventListener("toggle", () => more.querySelector("ol").replaceChildren(...others.map(bar)), { once: true });
  }
}

function bar([label, score]) {
  const element = copyOf("bar");
  element.querySelector("bdi").textContent = label;
  element.querySelector(".score").textContent = score.toFixed(5);
  element.querySelector(".part").style.width = `${100 * Math.min(1, Math.max(0, score))}%`;
  return element;
}

function scored(label, score) {
  return `${label} (score = ${score.toFixed(5)})`;
}

// --- where pictures come from

document.getElementById("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  take([...input.files]);
  input.value = ""; // the same file may be chosen again
});

for (const kind of ["dragenter", "dragover"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  given(event.dataTransfer, "What was dropped is no file: save the picture, then drop it.");
});
document.addEventListener("paste", (event) => given(event.clipboardData, "There is no picture to paste: copy one first."));

function given(data, otherwise) {
  if (data.files.length) take([...data.files]);
  else say(otherwise);
}

document.getElementById("look").addEventListener("click", async () => {
  try {
    if (!navigator.mediaDevices) throw new DOMException("", "NotSupportedError");
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: "environment" } } });
    camera.showModal();
    await video.play();
  } catch (error) {
    say(
      {
        NotAllowedError: "The camera is not allowed: allow it in the browser's settings for this page, or choose pictures.",
        NotFoundError: "There is no camera here: choose pictures.",
        NotSupportedError: NO_CAMERA,
      }[error.name] ?? `The camera cannot be used (${error.message || error.name}): choose pictures.`,
    );
  }
});
let taken = 0;
document.getElementById("shoot").addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  if (!canvas.width) return; // it has not begun
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => take([new File([blob], `camera ${++taken}`, { type: "image/png" })]));
});
document.getElementById("close").addEventListener("click", () => camera.close());
camera.addEventListener("close", () => {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
});
