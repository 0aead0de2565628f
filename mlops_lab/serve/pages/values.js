// Fields for what a model takes beside one image: numbers for a table, a box for text, a file for each further image.

const MOST_FIELDS = 64; // of longer rows, one box takes all numbers

export const isImage = (spec) => spec?.preprocessing?.kind === "image";

// The inputs of a model, from its description.
export const inputsOf = (about) => about.inputs ?? (about.input ? [about.input] : []);

// Fill an element with the fields of some inputs; returns a function that reads them as the JSON of a request.
export function fields(element, specs, onChange) {
  const readers = specs.map((spec) => [spec.name, field(element, spec, specs.length > 1)]);
  element.addEventListener("input", onChange);
  return async () => Object.fromEntries(await Promise.all(readers.map(async ([name, read]) => [name, [await read()]])));
}

function field(element, spec, several) {
  const group = document.createElement("fieldset");
  const legend = document.createElement("legend");
  legend.textContent = several || !spec.columns ? spec.name : "One row";
  group.append(legend);
  element.append(group);
  if (isImage(spec)) return file(group, spec);
  if (spec.dtype === "str") return text(group, spec);
  const size = spec.shape.reduce((product, side) => product * (side ?? NaN), 1);
  return spec.shape.length < 2 && size <= MOST_FIELDS ? numbers(group, spec, size) : lists(group, spec);
}

function label(group, words, input) {
  const one = document.createElement("label");
  one.append(words, input);
  group.append(one);
  return input;
}

function numbers(group, spec, size) {
  group.classList.add("numbers");
  const names = spec.columns ?? Array.from({ length: size }, (_, place) => (size > 1 ? String(place + 1) : "a number"));
  const inputs = names.map((name) => {
    const input = label(group, name, document.createElement("input"));
    Object.assign(input, { type: "number", step: spec.dtype.startsWith("float") ? "any" : "1", value: "0" });
    return input;
  });
  return () => {
    const values = inputs.map((input) => (spec.dtype === "bool" ? input.valueAsNumber !== 0 : input.valueAsNumber));
    if (values.some(Number.isNaN)) throw Object.assign(new Error("Fill every field with a number."), { status: 400 });
    return spec.shape.length ? values : values[0];
  };
}

function text(group, spec) {
  const box = label(group, "Text", document.createElement("textarea"));
  box.value = "Some text";
  const wrap = (value) => spec.shape.reduce((inner) => [inner], value);
  return () => wrap(box.value);
}

function lists(group, spec) {
  const sides = spec.shape.map((side) => side ?? "any").join("×");
  const box = label(group, `Numbers in JSON, ${sides}`, document.createElement("textarea"));
  box.value = JSON.stringify(spec.shape.reduceRight((inner, side) => Array(side ?? 1).fill(inner), 0));
  return () => {
    try {
      return JSON.parse(box.value);
    } catch {
      throw Object.assign(new Error(`The numbers of ${spec.name} are not JSON.`), { status: 400 });
    }
  };
}

function file(group, spec) {
  const input = label(group, "An image", document.createElement("input"));
  Object.assign(input, { type: "file", accept: "image/png,image/jpeg" });
  return () => new Promise((resolve, reject) => {
    if (!input.files[0]) return reject(Object.assign(new Error(`Choose an image for ${spec.name}.`), { status: 400 }));
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(input.files[0]);
  });
}
