// Opens every page in a real browser and fails on what a person would stumble over.
//
//   node check.mjs FOLDER [--shots=DIR]              pages that cargo test wrote (target/pages), served here
//   node check.mjs http://HOST [PATH…] [--shots=DIR]  pages of a running server
//
// For each page: axe-core (WCAG 2.2 AA and its best practices) in light and dark, wide and at 320 px; nothing to
// scroll sideways, also with the text spacing of WCAG 1.4.12; no request to another host and no word from the browser
// about the page policy; every control reached by Tab, with a visible ring and not covered.

import { createServer } from "node:http";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };
const VIEWS = [
  { name: "wide-light", width: 1280, height: 800, colorScheme: "light" },
  { name: "wide-dark", width: 1280, height: 800, colorScheme: "dark" },
  { name: "narrow-light", width: 320, height: 640, colorScheme: "light" },
  { name: "narrow-dark", width: 320, height: 640, colorScheme: "dark" },
];
const SPACING = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }";

const failures = [];
const fail = (where, what) => void failures.push(`${where}: ${what}`);

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

async function checkAxe(page, where) {
  await page.evaluate(AXE);
  const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), TAGS);
  for (const rule of [...result.violations, ...result.incomplete]) {
    for (const node of rule.nodes) fail(where, `axe ${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`);
  }
  return result.passes.length;
}

async function checkWidth(page, where) {
  const spill = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if ((await spill()) > 0) fail(where, `scrolls sideways by ${await spill()} px`);
  await page.evaluate((css) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    document.adoptedStyleSheets = [sheet];
  }, SPACING);
  if ((await spill()) > 0) fail(where, `scrolls sideways by ${await spill()} px with wider text spacing`);
  await page.evaluate(() => (document.adoptedStyleSheets = []));
}

/** Every control, in the order of the document, by Tab alone. */
async function checkKeyboard(page, where) {
  const wanted = await page.evaluate(() => {
    const all = document.querySelectorAll("a[href], button, input:not([type=hidden]), summary, select, textarea");
    const meant = [...all].filter((one) => !one.closest("[aria-hidden=true]"));
    meant.forEach((one, at) => (one.dataset.stop = String(at)));
    // Begin above everything, wherever the page itself put the focus.
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
    return meant.length;
  });
  for (let at = 0; at < wanted; at++) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const one = document.activeElement;
      const style = getComputedStyle(one);
      const box = one.getBoundingClientRect();
      const top = document.elementFromPoint(box.left + box.width / 2, box.top + Math.min(box.height / 2, 10));
      return {
        stop: one.dataset.stop,
        name: one.id || one.textContent.trim().replace(/\s+/g, " ").slice(0, 40) || one.tagName,
        ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        small: box.width < 24 || box.height < 24,
        seen: top !== null && (one.contains(top) || top.contains(one)),
      };
    });
    if (stop.stop !== String(at)) fail(where, `Tab ${at + 1} went to ${stop.name}`);
    if (!stop.ring) fail(where, `${stop.name} shows no focus`);
    if (stop.small) fail(where, `${stop.name} is smaller than 24 px`);
    if (!stop.seen) fail(where, `${stop.name} is covered or out of view when focused`);
  }
  return wanted;
}

async function look(browser, view, base, path, shots) {
  const name = path.replace(/^\/|\.html$/g, "").replaceAll("/", "-") || "root";
  const where = `${name} ${view.name}`;
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height },
    colorScheme: view.colorScheme,
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  // The page that sends itself is looked at before it does.
  await page.route("**/form-post.js*", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && fail(where, `browser: ${said.text()}`));
  page.on("pageerror", (error) => fail(where, `script: ${error.message}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(base).origin) fail(where, `asks ${request.url()}`);
  });
  const response = await page.goto(base + path, { waitUntil: "load" });
  if (!response.headers()["content-security-policy"]) fail(where, "no page policy");
  if (shots) await page.screenshot({ path: join(shots, `${name}.${view.name}.png`), fullPage: true });
  const rules = await checkAxe(page, where);
  await checkWidth(page, where);
  const stops = await checkKeyboard(page, where);
  const title = await page.title();
  await context.close();
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

const profile = mkdtempSync(join(tmpdir(), "opalid-ui-"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  env: { ...process.env, HOME: profile },
});
try {
  for (const path of pages) {
    const [seen] = await Promise.all(VIEWS.map((view) => look(browser, view, base, path, shots)));
    console.log(`${seen.name}: "${seen.title}", ${seen.rules} rules hold, ${seen.stops} stops`);
  }
  if (local && pages.includes("/form-post.html")) await checkFormPost(browser, local);
} finally {
  await browser.close();
  local?.server.close();
  rmSync(profile, { recursive: true, force: true });
}
for (const failure of failures) console.error(`FAIL ${failure}`);
console.log(failures.length === 0 ? `${pages.length} pages, 4 views each: all well` : `${failures.length} failures`);
process.exit(failures.length === 0 ? 0 : 1);
