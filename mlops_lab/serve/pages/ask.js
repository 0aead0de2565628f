// One way to ask the server, with the API key if there is one. The key stays in this page's memory.

let key = "";

// The form for the key, for a server that wants one.
export function onKey(then) {
  document.getElementById("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    key = document.getElementById("key").value.trim();
    then();
  });
}

export function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  return fetch(path, { ...options, headers, cache: "no-store" });
}

// JSON to read: numbers side by side, for a column of ten would hide the rest.
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
      .replace(/\[\s+([-\d.e,\s]+?)\s+\]/g, (_, numbers) => `[${numbers.replace(/\s+/g, " ")}]`);
  } catch {
    return text;
  }
}
