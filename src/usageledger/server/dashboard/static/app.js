// Where the page begins: who is signed in, which view an address names, and what all views share.

import { get, onSignedOut } from "./lib/api.js";
import { problem } from "./lib/controls.js";
import { h, icon, replace } from "./lib/dom.js";
import { Explore } from "./views/explore.js";
import { KeysView } from "./views/keys.js";
import { Names } from "./lib/names.js";
import { Overview } from "./views/overview.js";
import { Shell } from "./lib/shell.js";
import { SourcesView } from "./views/sources.js";
import { SpendView } from "./views/spend.js";
import { session, signInPage, signOut } from "./views/sign_in.js";
import { UnpricedView } from "./views/unpriced.js";

const root = document.getElementById("app");
let shell = null;
let view = null;
let viewPath = null;
let context = null;

/** The address that differs from this one by `changes`: null removes, a list is given again and again. */
function addressWith(path, parameters, changes) {
  const next = new URLSearchParams(parameters);
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) if (each !== null && each !== undefined) next.append(name, each);
  }
  return next.size ? `${path}?${next}` : path;
}

function makeContext(who, meters) {
  return {
    session: who,
    meters,
    names: new Names(who.key.scopes, meters),
    address: (changes) => addressWith(location.pathname, new URLSearchParams(location.search), changes),
    navigate: (changes) => go(context.address(changes)),
    /** Another view with the same range and zone. */
    link: (path, changes) => {
      const kept = [...new URLSearchParams(location.search)].filter(([name]) => ["range", "start", "end", "timezone"].includes(name));
      return addressWith(path, kept, changes);
    },
    unpricedNotice: () => h("div", { class: "notice warn" }, icon("unpriced"),
      h("p", {}, h("strong", {}, "Some usage of this range has no known price"), " and is in no amount. ", h("a", { href: context.link("/unpriced", {}) }, "See what it is"))),
  };
}

function go(address) {
  history.pushState(null, "", address);
  route();
}

function viewOf(path) {
  const meter = context.meters.find((each) => path === (each.priced ? "/costs" : `/usage/${each.kind}`));
  if (meter) return new Explore(context, meter);
  if (path === "/spend") return new SpendView(context);
  if (path === "/sources") return new SourcesView(context);
  if (path === "/unpriced") return new UnpricedView(context);
  if (path === "/keys") return new KeysView(context);
  return new Overview(context);
}

function route() {
  const path = location.pathname;
  const parameters = new URLSearchParams(location.search);
  const another = path !== viewPath;
  if (another) {
    view?.dispose();
    view = viewOf(path);
    viewPath = path;
  }
  shell.show(view.element, path, parameters);
  view.show(parameters);
  if (another) {
    const title = view.element.querySelector("h1");
    document.title = `${title.textContent} · UsageLedger`;
    scrollTo(0, 0);
    if (document.activeElement !== document.body) title.focus({ preventScroll: true });
  }
}

/** Links within the dashboard do not load the page anew. */
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || link.download || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", () => shell && route());

function leave() {
  for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
  view?.dispose();
  [view, viewPath, shell, context] = [null, null, null, null];
}

function askForKey(reason) {
  leave();
  const { page, focus } = signInPage(reason, start);
  document.title = "Sign in · UsageLedger";
  replace(root, page);
  focus();
}

onSignedOut((error) => context && askForKey(error.message));

async function start() {
  try {
    const who = await session();
    if (!who.key) {
      askForKey(null);
      return;
    }
    const { body } = await get("/v1/meters");
    context = makeContext(who, body.data);
    shell = new Shell({ session: who, meters: body.data, onSignOut: async () => {
      await signOut();
      askForKey(null);
    } });
    replace(root, shell.element);
    route();
  } catch (error) {
    if (error.status === 401) askForKey(error.message);
    else replace(root, h("main", { class: "sign-in" }, problem(error, start)));
  }
}

start();
