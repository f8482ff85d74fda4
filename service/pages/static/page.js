"use strict";

// The form of a model: its example, its request, the answer, and the same request as programs write it.
// Everything from the server is added as text, never as HTML.

const MAX_SHOWN = 20; // rows of an answer
const MAX_NUMBERS = 8; // of an embedding
const MAX_SEED = 2 ** 31;
const QUOTES = ["'", '"']; // of names in errors
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const find = (id) => document.getElementById(id);
const form = find("try");
const picture = { file: null, name: "picture.jpg", drawn: null, url: null }; // drawn: where the server has it
let asked = 0; // requests so far: only the answer to the last one is shown

class InvalidField extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

function element(name, attributes, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

// ---- the request

function columnValue(field) {
  if (field.dataset.type === "text") return field.value;
  const text = field.value.trim();
  if (text === "") return null;
  const number = NUMBER.test(text) ? Number(text) : NaN;
  const isExact = field.dataset.type === "number" || !Number.isInteger(number) || Number.isSafeInteger(number);
  return Number.isFinite(number) && isExact ? number : text; // a text, which the server refuses and says why
}

function columns() {
  return [...form.querySelectorAll("[data-column]")];
}

function rows() {
  switch (form.dataset.kind) {
    case "table":
      return [Object.fromEntries(columns().map((field) => [field.dataset.column, columnValue(field)]))];
    case "text":
      return [find("text").value];
    default: {
      try {
        const parsed = JSON.parse(find("rows").value);
        return parsed?.rows ?? parsed; // somebody may paste a whole body
      } catch (error) {
        throw new InvalidField(find("rows"), `This is not JSON: ${error.message}`);
      }
    }
  }
}

function request() {
  if (form.dataset.kind !== "image") {
    return { type: "application/json", body: JSON.stringify({ rows: rows() }) };
  }
  if (picture.file === null) throw new InvalidField(find("picture"), "Choose a picture first.");
  return { type: picture.file.type || "application/octet-stream", body: picture.file };
}

async function send(event) {
  event.preventDefault();
  const turn = ++asked;
  clearProblem();
  try {
    const { type, body } = request();
    find("status").textContent = "Waiting for the answer …";
    find("answer").replaceChildren();
    const began = performance.now();
    const response = await fetch(form.dataset.path, { method: "POST", headers: { "Content-Type": type }, body });
    const text = await response.text();
    const milliseconds = performance.now() - began;
    if (turn !== asked) return;
    if (response.ok) showAnswer(JSON.parse(text), milliseconds, response.headers.get("Server-Timing"));
    else showProblem(...readProblem(response, text));
  } catch (error) {
    if (turn !== asked) return;
    if (error instanceof InvalidField) showProblem(error.message, error.field);
    else showProblem(`The server did not answer: ${error.message}`);
  }
}

// ---- errors

function readProblem(response, text) {
  let message = `${response.status} ${response.statusText}`;
  try {
    message = JSON.parse(text).error ?? message;
  } catch {
    // A proxy answered, and not in JSON.
  }
  for (const field of columns()) {
    for (const quote of QUOTES) {
      const [, problem] = message.split(`column ${quote}${field.dataset.column}${quote}: `);
      if (problem !== undefined) return [problem, field];
    }
  }
  return [message];
}

function showProblem(message, field) {
  find("status").textContent = "";
  find("answer").replaceChildren();
  const place = find("problem");
  place.textContent = message;
  place.hidden = false;
  const shown = field || form.querySelector("textarea, input[type=file]");
  if (shown) shown.setAttribute("aria-invalid", "true");
  if (field?.dataset.column !== undefined) {
    field.setAttribute("aria-describedby", `${field.id}-note problem`);
    field.closest(".field").append(place);
  }
  field?.focus();
}

function clearProblem() {
  const place = find("problem");
  place.hidden = true;
  place.textContent = "";
  form.querySelector(".buttons").before(place);
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    if (field.dataset.column !== undefined) field.setAttribute("aria-describedby", `${field.id}-note`);
  }
}

// ---- the answer

function showAnswer(answer, milliseconds, timing) {
  const predictions = answer.predictions;
  const started = timing === null ? 0 : sum([...timing.matchAll(/dur=([\d.]+)/g)].map((found) => Number(found[1])));
  const cold = started ? `; the start of the server took ${duration(started)}` : "";
  const first = predictions.length === 1 ? headline(predictions[0]) : [`${predictions.length} rows`];
  find("status").replaceChildren(
    element("span", { className: "headline" }, ...first),
    element("span", { className: "note" }, `answered in ${duration(milliseconds)}${cold}`),
  );
  const shown = predictions.slice(0, MAX_SHOWN).flatMap((prediction, row) => {
    const title = predictions.length === 1 ? [] : [element("h3", {}, `Row ${row}: `, ...headline(prediction))];
    return [...title, ...details(prediction)];
  });
  const whole = element("pre", { tabIndex: 0, role: "region", ariaLabel: "The answer as JSON" });
  whole.textContent = JSON.stringify(answer, null, 2);
  find("answer").replaceChildren(...shown, element("details", {}, element("summary", {}, "The answer as JSON"), whole));
  find("status").scrollIntoView({ block: "nearest" });
}

function headline(prediction) {
  if ("label" in prediction) {
    const label = element("b", {}, [prediction.label].flat().join(", "));
    return "confidence" in prediction ? [label, " ", percent(prediction.confidence)] : [label];
  }
  return "value" in prediction ? [element("b", {}, listed(prediction.value))] : ["The answer"];
}

