// What is around every view: the list of views, and who is signed in.

import { h, icon, replace } from "./dom.js";

export class Shell {
  constructor({ session, meters, onSignOut }) {
    const version = document.querySelector("meta[name=usageledger-version]").content;
    this.links = [];
    const link = (href, name, text) => {
      const element = h("a", { href, "data-view": href }, icon(name), h("span", {}, text));
      this.links.push(element);
      return h("li", {}, element);
    };
    const usage = meters.filter((meter) => !meter.priced);
    const manages = session.key.scopes.includes("api.management");
    this.nav = h("nav", { id: "nav", class: "nav", "aria-label": "Views" },
      h("a", { class: "brand", href: "/" }, brandMark(), h("span", {}, "UsageLedger")),
      h("ul", {}, link("/", "overview", "Overview"), link("/costs", "costs", "Costs")),
      h("h2", {}, "Usage"),
      h("ul", { class: "kinds" }, usage.map((meter) => link(`/usage/${meter.kind}`, "usage", meter.title))),
      h("h2", {}, "Ledger"),
      h("ul", {}, link("/spend", "spend", "Spend"), link("/sources", "sources", "Sources"), link("/unpriced", "unpriced", "Unpriced"), manages && link("/keys", "keys", "Keys")),
      h("div", { class: "account" },
        h("div", {}, h("strong", { title: session.key.name }, session.key.name), h("span", { class: "muted small" }, session.key.redacted_value)),
        h("button", { type: "button", class: "button icon-only", "aria-label": "Sign out", title: "Sign out", onclick: onSignOut }, icon("out"))),
      h("p", { class: "muted small version" }, `UsageLedger ${version}`));
    this.menu = h("button", { type: "button", class: "button icon-only", "aria-label": "Menu", "aria-controls": "nav", "aria-expanded": "false", onclick: () => this.toggle() }, icon("menu"));
    this.main = h("main", { id: "main" });
    this.element = h("div", { class: "shell" },
      h("a", { class: "skip", href: "#main" }, "Skip to content"),
      h("header", { class: "phone-bar" }, this.menu, h("a", { class: "brand", href: "/" }, brandMark(), h("span", {}, "UsageLedger"))),
      this.nav, this.main);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
    this.main.addEventListener("click", () => this.toggle(false));
  }

  toggle(open = this.menu.getAttribute("aria-expanded") !== "true") {
    this.menu.setAttribute("aria-expanded", String(open));
    this.nav.classList.toggle("open", open);
  }

  /** Puts a view on the page and marks it in the list. Links keep the range and the zone of the address. */
  show(element, path, parameters) {
    if (this.main.firstChild !== element) replace(this.main, element);
    const kept = new URLSearchParams([...parameters].filter(([name]) => ["range", "start", "end", "timezone"].includes(name)));
    for (const link of this.links) {
      const view = link.dataset.view;
      link.href = kept.size && view !== "/keys" ? `${view}?${kept}` : view;
      if (view === path) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.toggle(false);
  }
}

export function brandMark() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  const shape = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    svg.append(element);
  };
  shape("rect", { width: 32, height: 32, rx: 8 });
  shape("path", { d: "M8 22.5v-6M13.3 22.5v-11M18.7 22.5v-8M24 22.5v-13" });
  return svg;
}
