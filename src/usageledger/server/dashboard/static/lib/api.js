// The API as every client has it; the session's cookie stands for a key, and the header says that our own page asks.

import { parseJson } from "./exact.js";

const PAGE_HEADER = "x-usageledger-dashboard";
const ATTEMPTS = 3; // of a request that is refused for the moment
const WAIT_SECONDS_MAX = 5;

/** An answer that is no success. `status` is 0 where there was none at all. */
export class ApiError extends Error {
  constructor(message, status, code, requestId) {
    super(message);
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

let signedOut = () => {};
/** What happens when an answer says that nobody is signed in. */
export function onSignedOut(action) {
  signedOut = action;
}

/** The parsed body and the headers of an answer. */
export async function call(path, { method = "GET", body, signal } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await send(path, method, body, signal);
    const wait = Number(response.headers.get("retry-after"));
    if (wait && wait <= WAIT_SECONDS_MAX && attempt < ATTEMPTS) {
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
      continue;
    }
    return { body: await read(response), headers: response.headers };
  }
}

async function send(path, method, body, signal) {
  const headers = { [PAGE_HEADER]: "1", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached. Is it running, and are you online?", 0, "unreachable", null);
  }
}

async function read(response) {
  const text = await response.text();
  let body = null;
  try {
    body = parseJson(text);
  } catch {
    throw new ApiError(`The answer is not JSON: ${text.slice(0, 200)}`, response.status, "no_json", null);
  }
  if (response.ok) return body;
  const { message, code } = body.error ?? { message: response.statusText, code: null };
  const error = new ApiError(message, response.status, code, response.headers.get("x-request-id"));
  if (error.status === 401) signedOut(error);
  throw error;
}

export async function get(path, parameters = [], signal = undefined) {
  const query = new URLSearchParams(parameters).toString();
  return call(query ? `${path}?${query}` : path, { signal });
}

/** Every entry of a list that is paged by `after`. */
export async function listAll(path, limit = 100, most = 20) {
  const found = [];
  let after = [];
  for (let page = 0; page < most; page += 1) {
    const { body } = await get(path, [["limit", limit], ...after]);
    found.push(...body.data);
    if (!body.has_more) break;
    after = [["after", body.last_id]];
  }
  return found;
}

/** Every bucket of a question, page by page, and how many rate cards in it have no price. */
export async function buckets(path, parameters, signal) {
  const data = [];
  let unpriced = 0;
  let page = [];
  do {
    const { body, headers } = await get(path, [...parameters, ...page], signal);
    data.push(...body.data);
    unpriced += Number(headers.get("x-usageledger-unpriced") ?? 0);
    page = body.next_page ? [["page", body.next_page]] : [];
  } while (page.length);
  return { data, unpriced };
}
