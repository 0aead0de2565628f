// The drawing area: strokes and images on black, and what of it is sent. The page at / and the notebook share it.

const STEP = 8; // of a key, of 280
const MOVES = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1],
};
export const KEYS = "Keys: the arrows move the brush (Home, End, Page Up and Page Down slantwise, Shift in small steps), " +
  "Space lowers and lifts it, Backspace takes back, Delete clears.";

export class Paper {
  constructor(canvas, onChange, say = () => {}) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.onChange = onChange; // called with true while a stroke goes on, with false when it has ended
    this.say = say; // called with what a key did
    this.brush = 15; // its width, of 280
    this.whole = false; // a chain finds things in the whole of a drawing, wherever they are
    this.place = [canvas.width / 2, canvas.height / 2]; // of the brush that the keys move
    this.nib = document.createElement("span"); // which shows that place
    this.nib.className = "nib";
    this.nib.hidden = true;
    canvas.after(this.nib);
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel", "blur"]) canvas.addEventListener(name, () => this.end());
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("focus", () => this.showNib(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.showNib(false));
  }

  get empty() {
    return !this.file && !this.strokes.length;
  }

  clear() {
    this.strokes = []; // each a width and its points, so that the last one can be taken back
    this.drawing = false;
    this.file = null; // the bytes of an image that was chosen; null for a drawing
    this.redraw();
  }

  undo() {
    this.drawing = false;
    this.file = null;
    this.strokes.pop();
    this.redraw();
  }

  redraw() {
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    for (const { width, points } of this.strokes) points.forEach((to, at) => this.line(width, points[at - 1] ?? to, to));
  }

  begin(event) {
    if (event.button) return; // and nothing is prevented, so that the keys go to what was drawn on
    this.canvas.setPointerCapture(event.pointerId);
    this.showNib(false);
    this.lower(this.under(event));
  }

  move(event) {
    if (!this.drawing || !this.canvas.hasPointerCapture(event.pointerId)) return;
    for (const step of event.getCoalescedEvents?.() ?? [event]) this.stroke(this.under(step));
    this.onChange(true);
  }

  end() {
    if (!this.drawing) return;
    this.drawing = false;
    this.onChange(false);
  }

  press(event) {
    const held = event.ctrlKey || event.metaKey;
    if (MOVES[event.key] && !held) this.shift(MOVES[event.key], event.shiftKey ? 1 : STEP);
    else if (event.key === " ") this.toggle();
    else if (event.key === "Backspace" || (held && event.key === "z")) this.changed("Taken back.", () => this.undo());
    else if (event.key === "Delete") this.changed("Cleared.", () => this.clear());
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.showNib(true);
  }

  shift([x, y], step) {
    const inside = (value) => Math.min(Math.max(value, 0), this.canvas.width);
    this.place = [inside(this.place[0] + x * step), inside(this.place[1] + y * step)];
    if (!this.drawing) return;
    this.stroke(this.place);
    this.onChange(true);
  }

  toggle() {
    if (this.drawing) return this.end();
    this.lower(this.place);
    this.say("The brush is down.");
  }

  changed(words, change) {
    change();
    this.say(words);
    this.onChange(false);
  }

  showNib(shown) {
    this.nib.hidden = !shown;
    this.nib.classList.toggle("down", this.drawing);
    this.nib.style.left = `${(100 * this.place[0]) / this.canvas.width}%`;
    this.nib.style.top = `${(100 * this.place[1]) / this.canvas.height}%`;
  }

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  lower(place) {
    if (this.file) this.clear(); // whoever draws over a photo means to draw
    this.drawing = true;
    this.strokes.push({ width: this.brush, points: [] });
    this.stroke(place);
    this.onChange(true);
  }

  stroke(to) {
    const { width, points } = this.strokes.at(-1);
    this.line(width, points.at(-1) ?? to, to);
    points.push(to);
    this.place = to;
  }

  line(width, from, to) {
    const pen = this.pen;
    pen.strokeStyle = "#fff";
    pen.lineWidth = width;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }

  async show(file) {
    const bitmap = await createImageBitmap(file);
    this.clear();
    const side = this.canvas.width;
    const scale = side / Math.max(bitmap.width, bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    this.pen.imageSmoothingEnabled = scale < 1;
    this.pen.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
    this.file = file;
    return bitmap;
  }

  // What is sent: a chosen file as it is, a drawing centred, either of them inverted where that is asked for.
  async image(inverted) {
    if (!this.file) {
      const drawing = this.whole ? copied(this.canvas) : centred(this.canvas);
      return toPng(inverted ? invert(drawing) : drawing);
    }
    if (!inverted) return this.file;
    const bitmap = await createImageBitmap(this.file);
    const shrink = Math.min(1, 1024 / Math.max(bitmap.width, bitmap.height));
    return toPng(invert(copied(bitmap, shrink)));
  }
}

function blank(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width), Math.round(height)];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function copied(image, scale = 1) {
  const copy = blank(Math.max(1, image.width * scale), Math.max(1, image.height * scale));
  copy.getContext("2d").drawImage(image, 0, 0, copy.width, copy.height);
  return copy;
}

function toPng(canvas) {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function invert(canvas) {
  const pen = canvas.getContext("2d");
  pen.globalCompositeOperation = "difference";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

// The ink in the middle by its centre of mass, as large as the frame allows: so were the models' own examples taken.
export function centred(canvas) {
  const side = canvas.width;
  const { data } = canvas.getContext("2d").getImageData(0, 0, side, side);
  let [mass, massX, massY, left, top, right, bottom] = [0, 0, 0, side, side, -1, -1];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const ink = data[4 * (y * side + x)];
      if (ink < 16) continue;
      mass += ink;
      massX += ink * (x + 0.5);
      massY += ink * (y + 0.5);
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  }
  const found = blank(side, side);
  if (!mass) return found;
  const [width, height] = [right - left, bottom - top];
  const scale = Math.min(3, (side - 8) / Math.max(width, height)); // a single dot stays a dot
  // Nothing is cut off, however lopsided the drawing is.
  const shift = (centre, start, length) =>
    Math.min(Math.max(side / 2 - (centre - start) * scale, 4), side - 4 - length * scale);
  const [x, y] = [shift(massX / mass, left, width), shift(massY / mass, top, height)];
  found.getContext("2d").drawImage(canvas, left, top, width, height, x, y, width * scale, height * scale);
  return found;
}
