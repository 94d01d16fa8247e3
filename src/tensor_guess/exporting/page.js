// What this page does: it runs the network on pictures and shows the scores.

const NO_CAMERA =
  "This browser gives a file no camera: choose pictures; on a phone, the camera is among the choices.";
const about = JSON.parse(document.getElementById("about").textContent);
const waiting = [];
let [session, busy, failure] = [null, false, ""];

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
    waiting.push({ file, element: card(file) });
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
  const pairs = about.labels.map((label, k) => [label, scores[k]]).sort((one, other) => other[1] - one[1]);
  fill(element, file, scored(...pairs[0]), pairs);
}

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
