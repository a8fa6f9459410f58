// Asks by the client that openapi-generator makes for TypeScript: questions on stdin, answers on stdout.
import * as made from "./client";

declare const process: { env: Record<string, string> };
declare const require: (name: string) => any;

const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const configuration = new made.Configuration({
  basePath: process.env.USAGELEDGER_URL,
  accessToken: process.env.USAGELEDGER_KEY,
});
const usage = new made.UsageApi(configuration);
const projects = new made.ProjectsApi(configuration);

const camel = (name: string) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** Gives the buckets of all pages, as JSON has them. */
async function ask(kind: string, question: object): Promise<unknown[]> {
  const title = camel(`_${kind}`);
  const given = Object.fromEntries(Object.entries(question).map(([name, value]) => [camel(name), value]));
  const buckets: unknown[] = [];
  for (let page: string | undefined; ; ) {
    const answer = await (usage as any)[`usage${title}`]({ ...given, page });
    buckets.push(...(made as any)[`${title}PageToJSON`](answer).data);
    if (!answer.nextPage) return buckets;
    page = answer.nextPage;
  }
}

/** Lists the ids of projects, two at a time. */
async function allProjects(): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await projects.listProjects({ limit: 2, after });
    ids.push(...page.data.map((project) => project.id));
    if (!page.hasMore) return ids;
    after = page.lastId ?? undefined;
  }
}

async function main() {
  const answers: unknown[] = [];
  for (const [kind, question] of asked.questions) answers.push(await ask(kind, question));
  const found = await allProjects();
  const batch = await new made.EventsApi(configuration).ingestEvents({
    event: [
      {
        kind: "completions",
        id: "sent",
        timestamp: asked.at,
        projectId: asked.project,
        inputTokens: asked.tokens,
        outputTokens: 1,
      },
      { kind: "images", id: "image", timestamp: asked.at, images: 2 },
    ],
  });
  const { data } = await usage.usageCompletions({ startTime: asked.at, limit: 1, projectIds: [asked.project] });
  const { id } = await projects.createProject({ projectCreate: { name: "made" } });
  const { name } = await projects.modifyProject({ projectId: id, projectUpdate: { name: "renamed" } });
  console.log(
    JSON.stringify({
      answers,
      projects: found,
      accepted: batch.accepted + batch.duplicates,
      tokens: data[0].results[0].inputTokens,
      renamed: name,
    }),
  );
}

main();
