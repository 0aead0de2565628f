// The page at /: ask the server about an image and show all of its answer. Every address is relative, so that the
// page works behind a proxy's path as well.

import { KEYS, Paper } from "./canvas.js";
import { ask, onKey, pretty } from "./ask.js";
import { barsOf, inWords, paint, percent } from "./answers.js";
import { fields, inputsOf, isImage } from "./values.js";

const $ = (id) => document.getElementById(id);
const SAMPLES = [
  ["ankle-boot", "Ankle boot"], ["bag", "Bag"], ["trouser", "Trouser"], ["sneaker", "Sneaker"], ["dress", "Dress"],
  ["digit-0", "0"], ["digit-3", "3"], ["digit-4", "4"], ["digit-7", "7"], ["digit-8", "8"],
];
const HISTORY = 40;

const CHAIN = "chain:"; // what begins the value of an option that is a chain and no model

let models = [];
let about = null; // what the chosen version is
let values = null; // reads the fields of a model that takes no image alone
let times = [];
let busy = false;
let again = null; // the wish that came while a request was under way
let sentUrl = null;
let seenUrl = null;

const paper = new Paper($("canvas"), (drawing) => {
  pressed(null);
  if (paper.empty) emptied();
  else classify({ say: !drawing });
}, (words) => verdict(words, "idle"));

async function json(path) {
  const response = await ask(path);
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

async function begin() {
  try {
    models = (await json("models")).models.filter((model) => model.versions.length);
    const { chains } = await json("chains");
    fill($("model"), models.map(({ name }) => [name, name]));
    const usable = chains.filter(({ state }) => state.startsWith("ready"));
    $("model").append(...usable.map(({ name }) => new Option(`${name} (a chain)`, CHAIN + name)));
  } catch (error) {
    return failed(error);
  }
  if (!models.length) return verdict("No model is loaded. Publish one, and load this page again.", "bad");
  await pickModel();
}

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
}

const chain = () => $("model").value.startsWith(CHAIN) && $("model").value.slice(CHAIN.length);

async function pickModel() {
  $("version").parentElement.hidden = Boolean(chain());
  if (chain()) return pickVersion();
  const { versions, aliases } = models.find(({ name }) => name === $("model").value);
  const names = Object.entries(aliases).filter(([, version]) => versions.includes(version));
  const options = names.map(([alias, version]) => [alias, `${alias} (${version})`]);
  fill($("version"), [...options, ["latest", `latest (${versions.at(-1)})`], ...versions.map((one) => [one, one])]);
  if (aliases.production) $("version").value = "production";
  await pickVersion();
}

async function pickVersion() {
  const path = address();
  try {
    const found = await json(path);
    if (address() !== path) return; // another one was chosen meanwhile
    about = { ...found, path };
  } catch (error) {
    if (address() === path) failed(error);
    return;
  }
  paper.whole = Boolean(chain());
  const how = about.input?.preprocessing ?? {};
  showFields();
  const takes = how.size && `Takes ${how.mode} images of ${sizeText()}.`;
  $("takes").textContent = [about.description, takes, about.data?.note]
    .filter(Boolean).map((text) => text.replace(/\.?$/, ".")).join(" ");
  showSamples();
  times = [];
  if (values || !paper.empty) await classify({ say: true });
  else emptied();
}

// A model that takes numbers, text or several inputs has fields for them in the place of the drawing area.
function showFields() {
  const specs = chain() ? [] : inputsOf(about);
  const drawn = !specs.length || (specs.length === 1 && isImage(specs[0]));
  $("draw").hidden = !drawn;
  $("values").hidden = drawn;
  const fresh = $("values").cloneNode(false); // without the old fields and what listens to them
  $("values").replaceWith(fresh);
  values = drawn ? null : fields(fresh, specs, () => classify({ say: true }));
  $("image-title").textContent = drawn ? "1. An image" : "1. An example";
}

const address = () => chain() ? `chains/${chain()}` : `models/${$("model").value}/${$("version").value}`;

function sizeText() {
  const [height, width] = about.input.preprocessing.size;
  return `${width}×${height} pixels`;
}

