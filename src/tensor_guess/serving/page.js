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
    if (said.model !== model.digest) await meet();
    show(element, file, said);
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
  if (model.map) offer(element, file, said, pairs);
}

// --- where it looked

// Offer, on a card, the picture with what speaks for a label in it.
function offer(element, file, said, pairs) {
  const where = element.querySelector(".where");
  const [button, select, note] = where.children;
  const drawn = new Image();
  const known = new Map(); // label -> the picture with its map
  const labels = pairs.map(([label]) => label);
  let asked = 0;

  async function look() {
    const [turn, label] = [++asked, select.value];
    const pressed = button.getAttribute("aria-pressed") === "true";
    select.hidden = !pressed || labels.length < 2;
    note.textContent = pressed && !known.has(label) ? "Looking ..." : "";
    try {
      if (pressed && !known.has(label)) {
        const found = await answered(`/v1/explain?label=${encodeURIComponent(label)}`, file);
        if (found.model !== said.model) throw new Error("another classifier answers now: take the picture again");
        known.set(label, found.picture);
      }
      if (turn !== asked) return; // something else was chosen meanwhile
      if (pressed) {
        drawn.src = known.get(label);
        drawn.alt = `${file.name}: bright where something speaks for ${label}`;
        await drawn.decode();
        if (turn !== asked) return;
        note.textContent = `Bright: speaks for ${label}. Dark: does not.`;
      }
      element.classList.toggle("looking", pressed);
    } catch (error) {
      if (turn === asked) note.textContent = `Where it looked is not known: ${error.message}.`;
    }
  }

  select.append(...labels.map((label) => new Option(label, label)));
  select.value = said.label;
  drawn.className = "map";
  element.querySelector(".thumbnail").append(drawn);
  where.hidden = false;
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") === "false"));
    look();
  });
  select.addEventListener("change", look);
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