function* details(prediction) {
  for (const [name, value] of Object.entries(prediction)) {
    if (name === "probabilities") yield bars(value, "Confidence of each class", percent, 1);
    else if (name === "scores") yield bars(value, "Score of each class", short, largest(Object.values(value)));
    else if (name === "values") yield bars(value, "Values", short, largest(Object.values(value)));
    else if (!["label", "confidence", "value"].includes(name)) yield element("p", {}, `${name}: ${listed(value)}`);
  }
}

function bars(values, title, format, full) {
  const body = element("tbody", {});
  for (const [name, value] of Object.entries(values).sort((a, b) => b[1] - a[1])) {
    const bar = element("div", { className: "bar" });
    bar.style.width = `${(100 * Math.max(0, value)) / (full || 1)}%`;
    const track = element("td", { className: "track" }, bar);
    track.setAttribute("aria-hidden", "true");
    body.append(
      element("tr", {}, element("th", { scope: "row" }, name), track, element("td", { className: "n" }, format(value))),
    );
  }
  return element("table", { className: "bars" }, element("caption", { className: "hidden" }, title), body);
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const largest = (numbers) => Math.max(...numbers.map(Math.abs));
const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value));
const duration = (milliseconds) => `${Number(milliseconds.toPrecision(3))} ms`;

function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

function listed(value) {
  const numbers = [value].flat(Infinity);
  const more = numbers.length > MAX_NUMBERS ? `, … (${numbers.length} numbers)` : "";
  return numbers.slice(0, MAX_NUMBERS).map(short).join(", ") + more;
}

// ---- examples

async function drawAnother() {
  const address = `${form.dataset.example}?seed=${Math.floor(Math.random() * MAX_SEED)}`;
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error((await response.json()).error);
    if (form.dataset.kind === "image") takePicture(await response.blob(), "drawn.png", address);
    else fill((await response.json()).rows);
    clearProblem();
    showCalls();
  } catch (error) {
    showProblem(`There is no other example: ${error.message}`);
  }
}

function fill(drawn) {
  if (form.dataset.kind === "table") {
    for (const field of columns()) choose(field, drawn[0][field.dataset.column] ?? "");
  } else if (form.dataset.kind === "text") {
    find("text").value = drawn[0];
  } else {
    find("rows").value = `[\n${drawn.map((row) => JSON.stringify(row)).join(",\n")}\n]`;
  }
}

function choose(field, value) {
  const same = (option) => option.value === String(value) || (option.value !== "" && Number(option.value) === value);
  field.value = field.options ? [...field.options].find(same).value : value;
}

function takePicture(file, name, drawn) {
  if (picture.url !== null) URL.revokeObjectURL(picture.url);
  Object.assign(picture, { file, name, drawn, url: URL.createObjectURL(file) });
  const preview = find("preview");
  preview.src = picture.url;
  preview.alt = `The picture ${name}`;
  preview.hidden = false;
  find("chosen").textContent = `${name}, ${(file.size / 1024).toFixed(1)} KiB`;
}

// ---- the same request as programs write it

const absolute = (address) => new URL(address, location.href).href;
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = Array.isArray(value)
    ? value.map(python)
    : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${python(one)}`);
  return Array.isArray(value) ? `[${inner.join(", ")}]` : `{${inner.join(", ")}}`;
}

function showCalls() {
  const url = absolute(form.dataset.path);
  let send;
  let data;
  let before = "";
  let type = "application/json";
  if (form.dataset.kind === "image") {
    type = picture.file?.type || "image/jpeg";
    if (picture.drawn !== null) before = `curl -o ${quote(picture.name)} ${quote(absolute(picture.drawn))}\n`;
    send = `--data-binary ${quote(`@${picture.name}`)}`;
    data = `open(${JSON.stringify(picture.name)}, "rb").read()`;
  } else {
    let body;
    try {
      body = { rows: rows() };
    } catch {
      return; // what is being typed is not JSON yet
    }
    send = `-d ${quote(JSON.stringify(body))}`;
    data = `json.dumps(${python(body)}).encode()`;
  }
  find("curl").textContent = `${before}curl ${quote(url)} \\\n  -H 'Content-Type: ${type}' \\\n  ${send}`;
  find("python").textContent = `import json
import urllib.request

request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=${data},
    headers={"Content-Type": "${type}"},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["predictions"])`;
}

async function copy(button) {
  const source = find(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    // Without TLS a browser has no clipboard for pages; what is selected can be copied still.
    getSelection().selectAllChildren(source);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

// ---- start

function startPicture() {
  const place = form.querySelector(".drop");
  const take = (files) => {
    if (files.length === 0) return;
    takePicture(files[0], files[0].name, null);
    clearProblem();
    showCalls();
  };
  find("picture").addEventListener("change", (event) => take(event.target.files));
  // A picture that is dropped beside the place for it would replace the page.
  for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
  place.addEventListener("drop", (event) => take(event.dataTransfer.files));
  for (const type of ["dragenter", "dragover"]) place.addEventListener(type, () => place.classList.add("over"));
  for (const type of ["dragleave", "drop"]) place.addEventListener(type, () => place.classList.remove("over"));
}

if (form !== null) {
  form.addEventListener("submit", send);
  form.addEventListener("input", showCalls);
  find("another")?.addEventListener("click", drawAnother);
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));
  if (form.dataset.kind === "image") startPicture();
  find("calls").hidden = false;
  showCalls();
}
