// The registry's names for ids, where it has any.

import { listAll } from "./api.js";
import { label } from "./format.js";

const LISTS = {
  project_id: "/v1/organization/projects",
  user_id: "/v1/organization/users",
  api_key_id: "/v1/organization/admin_api_keys",
};

export class Names {
  #known = new Map();
  #loading = new Map();
  #kinds = new Map();

  constructor(scopes, meters) {
    this.scopes = scopes;
    for (const meter of meters) this.#kinds.set(meter.kind, meter.title);
  }

  /** Waits until the names of these dimensions are known; ids do where they cannot be had. */
  async load(dimensions) {
    await Promise.all(dimensions.map((name) => this.#load(name)));
  }

  #load(name) {
    const allowed = name !== "api_key_id" || this.scopes.includes("api.management");
    if (!(name in LISTS) || !allowed) return null;
    if (!this.#loading.has(name)) {
      const kept = listAll(LISTS[name]).then(
        (records) => {
          for (const record of records) this.note(name, record.id, record.name);
        },
        () => this.#loading.delete(name),
      );
      this.#loading.set(name, kept);
    }
    return this.#loading.get(name);
  }

  /** A name that an answer brought. */
  note(dimension, value, name) {
    if (name === null) return;
    if (!this.#known.has(dimension)) this.#known.set(dimension, new Map());
    this.#known.get(dimension).set(value, name);
  }

  /** A value of a dimension as people know it. */
  of(dimension, value) {
    const word = label(dimension).replace(/^[A-Z](?![A-Z])/, (letter) => letter.toLowerCase());
    if (value === null) return `No ${word}`;
    if (value === true || value === false) return value ? label(dimension) : `Not ${word}`;
    if (dimension === "kind") return this.#kinds.get(value) ?? value;
    return this.#known.get(dimension)?.get(value) || value;
  }

  /** A group's values, side by side. */
  ofGroup(group) {
    const parts = Object.entries(group.values).map(([dimension, value]) => this.of(dimension, value));
    return parts.length ? parts.join(" · ") : "Total";
  }
}
