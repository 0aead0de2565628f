// The page at /docs: what /openapi.json says, with a form for each route.

import { ask, onKey, pretty } from "./ask.js";

const $ = (id) => document.getElementById(id);
const VERBS = ["get", "post", "put", "patch", "delete"];
let api = null;

function node(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A {"$ref": "#/…"} stands for another part of the document.
function whole(part) {
  return part?.$ref ? part.$ref.slice(2).split("/").reduce((place, word) => place[word], api) : part;
}

async function begin() {
  let response;
  try {
    response = await ask("openapi.json");
  } catch {
    $("about").textContent = "The server does not answer. Is it still running?";
    return;
  }
  const answer = await response.json();
  if (!response.ok) {
    $("key-form").hidden = response.status !== 401;
    $("about").textContent = `Error: ${answer.error}`;
    return;
  }
  api = answer;
  $("about").textContent = `${api.info.title} ${api.info.version}. ${api.info.description}`;
  $("key-form").hidden = !api.security;
  $("routes").replaceChildren(...api.tags.map(drawTag));
}

// The first group is open; the others would make a long page of it.
function drawTag({ name, description }, place) {
  const routes = Object.entries(api.paths).flatMap(([path, item]) => VERBS
    .filter((verb) => item[verb]?.tags?.includes(name))
    .map((verb) => drawRoute(path, verb, item[verb], item.parameters ?? [])));
  const title = node("h2", { textContent: `${name[0].toUpperCase()}${name.slice(1)} (${routes.length})` });
  return node("details", { className: "group", open: place === 0 }, node("summary", {}, title),
    node("p", { className: "quiet", textContent: description }), ...routes);
}

function drawRoute(path, verb, operation, shared) {
  const summary = node("summary", {}, node("span", { className: "verb", textContent: verb.toUpperCase() }), " ",
    node("code", { textContent: path }), ` ${operation.summary}`);
  const box = node("details", { className: "route" }, summary);
  // A server with many models has many routes: a form is made when it is looked at.
  box.addEventListener("toggle", () => {
    if (box.open && !box.querySelector("form")) box.append(...drawForm(path, verb, operation, shared));
  });
  return box;
}

function drawForm(path, verb, operation, shared) {
  const parameters = [...shared, ...(operation.parameters ?? [])].map(whole);
  const form = node("form");
  const fields = parameters.map((parameter) => [parameter, drawField(parameter)]);
  form.append(...fields.map(([parameter, field]) => node("label", {}, `${parameter.name} `, field)));
  const body = operation.requestBody && drawBody(whole(operation.requestBody));
  if (body) form.append(...body.nodes);
  const output = node("div", { ariaLive: "polite" });
  form.append(node("p", {}, node("button", { type: "submit", className: "primary", textContent: "Send" })), output);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const filled = fields.reduce((text, [{ name }, field]) => text.replace(`{${name}}`, encodeURIComponent(field.value)), path);
    await send(verb, filled.slice(1), body?.read() ?? {}, output);
  });
  return [form, node("h3", { textContent: "What it answers" }), drawResponses(operation.responses)];
}

function drawField({ schema, name }) {
  if (schema?.enum) return node("select", { name }, ...schema.enum.map((word) => new Option(word, word)));
  return node("input", { name });
}

function drawBody({ description, content }) {
  const kind = node("select", {}, ...Object.keys(content).map((word) => new Option(word, word)));
  const text = node("textarea", { spellcheck: false });
  const file = node("input", { type: "file", multiple: true });
  const [textLabel, fileLabel] = [node("label", {}, "Body ", text), node("label", {}, "File ", file)];
  const change = () => {
    const isJson = kind.value === "application/json";
    textLabel.hidden = !isJson;
    fileLabel.hidden = isJson;
    file.accept = kind.value.startsWith("image/") ? kind.value : "";
    if (isJson) text.value = JSON.stringify(content[kind.value].example ?? {});
  };
  kind.addEventListener("change", change);
  if ("application/json" in content) kind.value = "application/json";
  change();
  const read = () => {
    if (kind.value === "application/json") return { body: text.value, headers: { "Content-Type": kind.value } };
    if (kind.value !== "multipart/form-data") return { body: file.files[0], headers: { "Content-Type": kind.value } };
    const form = new FormData(); // the browser adds the boundary to the content type
    for (const one of file.files) form.append("image", one);
    return { body: form };
  };
  const about = node("p", { className: "quiet", textContent: description ?? "" });
  return { nodes: [about, node("label", {}, "Content type ", kind), textLabel, fileLabel], read };
}

async function send(verb, path, request, output) {
  output.replaceChildren("Asking…");
  const started = performance.now();
  let response;
  try {
    response = await ask(path || ".", { ...request, method: verb.toUpperCase() });
  } catch {
    output.replaceChildren("The server does not answer. Is it still running?");
    return;
  }
  const bytes = await response.blob();
  const title = `${response.status} ${response.statusText} in ${(performance.now() - started).toFixed(1)} ms, ` +
    `${bytes.size} bytes of ${bytes.type || "no type"}`;
  output.replaceChildren(node("p", {}, node("strong", { textContent: title })), await drawAnswer(bytes));
}

async function drawAnswer(bytes) {
  if (bytes.type.startsWith("image/")) {
    const image = node("img", { id: "seen", alt: "The image that came back", src: URL.createObjectURL(bytes) });
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    return image;
  }
  const text = await bytes.text();
  const shown = bytes.type.includes("json") ? pretty(text) : text;
  return node("pre", { tabIndex: 0, ariaLabel: "The answer", textContent: shown.slice(0, 100_000) });
}

function drawResponses(responses) {
  const head = node("thead", {}, node("tr", {}, ...["Status", "Meaning", "Content"].map((word) =>
    node("th", { scope: "col", textContent: word }))));
  const rows = Object.entries(responses).map(([status, found]) => {
    const { description, content } = whole(found);
    const kinds = Object.entries(content ?? {}).map(([kind, { schema }]) =>
      [kind, schema?.$ref?.split("/").at(-1)].filter(Boolean).join(": "));
    return node("tr", {}, ...[status, description, kinds.join(", ")].map((text) => node("td", { textContent: text })));
  });
  return node("table", {}, head, node("tbody", {}, ...rows));
}

onKey(begin);

begin();
