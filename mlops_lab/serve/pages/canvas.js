// The drawing area: strokes and pictures on black, and what of it is sent.

const INK = 15; // width of the brush, of 280

export class Paper {
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.onChange = onChange; // called with true while a stroke goes on, with false when it has ended
    this.file = null; // the bytes of a picture that was chosen; null for a drawing
    this.empty = true;
    this.whole = false; // a chain finds things in the whole of a drawing, wherever they are
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.end());
  }

  clear() {
    this.pen.fillStyle = "#000";
    this.pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.file = null;
    this.empty = true;
  }

  begin(event) {
    if (event.button) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    if (this.file) this.clear(); // whoever draws over a photo means to draw
    this.drawing = true;
    this.last = this.place(event);
    this.stroke(this.last);
  }

  move(event) {
    if (!this.drawing) return;
    for (const step of event.getCoalescedEvents?.() ?? [event]) this.stroke(this.place(step));
    this.onChange(true);
  }

  end() {
    if (!this.drawing) return;
    this.drawing = false;
    this.onChange(false);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  stroke(to) {
    const pen = this.pen;
    pen.strokeStyle = "#fff";
    pen.lineWidth = INK;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...this.last);
    pen.lineTo(...to);
    pen.stroke();
    this.last = to;
    this.empty = false;
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
    this.empty = false;
    return bitmap;
  }

  // What is sent: a chosen file as it is, a drawing centred, either of them inverted where that is asked for.
  async picture(inverted) {
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

function copied(picture, scale = 1) {
  const copy = blank(Math.max(1, picture.width * scale), Math.max(1, picture.height * scale));
  copy.getContext("2d").drawImage(picture, 0, 0, copy.width, copy.height);
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
