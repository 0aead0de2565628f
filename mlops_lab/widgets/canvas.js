// The drawing area in a notebook. The page's own canvas.js, which defines Paper and KEYS, precedes this in one module.

const BRUSHES = [["fine", 12], ["medium", 20], ["broad", 44]];

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function parts(brush) {
  const canvas = make("canvas", { width: 280, height: 280, tabIndex: 0 });
  const keys = make("p", { className: "keys", id: `keys-${crypto.randomUUID?.() ?? Math.random()}`, textContent: KEYS });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Drawing area");
  canvas.setAttribute("aria-describedby", keys.id);
  canvas.dataset.lmSuppressShortcuts = "true"; // the arrow keys move the brush, not the notebook's selection
  const status = make("p", { className: "status", textContent: "Draw something." });
  status.setAttribute("role", "status");
  const options = BRUSHES.map(([name, width]) => new Option(name, width, false, width === brush));
  return {
    canvas, keys, status,
    brush: make("select", {}, ...options),
    centre: make("input", { type: "checkbox", checked: true }),
    invert: make("input", { type: "checkbox" }),
    undo: make("button", { type: "button", textContent: "Undo" }),
    clear: make("button", { type: "button", textContent: "Clear" }),
  };
}

function layout({ canvas, keys, status, brush, centre, invert, undo, clear }) {
  const buttons = make("div", { className: "row" }, make("label", {}, "Brush ", brush), undo, clear);
  const checks = make("div", { className: "row" }, make("label", {}, centre, " Centre"), make("label", {}, invert, " Invert"));
  return make("div", { className: "lab-canvas" }, make("div", { className: "paper" }, canvas), status, buttons, checks, keys);
}

function render({ model, el }) {
  const on = parts(model.get("brush"));
  el.append(layout(on));
  let busy = false; // the kernel handles one drawing at a time; the latest of the others is sent afterwards
  let again = null;

  const paper = new Paper(on.canvas, (drawing) => send(!drawing), (text) => { on.status.textContent = text; });
  paper.brush = model.get("brush");

  async function send(done) {
    if (busy) {
      again = done || again === true;
      return;
    }
    busy = true;
    const image = paper.empty ? [] : [await (await paper.image(on.invert.checked)).arrayBuffer()];
    model.send({ kind: "drawing", done }, undefined, image);
  }

  // The kernel's text is empty during a stroke, so that a screen reader announces only its end.
  function handleReply({ text }) {
    if (text) on.status.textContent = text;
    busy = false;
    const next = again;
    again = null;
    if (next !== null) send(next);
  }

  on.brush.addEventListener("change", () => { paper.brush = Number(on.brush.value); });
  on.centre.addEventListener("change", () => { paper.whole = !on.centre.checked; paper.onChange(false); });
  on.invert.addEventListener("change", () => paper.onChange(false));
  on.undo.addEventListener("click", () => { paper.undo(); paper.onChange(false); });
  on.clear.addEventListener("click", () => { paper.clear(); paper.onChange(false); });
  model.on("msg:custom", handleReply);
  model.send({ kind: "alive" });
  return () => model.off("msg:custom", handleReply);
}

export default { render };
