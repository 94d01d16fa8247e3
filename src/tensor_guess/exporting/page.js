// What the page does: it takes pictures, runs the network on them and shows the scores.

const SHOWN = 5; // labels at once; the others are behind "more labels"
const about = JSON.parse(document.getElementById("about").textContent);
const [state, list, input, camera, video] = ["state", "results", "files", "camera", "video"].map((id) =>
  document.getElementById(id),
);
const waiting = [];
let [session, busy, failure] = [null, false, ""];

function say(text) {
  state.textContent = text;
}

// --- the network

// Return the bytes of the elements of that class, which are taken out of the page.
function embedded(name) {
  const parts = [...document.querySelectorAll(`script.${name}`)].map((element) => {
    const text = atob(element.textContent);
    element.remove();
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  });
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function started() {
  const packed = new Blob([embedded("runtime")]).stream();
  const { env, InferenceSession } = globalThis.onnxruntime;
  env.wasm.wasmBinary = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  env.wasm.numThreads = 1; // more need a server, and headers that it sends
  env.logLevel = "error";
  return InferenceSession.create(embedded("network"), { executionProviders: ["wasm"] });
}

async function scoresOf(file) {
  const { size } = about.scaling;
  const values = Float32Array.from(await pixels(file, about.scaling));
  const { Tensor } = globalThis.onnxruntime;
  const fed = { [about.input]: new Tensor("float32", values, [1, size, size, 3]) };
  return (await session.run(fed))[about.output].data;
}

// --- pictures and their scores

function take(files) {
  if (failure) {
    say(failure);
    return;
  }
  for (const file of files) {
    const element = document.getElementById("result").content.firstElementChild.cloneNode(true);
    element.querySelector(".file").textContent = file.name;
    list.prepend(element);
    waiting.push({ file, element });
  }
  if (session && !busy) classify();
}

async function classify() {
  busy = true;
  for (let done = 1; waiting.length; done++) {
    const { file, element } = waiting.shift();
    say(waiting.length ? `Looking at ${file.name}; ${waiting.length} more to go.` : `Looking at ${file.name}.`);
    await new Promise((resume) => setTimeout(resume)); // the browser shows what has changed
    try {
      show(element, file, await scoresOf(file));
    } catch (error) {
      if (!(error instanceof Unreadable)) console.error(error);
      element.reason = error instanceof Unreadable ? error.message : `it could not be classified (${error.message})`;
      element.querySelector(".told").textContent = `Left out: ${element.reason}.`;
    }
    element.classList.remove("waiting");
  }
  busy = false;
  const [first] = list.children;
  const said = first?.scores ? `${first.querySelector(".file").textContent}: ${first.querySelector(".told").textContent}. ` : "";
  say(`${said}Ready for more.`);
}

function show(element, file, scores) {
  element.scores = scores;
  const picture = element.querySelector("img");
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  const order = [...scores.keys()].sort((one, other) => scores[other] - scores[one]);
  element.querySelector(".told").textContent = told(order[0], scores);
  const [few, others] = [order.slice(0, SHOWN), order.slice(SHOWN)];
  const bars = element.querySelector(".bars");
  bars.append(...few.map((k) => bar(k, scores)));
  if (others.length) {
    const more = element.querySelector("details");
    more.hidden = false;
    more.querySelector("summary").textContent = `${others.length} more ${others.length === 1 ? "label" : "labels"}`;
    more.addEventListener("toggle", () => more.querySelector("ol").replaceChildren(...others.map((k) => bar(k, scores))), {
      once: true,
    });
  }
}

function told(k, scores) {
  return `${about.labels[k]} (score = ${scores[k].toFixed(5)})`;
}

function bar(k, scores) {
  const element = document.getElementById("bar").content.firstElementChild.cloneNode(true);
  element.querySelector("bdi").textContent = about.labels[k];
  element.querySelector(".score").textContent = scores[k].toFixed(5);
  element.querySelector(".part").style.width = `${100 * Math.min(1, Math.max(0, scores[k]))}%`;
  return element;
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
        NotSupportedError: "This browser gives a file no camera: choose pictures; on a phone, the camera is among the choices.",
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

try {
  session = await started();
  document.documentElement.dataset.state = "ready";
  say("Ready: drop, paste or choose pictures.");
  if (waiting.length) classify();
} catch (error) {
  console.error(error);
  failure = `This browser cannot run the classifier (${error.message}): use a current one.`;
  list.replaceChildren();
  document.documentElement.dataset.state = "failed";
  say(failure);
}
