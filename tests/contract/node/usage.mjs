// Asks every endpoint of usage through the official client and prints what it makes of the answers, as JSON.
// The address and the key are in the environment, the questions (method name → parameters) on stdin.
import OpenAI from "openai";
import { readFileSync } from "node:fs";

const client = new OpenAI({
  baseURL: process.env.USAGELEDGER_URL,
  adminAPIKey: process.env.USAGELEDGER_KEY,
  maxRetries: 0,
});
const answers = {};
for (const [method, questions] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  answers[method] = [];
  for (const question of questions) {
    const page = await client.admin.organization.usage[method](question);
    while (page.next_page && page.data.length < 1000) {
      const next = await client.admin.organization.usage[method]({ ...question, page: page.next_page });
      page.data.push(...next.data);
      page.next_page = next.next_page;
    }
    answers[method].push(page.data);
  }
}
const projects = [];
for await (const project of client.admin.organization.projects.list({ limit: 2 })) projects.push(project.id);
const refused = await client.admin.organization.usage.completions({ start_time: 0, bucket_width: "1w" }).catch((error) => ({
  type: error.constructor.name,
  status: error.status,
  param: error.param,
  code: error.code,
}));
console.log(JSON.stringify({ answers, projects, refused }));
