// The small parts of a toolbar: a panel below a button, choices, and chips.

import { freshId, h, icon, replace } from "./dom.js";

const GAP = 6;

/** A button with a panel below it, which `fill(panel, close)` fills whenever it opens. */
export function dropdown({ text, label, className = "", fill }) {
  const id = freshId("panel");
  const panel = h("div", { id, class: "panel", popover: "auto" });
  const button = h("button", { type: "button", class: `button ${className}`, popovertarget: id, "aria-expanded": "false", "aria-label": label },
    text, icon("chevron"));
  const close = () => panel.hidePopover();
  panel.addEventListener("beforetoggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open") fill(panel, close);
  });
  panel.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    place(panel, button);
    panel.querySelector("input:not([type=checkbox]), [aria-checked=true], [aria-current=true], input, button")?.focus();
  });
  panel.addEventListener("keydown", arrows);
  return h("div", { class: "dropdown" }, button, panel);
}

function place(panel, button) {
  const box = button.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - panel.offsetWidth - GAP);
  const below = box.bottom + GAP;
  const top = below + panel.offsetHeight > innerHeight ? Math.max(GAP, innerHeight - panel.offsetHeight - GAP) : below;
  panel.style.left = `${Math.max(GAP, left)}px`;
  panel.style.top = `${top}px`;
}

/** Up and down go from one choice of a panel to the next. */
function arrows(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.target.matches("input[type=datetime-local], select")) return;
  const stops = [...event.currentTarget.querySelectorAll("input, button, a[href]")].filter((each) => each.offsetParent);
  stops[stops.indexOf(document.activeElement) + step]?.focus();
  event.preventDefault();
}

/** One of several values, side by side. */
export function segments({ label, options, value, onChange }) {
  return h("div", { class: "segments", role: "group", "aria-label": label },
    options.map(([name, text]) => h("button", {
      type: "button", "aria-pressed": String(name === value), "data-value": name, onclick: () => name !== value && onChange(name),
    }, text)));
}

/** Several of a few values, as boxes to tick: [{value, text, title, checked}]. */
export function options(legend, entries, onChange) {
  return h("div", { class: "options", role: "group", "aria-label": legend }, entries.map(({ value, text, title, checked }) => h("label", { title },
    h("input", { type: "checkbox", value, checked, onchange: (event) => onChange(value, event.target.checked) }),
    h("span", {}, text))));
}

/** What is being done about something that failed. */
export function problem(error, retry) {
  return h("div", { class: "notice error", role: "alert" },
    h("div", {},
      h("strong", {}, error.status === 0 ? "No connection" : error.status ? `The server answered ${error.status}` : "Something went wrong"),
      h("p", {}, error.message),
      error.requestId && h("p", { class: "muted small" }, `Request ${error.requestId}`)),
    retry && h("button", { type: "button", class: "button", onclick: retry }, "Try again"));
}

/** What stands where there is nothing. */
export function empty(title, ...text) {
  return h("div", { class: "empty" }, icon("usage"), h("strong", {}, title), h("p", { class: "muted" }, ...text));
}

/** Says of a view whether something in it is being loaded. */
export function setBusy(element, busy) {
  if (busy) element.setAttribute("aria-busy", "true");
  else element.removeAttribute("aria-busy");
}

/** Grey bars where something will be. */
export function skeleton(lines, height) {
  return h("div", { class: "skeleton", "aria-hidden": "true" }, Array.from({ length: lines }, () => h("div", { style: { height: `${height}px` } })));
}
