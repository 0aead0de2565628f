// The page at /monitor: what the log says about one version, asked again every few seconds. Every address is relative,
// so that the page works behind a proxy's path as well.

import { ask, onKey } from "../pages/ask.js";

const $ = (id) => document.getElementById(id);
const SECONDS = 10;

let models = [];
let asked = 0; // an answer that comes after a later question is not shown

async function look() {
  const mine = ++asked;
  const query = new URLSearchParams({ model: $("model").value, version: $("version").value });
  let response, answer;
  try {
    response = await ask(`monitor/report?${query}`);
    answer = await response.json();
  } catch {
    return mine === asked && say("The server does not answer. Is it still running?", true);
  }
  if (mine !== asked) return;
  if (!response.ok) {
    $("key-form").hidden = response.status !== 401;
    return say(`Error: ${answer.error}`, true);
  }
  $("key-form").hidden = true;
  models = answer.models;
  fill($("model"), models.map(({ name }) => name), answer.model);
  fill($("version"), models.find(({ name }) => name === answer.model)?.versions ?? [], answer.version);
  say(answer.summary || "The log is empty. Send a prediction to the server.", false);
  $("when").textContent = answer.at ? `As of ${new Date(1000 * answer.at).toLocaleTimeString()}, about the last day.` : "";
  draw($("report"), answer.html);
  draw($("log"), answer.log ?? "");
}

// Said anew only where it changed: a reader who listens is not told the same every ten seconds.
function say(words, bad) {
  if ($("status").textContent !== words) $("status").textContent = words;
  $("status").classList.toggle("bad", bad);
}

// Replaced only where it changed, and what was open stays open, with the focus where it was.
function draw(place, html) {
  if (place.last === html) return;
  const boxes = () => [...place.querySelectorAll("details")];
  const open = boxes().map((box) => box.open);
  const focused = boxes().findIndex((box) => box.firstElementChild === document.activeElement);
  place.last = html;
  place.innerHTML = html;
  boxes().forEach((box, number) => { box.open = open[number] ?? false; });
  if (focused >= 0) boxes()[focused]?.firstElementChild.focus();
}

function fill(select, names, chosen) {
  const now = [...select.options].map(({ value }) => value);
  if (now.join("\n") !== names.join("\n")) select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.value = chosen ?? "";
}

$("model").addEventListener("change", () => { $("version").replaceChildren(); look(); });
$("version").addEventListener("change", look);
$("now").addEventListener("click", look);
onKey(look);
setInterval(() => { if ($("again").checked && !document.hidden) look(); }, 1000 * SECONDS);
document.addEventListener("visibilitychange", () => { if ($("again").checked && !document.hidden) look(); });
look();
