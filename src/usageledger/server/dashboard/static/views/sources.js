// What sends usage, and what of it is not counted and why.

import { get } from "../lib/api.js";
import { empty, problem, setBusy, skeleton } from "../lib/controls.js";
import { copyButton, h, openDialog, replace } from "../lib/dom.js";
import { exact } from "../lib/exact.js";
import { count } from "../lib/format.js";
import { Live } from "../lib/poll.js";
import { zoneOf } from "../lib/question.js";
import { Table } from "../lib/table.js";
import { momentText } from "../lib/time.js";
import { recipes } from "./recipes.js";

export class SourcesView {
  constructor(context) {
    this.manages = context.session.key.scopes.includes("api.management");
    this.sort = { name: "last_seen", descending: true };
    this.results = h("div", {}, skeleton(6, 40));
    this.table = new Table({ caption: "Sources", onSort: (name, descending) => {
      this.sort = { name, descending };
      this.#draw();
    } });
    this.card = h("div", { class: "card" }, this.table.element);
    this.live = new Live({
      load: async (signal) => (await get("/v1/sources", [], signal)).body.data,
      show: (sources) => this.#show(sources),
      onError: (error, hadData) => !hadData && replace(this.results, problem(error, () => this.live.run())),
      onBusy: (busy) => setBusy(this.element, busy),
    });
    this.connect = h("button", { type: "button", class: "button", hidden: true, "aria-haspopup": "dialog", onclick: () => this.#connect() }, "Connect another");
    this.element = h("section", { class: "view" },
      h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, "Sources"), h("div", { class: "actions" }, this.live.status, this.connect)),
      h("p", { class: "lead" }, "What agents, libraries, gateways and vendors sent, and what of it is not counted and why. Events of your own, sent to /v1/events, are not listed here."),
      this.results);
  }

  show(parameters) {
    this.zone = zoneOf(parameters);
    this.live.run();
  }

  #show(sources) {
    this.rows = sources.map((source) => ({ ...source, key: JSON.stringify([source.emitter, source.version]) }));
    this.connect.hidden = sources.length === 0;
    if (sources.length === 0) {
      replace(this.results, h("div", { class: "card" }, empty("Nothing was sent yet", "Point what you already run at this server, and it is listed here at once."), h("h2", {}, "How to begin"), recipes(this.manages)));
      return;
    }
    this.#draw();
    if (this.results.firstChild !== this.card) replace(this.results, this.card);
  }

  #draw() {
    this.table.update({ columns: this.#columns(), rows: this.rows, sort: this.sort });
  }

  #columns() {
    const number = (name, title, doc) => ({ name, title, doc, number: true, order: (source) => exact(source[name]), text: (source) => count(exact(source[name])) });
    const tallies = (name, title, doc) => ({ name, title, doc, order: (source) => total(source[name]), text: (source) => source[name].length > 0 && this.#tallies(source, name) });
    return [
      { name: "emitter", title: "Emitter", order: (source) => source.emitter, text: nameAndVersion },
      number("counted", "Counted", "Events that are counted"),
      tallies("not_counted", "Not counted", "What is in no number of usage, by reason"),
      tallies("notes", "Notes", "What is to be known of events that are counted"),
      number("sent_again", "Sent again", "Events that came again, and are counted once"),
      { name: "last_seen", title: "Last seen", order: (source) => source.last_seen_at, text: (source) => momentText(source.last_seen_at, this.zone) },
    ];
  }

  #tallies(source, name) {
    return h("ul", { class: "tallies" }, source[name].map((tally) => h("li", {}, h("button", { type: "button", class: "button small", "aria-haspopup": "dialog", onclick: () => this.#explain(source, tally) },
      count(exact(tally.count)), " ", words(tally.reason)))));
  }

  /** A reason in full, with what can be done. */
  #explain(source, tally) {
    this.dialog = openDialog(`${words(tally.reason)[0].toUpperCase()}${words(tally.reason).slice(1)}`,
      h("p", {}, withCode(tally.meaning)),
      h("h3", {}, "What can be done"), h("p", {}, withCode(tally.remedy)),
      tally.example && [h("h3", {}, "An example, by its id"), h("div", { class: "secret" }, h("code", { tabindex: "0" }, h("bdi", {}, tally.example)), copyButton(() => tally.example))],
      h("h3", {}, "From"), h("div", { class: "emitter" }, nameAndVersion(source)),
      h("p", { class: "muted small" }, `${count(exact(tally.count))} of them, the last on ${momentText(tally.last_at, this.zone)}.`));
  }

  #connect() {
    this.dialog = openDialog("Connect another source", recipes(this.manages));
  }

  dispose() {
    this.live.dispose();
    this.dialog?.close();
  }
}

function nameAndVersion({ emitter, version }) {
  return [h("bdi", { class: "emitter" }, breakable(emitter)), version && h("div", { class: "muted small emitter" }, h("bdi", {}, breakable(version)))];
}

/** A name that is too long for its line is broken where its parts end, if it can be. */
const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);
const words = (reason) => reason.replaceAll("_", " ");
const total = (tallies) => tallies.reduce((sum, tally) => sum + exact(tally.count), 0n);
/** A text in which code stands between backticks. */
const withCode = (text) => text.split("`").map((part, place) => (place % 2 ? h("code", {}, part) : part));
