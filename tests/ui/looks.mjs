// What every page must hold in a real browser, and the browser itself: for `check.mjs` and `person.mjs`.
//
// axe-core (WCAG 2.2 AA and its best practices); nothing to scroll sideways, also with the text spacing of WCAG 1.4.12;
// every control reached by Tab, with a visible ring and not covered; no word from the browser, no other host.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
export const VIEWS = [
  { name: "wide-light", width: 1280, height: 800, colorScheme: "light" },
  { name: "wide-dark", width: 1280, height: 800, colorScheme: "dark" },
  { name: "narrow-light", width: 320, height: 640, colorScheme: "light" },
  { name: "narrow-dark", width: 320, height: 640, colorScheme: "dark" },
];
const SPACING = "* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }";

export const failures = [];
export const fail = (where, what) => void failures.push(`${where}: ${what}`);

export async function checkAxe(page, where) {
  await page.evaluate(AXE);
  const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), TAGS);
  for (const rule of [...result.violations, ...result.incomplete]) {
    for (const node of rule.nodes) fail(where, `axe ${rule.id}: ${node.target.join(" ")}: ${node.failureSummary}`);
  }
  return result.passes.length;
}

export async function checkWidth(page, where) {
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
export async function checkKeyboard(page, where) {
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

/** A page of its own, in a view, that complains about what the browser says and about other hosts. */
export async function open(browser, { view = VIEWS[0], where, base, javaScriptEnabled = true, hosts = [] }) {
  const context = await browser.newContext({
    viewport: { width: view.width, height: view.height },
    colorScheme: view.colorScheme,
    reducedMotion: "reduce",
    javaScriptEnabled,
    ignoreHTTPSErrors: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const own = [new URL(base).origin, ...hosts];
  page.on("console", (said) => ["error", "warning"].includes(said.type()) && fail(where, `browser: ${said.text()}`));
  page.on("pageerror", (error) => fail(where, `script: ${error.message}`));
  page.on("request", (request) => {
    if (!own.includes(new URL(request.url()).origin)) fail(where, `asks ${request.url()}`);
  });
  return page;
}

/** Everything a page must hold, as it stands now. */
export async function examine(page, where, shot) {
  if (shot) await page.screenshot({ path: shot, fullPage: true });
  const rules = await checkAxe(page, where);
  await checkWidth(page, where);
  return { rules, stops: await checkKeyboard(page, where) };
}

/** Runs `work` with a browser that finds no host but this machine, and `hosts` (name to port) on it. */
export async function withBrowser(work, hosts = {}) {
  const profile = mkdtempSync(join(tmpdir(), "opalid-ui-"));
  const known = Object.entries(hosts).map(([name, port]) => `MAP ${name} 127.0.0.1:${port}`);
  const rules = [...known, "MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"].join(", ");
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...flags, `--host-resolver-rules=${rules}`],
    env: { ...process.env, HOME: profile },
  });
  try {
    await work(browser);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

/** Says what failed, and ends with it. */
export function finish(well) {
  for (const failure of failures) console.error(`FAIL ${failure}`);
  console.log(failures.length === 0 ? well : `${failures.length} failures`);
  process.exit(failures.length === 0 ? 0 : 1);
}
