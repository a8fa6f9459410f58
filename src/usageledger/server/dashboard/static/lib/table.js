// A table that can be sorted by its heads, with totals below. Rows keep their place in the page when they change.

import { h, icon, replace } from "./dom.js";

const FIRST_ROWS = 50;

export class Table {
  /**
   * columns: [{name, title, number, text(row) → node, order(row) → comparable, full(row) → title, total}]
   * `onSort(name, descending)` is told of a click on a head.
   */
  constructor({ caption, onSort }) {
    this.head = h("thead");
    this.body = h("tbody");
    this.foot = h("tfoot");
    this.more = h("button", { type: "button", class: "button", hidden: true, onclick: () => this.#showAll() });
    const table = h("table", { class: "data" }, h("caption", { class: "visually-hidden" }, caption), this.head, this.body, this.foot);
    this.element = h("div", { class: "table" }, h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table), this.more);
    this.onSort = onSort;
    this.most = FIRST_ROWS;
    this.rows = new Map();
  }

  update({ columns, rows, sort, totals }) {
    this.data = { columns, rows, sort, totals };
    this.#heads(columns, sort);
    const sorted = this.#sorted(columns, rows, sort);
    const shown = sorted.slice(0, this.most);
    const kept = new Map();
    const elements = shown.map((row) => {
      const element = this.rows.get(row.key) ?? h("tr");
      kept.set(row.key, element);
      cells(element, columns, (column) => column.text(row), (column) => column.full?.(row));
      return element;
    });
    this.rows = kept;
    if (!same(this.body.children, elements)) this.body.replaceChildren(...elements);
    replace(this.foot, totals && h("tr", {}, columns.map((column, place) => h(place ? "td" : "th",
      { class: column.number ? "number" : null, scope: place ? null : "row", title: column.totalFull },
      place ? column.total ?? "" : `Total of ${sorted.length.toLocaleString("en-US")}`))));
    this.more.hidden = sorted.length <= shown.length;
    this.more.textContent = `Show all ${sorted.length.toLocaleString("en-US")} rows`;
  }

  #heads(columns, sort) {
    const key = JSON.stringify([columns.map(({ title }) => title), sort]);
    if (key === this.headKey) return;
    const focused = this.head.contains(document.activeElement) ? document.activeElement.dataset.column : null;
    this.headKey = key;
    replace(this.head, h("tr", {}, columns.map((column) => {
      const active = sort.name === column.name;
      const direction = active ? (sort.descending ? "descending" : "ascending") : null;
      if (!column.order) return h("th", { class: column.number ? "number" : null, scope: "col" }, column.title);
      const button = h("button", { type: "button", "data-column": column.name,
        onclick: () => this.onSort(column.name, active ? !sort.descending : Boolean(column.number)) },
      column.title, active && h("span", { class: `arrow ${direction}` }, icon("chevron")));
      return h("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": direction, title: column.doc }, button);
    })));
    if (focused) this.head.querySelector(`[data-column="${focused}"]`)?.focus();
  }

  #sorted(columns, rows, sort) {
    const column = columns.find(({ name, order }) => name === sort.name && order);
    if (!column) return rows;
    const sign = sort.descending ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [left, right] = [column.order(a), column.order(b)];
      if (typeof left === "string") return sign * left.localeCompare(right, "en", { numeric: true });
      return left < right ? -sign : left > right ? sign : 0;
    });
  }

  #showAll() {
    this.most = Infinity;
    this.update(this.data);
    this.body.querySelector(`tr:nth-child(${FIRST_ROWS + 1}) :is(a, button)`)?.focus();
  }
}

function cells(element, columns, text, full) {
  const made = columns.map((column, place) => h(place === 0 ? "th" : "td",
    { class: column.number ? "number" : null, scope: place === 0 ? "row" : null, title: full(column) }, text(column)));
  // A row that says the same is left alone, so that focus and selection stay.
  if (made.length === element.children.length && made.every((cell, place) => cell.isEqualNode(element.children[place]))) return;
  const stop = "a[href], button";
  const focused = [...element.querySelectorAll(stop)].indexOf(document.activeElement);
  element.replaceChildren(...made);
  if (focused >= 0) element.querySelectorAll(stop)[focused]?.focus();
}

function same(children, elements) {
  return children.length === elements.length && elements.every((element, place) => children[place] === element);
}