function showSamples() {
  // What a model knows; a model of other things, or a chain, may be shown all of them.
  const known = SAMPLES.filter(([, label]) => about.labels?.includes(label));
  $("samples").replaceChildren(...(known.length ? known : SAMPLES).map(([file, label]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = label;
    button.setAttribute("aria-pressed", "false");
    const image = new Image(42, 42);
    image.src = `pages/${file}.png`;
    image.alt = `Sample: ${label}`;
    button.append(image);
    button.addEventListener("click", async () => {
      const bytes = await (await fetch(image.src)).blob();
      await take(new File([bytes], `${file}.png`, { type: "image/png" }), button);
    });
    return button;
  }));
}

function pressed(button) {
  for (const one of $("samples").children) one.setAttribute("aria-pressed", String(one === button));
}

async function take(file, button = null) {
  pressed(button);
  $("invert").checked &&= !button;
  try {
    await paper.show(file);
  } catch {
    // Not for the browser to judge: the server says what is wrong with it.
    paper.clear();
    paper.file = file;
  }
  await classify({ say: true });
}

// One request at a time; what was drawn meanwhile is asked about afterwards.
async function classify(wish) {
  if (!values && paper.empty) return;
  if (busy) {
    again = { say: wish.say || Boolean(again?.say) };
    return;
  }
  busy = true;
  const path = address();
  try {
    await send(path, wish);
  } catch (error) {
    if (!late(path)) failed(error);
  } finally {
    busy = false;
    const next = again;
    again = null;
    if (next) classify(next);
  }
}

// Whether an answer is an old version's, or that of a drawing which was taken back meanwhile.
const late = (path) => about?.path !== path || (!values && paper.empty);

async function send(path, { say }) {
  if (about?.path !== path) return; // another model is being chosen; it will be asked once it is known
  const given = values && JSON.stringify({ inputs: await values() });
  const image = given ?? await paper.image($("invert").checked);
  const kind = given ? "application/json" : image.type || "application/octet-stream";
  const started = performance.now();
  const response = await ask(path, { method: "POST", body: image, headers: { "Content-Type": kind } });
  const text = await response.text();
  const milliseconds = performance.now() - started;
  if (late(path)) return;
  $("json").textContent = pretty(text);
  if (given) showCommand(path, `-d '${given.replaceAll("'", "'\\''")}'`, kind);
  else showCurl(path, kind, image);
  $("save").parentElement.hidden = Boolean(given);
  $("result").hidden = false;
  if (!response.ok) throw Object.assign(new Error(JSON.parse(text).error), { status: response.status });
  const answer = JSON.parse(text);
  showTime(milliseconds, response.headers.get("Server-Timing"));
  const [first] = answer.predictions ?? [];
  document.querySelector("figure").hidden = !first || (given !== null && !first.mask);
  if (first) {
    showBars(barsOf(first, about));
    if (first.mask) showMask(first.mask);
    else if (!given) await showSeen(path, kind, image);
  } else showLinks(answer.links);
  // A screen reader hears the end of a stroke, not every moment of it.
  if (say && !late(path)) verdict(summary(answer));
}

function summary({ predictions, answer }) {
  if (predictions) return inWords(predictions[0]);
  return Array.isArray(answer) ? answer.map(inWords).join("; ") : answer || "Nothing was found.";
}

function emptied() {
  $("result").hidden = true;
  verdict(values ? "Fill in an example." : "Draw something, or choose a sample.", "idle");
}

function verdict(text, state = "") {
  $("verdict").className = state;
  $("verdict").textContent = text;
  $("echo").textContent = state === "idle" ? "" : text; // on a phone the answer itself is below the fold
}

function failed(error) {
  if (error.status === 401) {
    $("key-form").hidden = false;
    $("key").focus();
  }
  const reason = error.status ? error.message : "The server does not answer. Is it still running?";
  verdict(`Error: ${reason}`, "bad");
  // Nothing of the last answer stays beside the error.
  showBars([]);
  document.querySelector("figure").hidden = true;
  $("latency").textContent = $("stages").textContent = "";
}

