// What a model said of one example, by its task: in words, as bars, and a mask as an image.

export const percent = (value) => `${(100 * value).toFixed(1)}\u202f%`;

const short = (value) => Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));

// One line for an answer.
export function inWords(answer) {
  if ("label" in answer) return `${answer.label}, ${percent(answer.confidence)}`;
  if ("labels" in answer) return answer.labels.join(", ") || "None of the labels";
  if ("value" in answer) return [answer.value].flat().map(short).join(", ");
  if ("score" in answer) return `${answer.outlier ? "An outlier" : "Usual"}, score ${short(answer.score)}`;
  if ("vector" in answer) return `A vector of ${answer.vector.length} numbers`;
  if ("mask" in answer) return `A mask of ${answer.mask[0].length}×${answer.mask.length} pixels`;
  if ("outputs" in answer) {
    return Object.entries(answer.outputs).map(([name, one]) => `${name}: ${inWords(one)}`).join("; ");
  }
  const text = JSON.stringify(answer.tensor ?? answer);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

// The bars of an answer: a name, a value from 0 to 1, and whether it is one of those that were chosen.
export function barsOf(answer, { labels, outputs = [] }) {
  if ("outputs" in answer) {
    const described = Object.fromEntries(outputs.map((output) => [output.name, output]));
    return Object.entries(answer.outputs).flatMap(([name, one]) =>
      barsOf(one, { labels: described[name]?.labels }).map(([label, value, best]) => [`${name}: ${label}`, value, best]));
  }
  if ("mask" in answer) return shares(answer.mask, labels);
  const { probabilities = [], class: best, labels: found } = answer;
  const names = labels?.length === probabilities.length ? labels : probabilities.map((_, index) => String(index));
  // Of many classes, the likeliest ten.
  const order = probabilities.map((_, index) => index);
  const shown = order.length > 12 ? order.sort((a, b) => probabilities[b] - probabilities[a]).slice(0, 10) : order;
  const chosen = (index) => found ? found.includes(names[index]) : index === best;
  return shown.map((index) => [names[index], probabilities[index], chosen(index)]);
}

function shares(mask, labels) {
  const counts = new Map();
  for (const pixel of mask.flat()) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const all = mask.length * mask[0].length;
  const most = Math.max(...counts.values());
  return [...counts].sort(([a], [b]) => a - b)
    .map(([index, count]) => [labels?.[index] ?? String(index), count / all, count === most]);
}

// A mask as the address of an image: grey for the first class, then hues that lie far apart.
export function paint(mask) {
  const canvas = Object.assign(document.createElement("canvas"), { width: mask[0].length, height: mask.length });
  const context = canvas.getContext("2d");
  mask.forEach((row, y) => row.forEach((index, x) => {
    context.fillStyle = index ? `hsl(${(209 + 222.5 * (index - 1)) % 360} 80% 63%)` : "#707070";
    context.fillRect(x, y, 1, 1);
  }));
  return canvas.toDataURL();
}
