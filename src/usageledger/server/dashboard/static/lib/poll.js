// Loading and keeping current: what was loaded stays on the page until what replaces it is there.

import { ApiError } from "./api.js";
import { h, replace } from "./dom.js";
import { secondsText, nowSeconds } from "./time.js";

export const REFRESH_SECONDS = 30;

/**
 * Runs `load(signal)` and gives what it brings to `show`; one load at a time, the newest one.
 * `onError(error, hadData)` is told of failures; what is shown stays.
 */
export class Live {
  constructor({ load, show, onError, onBusy = () => {} }) {
    Object.assign(this, { load, show, onError, onBusy });
    this.status = h("p", { class: "live", role: "status" });
    this.hasData = false;
    this.timer = setInterval(() => document.visibilityState === "visible" && this.run({ quiet: true }), REFRESH_SECONDS * 1000);
    this.wake = () => document.visibilityState === "visible" && nowSeconds() - (this.at ?? 0) > REFRESH_SECONDS && this.run({ quiet: true });
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.wake);
  }

  async run({ quiet = false } = {}) {
    if (quiet && this.running) return;
    this.running?.abort();
    const running = new AbortController();
    this.running = running;
    if (!quiet) this.onBusy(true);
    try {
      const found = await this.load(running.signal);
      if (running.signal.aborted) return;
      this.at = nowSeconds();
      await this.show(found);
      this.hasData = true;
      this.say();
    } catch (error) {
      if (running.signal.aborted || error.name === "AbortError") return;
      if (!(error instanceof ApiError)) console.error(error);
      if (error.status !== 401) this.onError(error, this.hasData && quiet);
      if (this.hasData) this.say(error);
    } finally {
      if (this.running === running) {
        this.running = null;
        this.onBusy(false);
      }
    }
  }

  say(error = null) {
    const text = error ? `Not current: as of ${secondsText(this.at, "UTC")} UTC. ${error.message}` : "Live";
    this.status.title = error ? "" : `Asked again every ${REFRESH_SECONDS} seconds`;
    this.status.classList.toggle("stale", Boolean(error));
    if (this.status.textContent !== text) replace(this.status, h("span", { class: "dot" }), text);
  }

  dispose() {
    this.running?.abort();
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
  }
}