function showBars(bars) {
  $("bars").tBodies[0].replaceChildren(...bars.map((bar) => barRow(...bar)));
}

// Of a chain, what each of its models said of each thing that was found.
function showLinks(links) {
  const said = links.flatMap((link) => link.predictions ?? []);
  $("bars").tBodies[0].replaceChildren(...said.map(({ label, confidence }) => barRow(label, confidence, true)));
}

function barRow(label, value, best) {
  const row = document.createElement("tr");
  row.classList.toggle("best", best);
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = name.title = label;
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.style.width = `${100 * value}%`;
  row.append(name);
  row.insertCell().append(bar);
  row.insertCell().textContent = percent(value);
  return row;
}

function showTime(milliseconds, stages) {
  times = [...times, milliseconds].slice(-HISTORY);
  const median = [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
  $("latency").textContent = `${milliseconds.toFixed(1)} ms` +
    (times.length > 1 ? `; median of the last ${times.length}: ${median.toFixed(1)} ms` : "");
  const most = Math.max(...times);
  const points = times.map((time, index) => `${(120 * index) / (HISTORY - 1)},${28 - (26 * time) / most}`);
  $("spark").toggleAttribute("hidden", times.length < 2);
  document.querySelector("#spark polyline").setAttribute("points", points.join(" "));
  const parts = (stages ?? "").split(", ").map((part) => part.split(";dur=")).filter(([, ms]) => ms);
  $("stages").textContent = parts.length
    ? `Of this in the server: ${parts.map(([stage, ms]) => `${stage} ${Number(ms).toFixed(2)} ms`).join(", ")}.` : "";
}

async function showSeen(path, kind, image) {
  const response = await ask(`${path}/input`, { method: "POST", body: image, headers: { "Content-Type": kind } });
  if (!response.ok) return;
  const old = seenUrl;
  seenUrl = URL.createObjectURL(await response.blob());
  $("seen").src = seenUrl;
  $("seen").alt = `The image as the model is given it, ${sizeText()}`;
  $("seen-text").textContent = `What the model sees: ${sizeText()}`;
  if (old) URL.revokeObjectURL(old);
}

function showMask(mask) {
  $("seen").src = paint(mask);
  $("seen").alt = inWords({ mask });
  $("seen-text").textContent = "The class of every pixel";
}

function showCommand(path, data, kind) {
  const key = $("key-form").hidden ? "" : ' -H "Authorization: Bearer $KEY"';
  $("curl").textContent = `curl${key} -H "Content-Type: ${kind}" ${data} ${new URL(path, document.baseURI)}`;
}

function showCurl(path, kind, image) {
  const name = image.name ?? "image.png";
  // Single quotes, so that a file's name is nothing but a name to the shell.
  const file = /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
  showCommand(path, `--data-binary @${file}`, kind);
  if (sentUrl) URL.revokeObjectURL(sentUrl);
  sentUrl = URL.createObjectURL(image);
  $("save").href = sentUrl;
  $("save").download = name;
}

$("model").addEventListener("change", pickModel);
$("version").addEventListener("change", pickVersion);
$("invert").addEventListener("change", () => classify({ say: true }));
$("file").addEventListener("change", () => $("file").files[0] && take($("file").files[0]));
$("file").addEventListener("click", () => { $("file").value = ""; }); // the same file may be chosen again
for (const what of ["undo", "clear"]) {
  $(what).addEventListener("click", () => {
    paper[what]();
    paper.onChange(false);
  });
}
$("keys").textContent = KEYS;
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    $("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("curl"));
    $("copy").textContent = "Press Ctrl+C";
  }
  setTimeout(() => { $("copy").textContent = "Copy"; }, 2000);
});
onKey(begin);

for (const name of ["dragenter", "dragover"]) {
  $("left").addEventListener(name, (event) => {
    event.preventDefault();
    $("left").classList.add("drop");
  });
}
for (const name of ["dragleave", "drop"]) $("left").addEventListener(name, () => $("left").classList.remove("drop"));
$("left").addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) take(file);
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) take(file);
});

begin();
