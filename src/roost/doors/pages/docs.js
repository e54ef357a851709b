// Shows openapi.json, and tries its routes.
"use strict";

const METHODS = ["get", "post", "patch", "put", "delete"];
let components = {};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function resolved(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return components[schema.$ref.split("/").pop()] || {};
}

function typed(schema, depth = 0) {
  if (schema && schema.$ref && depth > 3) return schema.$ref.split("/").pop();
  const known = resolved(schema);
  if (known.anyOf) return known.anyOf.map((one) => typed(one, depth)).join(" | ");
  if (known.type === "array") return [typed(known.items, depth + 1)];
  if (known.properties) {
    const required = new Set(known.required || []);
    return Object.fromEntries(
      Object.entries(known.properties).map(([key, value]) => [required.has(key) ? key : key + "?", typed(value, depth + 1)]),
    );
  }
  return known.type || "any";
}

function shape(schema) {
  const value = typed(schema);
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function example(schema) {
  const known = resolved(schema);
  const fields = Object.entries(known.properties || {}).filter(([, value]) => "default" in value || value.type);
  return JSON.stringify(Object.fromEntries(fields.map(([key, value]) => [key, value.default ?? null])), null, 2);
}

function content(holder) {
  const [kind, found] = Object.entries((holder && holder.content) || {})[0] || [];
  return kind ? { kind, schema: found.schema } : null;
}

function responses(operation) {
  const rows = Object.entries(operation.responses).map(([status, answer]) =>
    element("tr", {}, element("td", {}, element("code", {}, status)), element("td", {}, answer.description)),
  );
  return element("table", {}, ...rows);
}

function address(path, inputs) {
  let url = path;
  const query = new URLSearchParams();
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(parameter.name, input.value);
  }
  return query.size ? `${url}?${query}` : url;
}

async function send(method, url, body, out, signal) {
  const headers = {};
  const token = document.getElementById("token").value;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== null) headers["Content-Type"] = "application/json";
  const answer = await fetch(url, { method, headers, body, signal });
  out.textContent = `${answer.status} ${answer.statusText}\n`;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) out.textContent += part.value;
}

function trial(method, path, operation) {
  const inputs = (operation.parameters || []).map((parameter) => [
    parameter,
    element("input", { placeholder: parameter.description || "", "aria-label": parameter.name }),
  ]);
  const wanted = content(operation.requestBody);
  const body = wanted && element("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (body) body.value = example(wanted.schema);
  const out = element("pre", { hidden: "" });
  let running = null;
  const button = element("button", { type: "button", onclick: run }, "Send");

  async function run() {
    if (running) return running.abort();
    running = new AbortController();
    button.textContent = "Stop";
    out.hidden = false;
    out.textContent = "";
    try {
      await send(method.toUpperCase(), address(path, inputs), body ? body.value : null, out, running.signal);
    } catch (error) {
      out.textContent += `\n${error}`;
    }
    running = null;
    button.textContent = "Send";
  }

  const labels = inputs.map(([parameter, input]) => element("label", {}, `${parameter.name} `, input));
  return element("div", { class: "try" }, element("h3", {}, "Try it"), ...labels, ...(body ? [body] : []), element("p", {}, button), out);
}

function detail(method, path, operation) {
  const parts = [];
  const asked = content(operation.requestBody);
  if (asked) parts.push(element("h3", {}, "Body"), element("pre", {}, shape(asked.schema)));
  const success = Object.values(operation.responses)[0];
  const told = content(success);
  if (told) parts.push(element("h3", {}, `Answer (${told.kind})`), element("pre", {}, shape(told.schema)));
  parts.push(element("h3", {}, "Statuses"), responses(operation), trial(method, path, operation));
  return element("div", {}, ...parts);
}

function entry(method, path, operation) {
  const box = element(
    "details",
    { "data-words": `${method} ${path} ${operation.summary}`.toLowerCase() },
    element(
      "summary",
      {},
      element("span", { class: "method" }, method.toUpperCase()),
      element("span", { class: "path" }, path),
      element("span", { class: "said" }, operation.summary),
    ),
  );
  box.addEventListener("toggle", () => box.open && box.children.length === 1 && box.append(detail(method, path, operation)));
  return box;
}

function show(api) {
  components = api.components.schemas;
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      const tag = methods[method].tags[0];
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", {}, tag)));
      groups.get(tag).append(entry(method, path, methods[method]));
    }
  }
  document.getElementById("list").replaceChildren(...groups.values());
}

document.getElementById("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase();
  for (const box of document.querySelectorAll("details")) box.hidden = !box.dataset.words.includes(words);
});

fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => document.getElementById("list").replaceChildren(String(error)));
