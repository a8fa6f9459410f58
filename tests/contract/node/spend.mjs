// Sets, reads, lists and removes limits of spend and alerts on it through the official client, and prints what it got as JSON.
// The address and the key are in the environment, the id of a project on stdin.
import OpenAI from "openai";
import { readFileSync } from "node:fs";

const client = new OpenAI({
  baseURL: process.env.USAGELEDGER_URL,
  adminAPIKey: process.env.USAGELEDGER_KEY,
  maxRetries: 0,
});
const project = readFileSync(0, "utf8");
const { organization } = client.admin;
const limit = { threshold_amount: 500, currency: "USD", interval: "month" };
const alert = { ...limit, notification_channel: { type: "email", recipients: ["a@example.com"] } };
const failed = (error) => ({ type: error.constructor.name, status: error.status, message: error.error.message });

async function limits(of, ...id) {
  const unset = await of.retrieve(...id).catch(failed);
  const set = await of.update(...id, limit);
  return { unset, set, read: await of.retrieve(...id), deleted: await of.delete(...id) };
}

async function alerts(of, of_alert, ...id) {
  const made = [];
  for (let n = 0; n < 5; n++) made.push(await of.create(...id, alert));
  const listed = [];
  for await (const each of of.list(...id, { limit: 2, order: "desc" })) listed.push(each.id);
  const one = made[0].id;
  const changed = await of.update(one, { ...of_alert, ...alert, threshold_amount: 0 });
  const read = await of.retrieve(one, of_alert);
  const deleted = [];
  for (const each of made) deleted.push(await of.delete(each.id, of_alert));
  return { made, listed, changed, read, deleted, gone: await of.retrieve(one, of_alert).catch(failed) };
}

console.log(
  JSON.stringify({
    limits: [await limits(organization.spendLimit), await limits(organization.projects.spendLimit, project)],
    alerts: [
      await alerts(organization.spendAlerts, {}),
      await alerts(organization.projects.spendAlerts, { project_id: project }, project),
    ],
  }),
);
