// What this page does: it sends pictures to its server and shows the scores.

const TOGETHER = 4; // pictures that are on their way at once
const NO_CAMERA =
  "A browser gives its camera only to https or this machine: choose pictures; on a phone, the camera is among the choices.";
const ask = document.getElementById("ask");
const waiting = [];
let [away, token, model] = [0, sessionStorage.getItem("token") ?? "", null];

// --- the server

// Return the answer to a request; ask for the token, and wait if the server is busy.
async function answered(path, body) {
  for (;;) {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    let response;
    try {
      response = await fetch(path, { method: body ? "POST" : "GET", body, headers });
    } catch {
      throw new Error("the server does not answer");
    }
    const said = await response.json().catch(() => ({}));
    if (response.status === 401) {
      token = await asked();
    } else if (response.status === 429 || response.status === 503) {
      say(`The server is busy: ${said.error}.`);
      await new Promise((resume) => setTimeout(resume, 1000 * (Number(response.headers.get("retry-after")) || 1)));
    } else if (response.ok) {
      return said;
    } else {
      throw new Error(said.error ?? `the server answered ${response.status}`);
    }
  }
}

let asking = null;
// Return the token that is typed; all who need it wait for the same one.
function asked() {
  asking ??= new Promise((resolve) => {
    ask.showModal();
    ask.addEventListener(
      "close",
      () => {
        const said = document.getElementById("token").value;
        sessionStorage.setItem("token", said);
        asking = null;
        resolve(said);
      },
      { once: true },
    );
  });
  return asking;
}
ask.addEventListener("cancel", (event) => event.preventDefault()); // nothing works without it
ask.addEventListener("paste", (event) => event.stopPropagation()); // it is the token, and no picture

async function meet() {
  model = await answered("/v1/model");
  const many = model.labels.length > 4;
  const title = many ? `${model.labels.length} categories` : model.labels.join(" or ");
  document.title = document.getElementById("title").textContent = `${title}: which is it?`;
  const more = model.labels.length > 20 ? ` and ${model.labels.length - 20} more` : "";
  document.getElementById("labels").textContent = many ? model.labels.slice(0, 20).join(", ") + more : "";
}

// --- pictures and their scores

function take(files) {
  for (const file of files) {
    waiting.push({ file, element: card(file) });
  }
  while (model && waiting.length && away < TOGETHER) send(waiting.shift());
}

async function send({ file, element }) {
  away++;
  say(`Looking at ${file.name}${waiting.length ? `; ${waiting.length} more to go` : ""}.`);
  const told = element.querySelector(".told");
  try {
    const said = await answered("/v1/guess", file);
    show(element, file, said);
    if (said.model !== model.digest) await meet();
  } catch (error) {
    told.textContent = `Left out: ${error.message}.`;
  }
  element.classList.remove("waiting");
  away--;
  if (waiting.length) take([]);
  else if (!away) say(`${file.name}: ${told.textContent}${told.textContent.endsWith(".") ? "" : "."} Ready for more.`);
}

function show(element, file, said) {
  const notes = [
    said.unknown ? "unknown: like nothing it was trained on" : "",
    said.both ? `both: ${said.both.join(" and ")}` : "",
    said.unsure ? "unsure" : "",
    scored(said.label, said.score),
  ];
  const pairs = Object.entries(said.scores).sort((one, other) => other[1] - one[1]);
  fill(element, file, notes.filter(Boolean).join("; "), pairs);
}

try {
  await meet();
  document.documentElement.dataset.state = "ready";
  say("Ready: drop, paste or choose pictures.");
  take([]);
} catch (error) {
  document.documentElement.dataset.state = "failed";
  say(`The classifier cannot be used: ${error.message}. Load this page again.`);
}
