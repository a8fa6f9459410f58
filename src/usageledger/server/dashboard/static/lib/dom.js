// Elements without a framework: `h` makes them, `replace` puts them into place.

const SVG = "http://www.w3.org/2000/svg";

/** `h("button", {class: "x", onclick: f, "aria-label": "…"}, …children)`. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
  else if (name === "value" || name === "checked") element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

const ICONS = {
  overview: "M3 3h7v9H3zM14 3h7v5h-7zM14 12h7v9h-7zM3 16h7v5H3z",
  costs: "M12 2v20M17 6.5C17 4.5 14.8 4 12 4S7 5 7 7.5 9.5 11 12 11.7s5 1.6 5 4.3-2.2 4-5 4-5-1-5-3",
  usage: "M4 20v-6M10 20V8M16 20v-9M22 20V4",
  spend: "M4 18a9 9 0 1 1 16 0M12 14l4-5M12 14h.01",
  sources: "M3 5h4l5 7h9M3 19h4l5-7M3 12h9M18 9l3 3-3 3",
  unpriced: "M12 3l9.5 17h-19zM12 10v4M12 17v.5",
  keys: "M15.5 4a4.5 4.5 0 1 1-3.4 7.4L4 19.5V21h3.5v-2.5H10V16h2.3M15.5 8.5h.01",
  menu: "M4 6h16M4 12h16M4 18h16",
  close: "M6 6l12 12M18 6L6 18",
  chevron: "M6 9l6 6 6-6",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  code: "M8 7l-5 5 5 5M16 7l5 5-5 5",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.5l4.5 4.5L19 7.5",
  out: "M9 4H5v16h4M15 8l4 4-4 4M19 12H9",
  back: "M15 6l-6 6 6 6",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
};

/** A line drawing of 24 units, as large as the text beside it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

let last = 0;
/** An id that no other element has. */
export function freshId(stem) {
  last += 1;
  return `${stem}-${last}`;
}

/** Offers `content` as a file of that name. */
export function download(name, content, type) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A button that copies `text()` and says so for a moment. */
export function copyButton(text, what = "Copy") {
  const said = h("span", {}, what);
  const button = h("button", { type: "button", class: "button small", onclick: async () => {
    await copy(text());
    replace(said, "Copied");
    setTimeout(() => replace(said, what), 1500);
  } }, icon("copy"), said);
  said.setAttribute("aria-live", "polite");
  return button;
}

/** The clipboard is closed to pages over plain HTTP from elsewhere; a selection can still be copied there. */
async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = h("textarea", { class: "hidden-copy", "aria-hidden": "true" });
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A modal dialog, open, with a title and a way out; it is gone when it is closed. */
export function openDialog(title, ...content) {
  const id = freshId("dialog");
  const close = h("button", { type: "button", class: "button icon-only", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
  const dialog = h("dialog", { "aria-labelledby": id },
    h("header", {}, h("h2", { id }, title), close),
    h("div", { class: "dialog-body" }, ...content),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
