// Opens the pages that cargo test wrote in a real browser and fails on what a person would stumble over.
//
//   node check.mjs FOLDER [--shots=DIR]               pages that cargo test wrote (target/pages), served here
//   node check.mjs http://HOST [PATH…] [--shots=DIR]  pages of a running server
//
// Each page in light and dark, wide and at 320 px; see looks.mjs for what it must hold.

import { createServer } from "node:http";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { VIEWS, examine, fail, finish, open, withBrowser } from "./looks.mjs";

const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };

/** Serves the rendered samples under the page policy, and remembers what is posted. */
async function serve(folder) {
  const policy = readFileSync(join(folder, "policy.txt"), "utf8");
  const posted = [];
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    if (request.method === "POST") {
      let body = "";
      request.on("data", (part) => (body += part));
      request.on("end", () => {
        posted.push({ path, body });
        response.writeHead(200, { "Content-Type": "text/html" }).end("<!DOCTYPE html><title>got it</title>");
      });
      return;
    }
    try {
      const body = readFileSync(join(folder, path));
      const type = TYPES[extname(path)] ?? "application/octet-stream";
      response.writeHead(200, { "Content-Type": type, "Content-Security-Policy": policy }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { server, posted, base: `http://127.0.0.1:${server.address().port}` };
}

async function look(browser, view, base, path, shots) {
  const name = path.replace(/^\/|\.html$/g, "").replaceAll("/", "-") || "root";
  const where = `${name} ${view.name}`;
  const page = await open(browser, { view, where, base });
  // The page that sends itself is looked at before it does.
  await page.route("**/form-post.js*", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  const response = await page.goto(base + path, { waitUntil: "load" });
  if (!response.headers()["content-security-policy"]) fail(where, "no page policy");
  const { rules, stops } = await examine(page, where, shots && join(shots, `${name}.${view.name}.png`));
  const title = await page.title();
  await page.context().close();
  return { name, title, rules, stops };
}

/** The page that returns to the client: by itself with script, by its button without. */
async function checkFormPost(browser, { base, posted }) {
  for (const javaScriptEnabled of [true, false]) {
    const context = await browser.newContext({ javaScriptEnabled });
    const page = await context.newPage();
    await page.goto(`${base}/form-post.html`, { waitUntil: "commit" });
    if (!javaScriptEnabled) await page.click("#continue");
    await page.waitForURL("**/callback").catch(() => fail("form-post", `did not leave; script: ${javaScriptEnabled}`));
    const sent = posted.pop();
    const fields = Object.fromEntries(new URLSearchParams(sent?.body));
    const right = sent?.path === "/-/callback" && fields.code === "oac_Yx3n" && fields.state === '"quoted" & <odd>';
    if (!right) fail("form-post", `sent ${JSON.stringify(sent)}; script: ${javaScriptEnabled}`);
    await context.close();
  }
}

const args = process.argv.slice(2);
const shots = args.find((arg) => arg.startsWith("--shots="))?.slice("--shots=".length);
const [target, ...paths] = args.filter((arg) => !arg.startsWith("--"));
if (!target) {
  console.error("usage: node check.mjs FOLDER|BASE-URL [PATH…] [--shots=DIR]");
  process.exit(2);
}
if (shots) mkdirSync(shots, { recursive: true });
const remote = /^https?:/.test(target);
const local = remote ? null : await serve(target);
const base = remote ? target.replace(/\/$/, "") : local.base;
const samples = () => readdirSync(target).filter((file) => file.endsWith(".html")).map((file) => `/${file}`);
const pages = paths.length > 0 ? paths : remote ? ["/"] : samples();
if (pages.length === 0) fail("samples", `no pages in ${target}`);


await withBrowser(async (browser) => {
  for (const path of pages) {
    const [seen] = await Promise.all(VIEWS.map((view) => look(browser, view, base, path, shots)));
    console.log(`${seen.name}: "${seen.title}", ${seen.rules} rules hold, ${seen.stops} stops`);
  }
  if (local && pages.includes("/form-post.html")) await checkFormPost(browser, local);
});
local?.server.close();
finish(`${pages.length} pages, 4 views each: all well`);
