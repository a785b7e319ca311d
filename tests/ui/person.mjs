// A person with a real browser at a real demo server: sign-in, consent, the walk through the demo to its end.
//
//   node person.mjs PATH-TO-OPALID [--shots=DIR]
//
// With and without JavaScript, by keyboard alone, at 320 px, light and dark; consent that ends at a client's https
// address and at a private scheme; what happens to a walk when the server is started again, and to forged forms.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VIEWS, examine, fail, finish, open, withBrowser } from "./looks.mjs";

const ALICE = ["alice", "alice-demo-password"];
const BOB = ["bob", "bob-demo-password"];
const HTTPS_CLIENT = "app.demo.example";
const TLS = new URL("../../crates/opalid/src/http/tls/", import.meta.url);

const args = process.argv.slice(2);
const shots = args.find((arg) => arg.startsWith("--shots="))?.slice("--shots=".length);
const opalid = args.find((arg) => !arg.startsWith("--"));
if (!opalid) {
  console.error("usage: node person.mjs PATH-TO-OPALID [--shots=DIR]");
  process.exit(2);
}
if (shots) mkdirSync(shots, { recursive: true });

async function freePort() {
  const server = createServer();
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

const servers = new Set();

/** Starts the server and waits until it is ready. */
async function start(port, data, demo = true) {
  const base = `http://localhost:${port}`;
  const how = demo ? ["--demo"] : ["--issuer", base];
  const flags = ["serve", ...how, "--listen", `127.0.0.1:${port}`, "--data", data];
  // A port of the metrics is not asked for here, and the usual one may be taken.
  const child = spawn(opalid, flags, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, ...METRICS } });
  servers.add(child);
  let said = "";
  child.stderr.on("data", (part) => (said += part));
  const ended = new Promise((done) => child.on("exit", () => (servers.delete(child), done())));
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`the server ended: ${said}`);
    const ready = await fetch(`${base}/readyz`).then((answer) => answer.ok, () => false);
    if (ready) return { base, stop: () => (child.kill("SIGTERM"), ended) };
    await new Promise((wait) => setTimeout(wait, 50));
  }
  throw new Error(`the server was not ready in time: ${said}`);
}

const METRICS = { OPALID_METRICS_LISTEN: "off" };

/** Runs `work` at a fresh server. */
async function atServer(work, demo = true) {
  const data = mkdtempSync(join(tmpdir(), "opalid-ui-"));
  const port = await freePort();
  let server = await start(port, data, demo);
  const again = async () => {
    await server.stop();
    server = await start(port, data, demo);
  };
  try {
    await work(server.base, again);
  } finally {
    await server.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

const pressed = (page, id) => Promise.all([page.waitForNavigation(), page.click(id)]);
const shown = (page, id) => page.locator(id).isVisible();

async function signIn(page, [login, password]) {
  await page.fill("#login", login);
  await page.fill("#password", password);
  await pressed(page, "#sign-in");
}

/** What the step with this title received. */
const received = (page, title) =>
  page.locator(".step.done", { has: page.getByRole("heading", { name: title }) }).locator("pre").nth(1).textContent();

/** What the walk must have shown at its end. */
async function checkWalk(page, where, base) {
  const expect = async (title, part) => {
    const text = await received(page, title);
    if (!text.includes(part)) fail(where, `"${title}" shows no ${part}: ${text}`);
  };
  const metadata = await (await fetch(`${base}/.well-known/openid-configuration`)).json();
  await expect("Read the metadata", metadata.authorization_endpoint);
  await expect("Ask for a sign-in", "&iss=");
  await expect("Change the code for tokens", '"access_token":"oat_');
  await expect("Ask whether the token is alive", '"active":true');
  await expect("Ask who it is", '"email":"');
  const refreshes = (await received(page, "Change the code for tokens")).includes('"refresh_token":"');
  await expect("Get new tokens", refreshes ? '"refresh_token":"ort_' : '"error":"');
  await expect("Revoke", "HTTP/1.1 200 OK");
  await expect("Ask once more", '{"active":false}');
  if (metadata.end_session_endpoint) await expect("Sign out", "GET /demo?state=");
  const text = await page.locator("main").textContent();
  for (const cookie of await page.context().cookies()) {
    if (text.includes(cookie.value)) fail(where, `shows the cookie ${cookie.name}`);
  }
}

/** The whole way, with every page examined where there is script to do it. */
async function walk(browser, base, { view = VIEWS[0], person, javaScriptEnabled = true }) {
  const where = `walk ${view.name}${javaScriptEnabled ? "" : " without script"}`;
  const page = await open(browser, { view, where, base, javaScriptEnabled });
  const look = async (name) => {
    const shot = shots && join(shots, `real-${name}.${view.name}${javaScriptEnabled ? "" : ".no-script"}.png`);
    if (javaScriptEnabled) await examine(page, `${where}: ${name}`, shot);
  };
  await page.goto(`${base}/`);
  await look("home");
  await pressed(page, "#demo");
  await look("demo");
  await pressed(page, "#next");
  await look("demo-begun");
  await pressed(page, "#next");
  await look("sign-in");
  await signIn(page, [person[0], "not-the-password"]);
  if (!(await shown(page, "#problem"))) fail(where, "a wrong password is not said to be wrong");
  await look("sign-in-wrong");
  await signIn(page, person);
  await look("consent");
  await pressed(page, "#allow");
  let steps = 0;
  while (await shown(page, "#next")) {
    if (++steps > 10) throw new Error(`${where}: the walk has no end`);
    await pressed(page, "#next");
    if (await shown(page, "#sign-out")) {
      await look("confirm-sign-out");
      await pressed(page, "#sign-out");
    }
    if (steps === 1) await look("demo-middle");
  }
  await checkWalk(page, where, base);
  await look("demo-end");
  await page.context().close();
  console.log(`${where}: ${steps} steps, to the end`);
}

/** Nothing but the keys. */
async function byKeyboard(browser, base) {
  const where = "keyboard";
  const page = await open(browser, { where, base });
  const focused = () => page.evaluate(() => document.activeElement.id);
  const enter = async (id) => {
    for (let tries = 0; (await focused()) !== id; tries++) {
      if (tries > 60) throw new Error(`Tab does not reach #${id} on ${page.url()}`);
      await page.keyboard.press("Tab");
    }
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  };
  await page.goto(`${base}/`);
  await enter("demo");
  await enter("next");
  await enter("next");
  if ((await focused()) !== "login") fail(where, "sign-in does not begin at the user name");
  await page.keyboard.type(BOB[0]);
  await page.keyboard.press("Tab");
  await page.keyboard.type(BOB[1]);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await enter("allow");
  while (await shown(page, "#next")) {
    await enter("next");
    if (await shown(page, "#sign-out")) await enter("sign-out");
  }
  await checkWalk(page, where, base);
  await page.context().close();
  console.log("keyboard: signed in, allowed, walked to the end");
}

function authorizeUrl(base, redirectUri, more) {
  const asked = { response_type: "code", client_id: "demo-app", redirect_uri: redirectUri, scope: "openid read" };
  const pkce = { code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", code_challenge_method: "S256" };
  return `${base}/authorize?${new URLSearchParams({ ...asked, ...pkce, state: "s", prompt: "consent", ...more })}`;
}

/** Every URL the browser sets out for, private schemes too, and every error it meets. */
async function watch(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Network.enable");
  const wentTo = [];
  cdp.on("Network.requestWillBeSent", ({ request }) => wentTo.push(request.url));
  const ended = new Promise((done) => cdp.on("Network.loadingFailed", done));
  return { wentTo, ended };
}

/** An application at a host of its own, over TLS. */
async function httpsClient() {
  const asked = [];
  const pem = (name) => readFileSync(new URL(name, TLS));
  const tls = { cert: pem("first.certificate.pem"), key: pem("first.key.pem") };
  const server = createHttps(tls, (request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      asked.push({ method: request.method, url: request.url, body, referer: request.headers.referer });
      response.writeHead(200, { "Content-Type": "text/html" }).end("<!DOCTYPE html><title>the application</title>");
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { asked, port: server.address().port, close: () => server.close() };
}

/** Consent leads on to an https client, by redirect and by form_post. */
async function toHttps(browser, base, client, { javaScriptEnabled, mode }) {
  const where = `https client, ${mode}, script: ${javaScriptEnabled}`;
  const hosts = [`https://${HTTPS_CLIENT}`];
  const page = await open(browser, { where, base, javaScriptEnabled, hosts });
  await page.goto(authorizeUrl(base, `https://${HTTPS_CLIENT}/callback`, { response_mode: mode }));
  await signIn(page, ALICE);
  client.asked.length = 0;
  await page.click("#allow");
  if (mode === "form_post" && !javaScriptEnabled) await page.click("#continue");
  await page.waitForURL(`https://${HTTPS_CLIENT}/**`).catch(() => fail(where, `stays at ${page.url()}`));
  const got = client.asked.find(({ url }) => url.startsWith("/callback"));
  const answer = new URLSearchParams(mode === "form_post" ? got?.body : got?.url.split("?")[1]);
  const right = got?.method === (mode === "form_post" ? "POST" : "GET") && answer.get("code") && answer.get("state") === "s";
  if (!right || answer.get("iss") !== base) fail(where, `the client got ${JSON.stringify(got)}`);
  if (got?.referer) fail(where, `the client learns where the person was: ${got.referer}`);
  await page.context().close();
}

/** Consent leads on to a private scheme; under `form-action 'self'` it would not, which shows that this looks right. */
async function toPrivateScheme(browser, base, blocked) {
  const where = `private scheme${blocked ? " under form-action" : ""}`;
  const context = await browser.newContext();
  const page = await context.newPage();
  const { wentTo, ended } = await watch(page);
  await page.goto(authorizeUrl(base, "example.demo.app:/callback"));
  await signIn(page, ALICE);
  if (blocked) {
    await page.evaluate(() => {
      const policy = document.createElement("meta");
      policy.httpEquiv = "Content-Security-Policy";
      policy.content = "form-action 'self'";
      document.head.append(policy);
    });
  }
  await page.click("#allow", { noWaitAfter: true });
  await ended; // nobody here opens such a link, so the navigation ends there either way
  const left = wentTo.some((url) => url.startsWith("example.demo.app:/callback?code=oac_"));
  if (left === blocked) fail(where, `went to ${wentTo.join(" ")}`);
  await context.close();
}

/** The server is started again in the middle of a walk. */
async function forgotten(browser, base, again) {
  const page = await open(browser, { where: "restart", base });
  await page.goto(`${base}/demo`);
  for (let steps = 0; steps < 2; steps++) await pressed(page, "#next");
  await again();
  await signIn(page, ALICE);
  await pressed(page, "#allow");
  const note = await page.locator(".note").textContent();
  if (!note.includes("That walk is over") || !(await shown(page, "#next"))) fail("restart", `the page says ${note}`);
  await page.context().close();
}

/** What a script of another site, or a person who guesses, can send. */
async function forged(base) {
  const post = (fields, headers = {}) =>
    fetch(`${base}/demo`, { method: "POST", body: new URLSearchParams(fields), redirect: "manual", headers });
  const cookie = (answer) => answer.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  const page = await fetch(`${base}/demo`);
  const csrf = (await page.text()).match(/name="csrf" value="([^"]+)"/)[1];
  const own = { Cookie: cookie(page) };
  const refused = [
    [await post({ step: "discover" }), "no token"],
    [await post({ step: "discover", csrf }), "no cookie"],
    [await post({ step: "exchange", csrf }, own), "the token of another step"],
    [await post({ step: "discover", csrf }, { ...own, Origin: "https://evil.example" }), "another origin"],
  ];
  for (const [answer, why] of refused) if (answer.status !== 400) fail("forged", `${why}: ${answer.status}`);
  const taken = await post({ step: "discover", csrf }, own);
  if (taken.status !== 303 || taken.headers.get("location") !== `${base}/demo#step-1`) fail("forged", "ours");
  const walk = { Cookie: `${own.Cookie}; ${cookie(taken)}` };
  const answer = await fetch(`${base}/demo/callback?code=x&state=y`, { headers: walk, redirect: "manual" });
  if (answer.headers.get("location") !== `${base}/demo?unexpected`) fail("forged", "an answer with another state");
}

/** Without `--demo` there is a plain first page and none of the rest. */
async function withoutDemo(browser, base) {
  for (const path of ["/demo", "/demo/callback", "/favicon.ico"]) {
    const { status } = await fetch(base + path);
    if (status !== 404) fail("no demo", `${path}: ${status}`);
  }
  const page = await open(browser, { where: "no demo", base });
  await page.goto(`${base}/`);
  await examine(page, "no demo: home", shots && join(shots, "real-home-plain.wide-light.png"));
  if ((await page.content()).includes("demo")) fail("no demo", "the first page speaks of a demo");
  await page.context().close();
}

const client = await httpsClient();
try {
  await withBrowser(
    async (browser) => {
      for (const view of VIEWS) await atServer((base) => walk(browser, base, { view, person: ALICE }));
      await atServer(async (base) => {
        await walk(browser, base, { person: BOB, javaScriptEnabled: false });
        for (const mode of ["query", "form_post"]) {
          for (const javaScriptEnabled of [true, false]) {
            await toHttps(browser, base, client, { javaScriptEnabled, mode });
          }
        }
        for (const blocked of [false, true]) await toPrivateScheme(browser, base, blocked);
        console.log("consent: ends at an https client and at a private scheme");
        await forged(base);
      });
      await atServer((base) => byKeyboard(browser, base));
      await atServer((base, again) => forgotten(browser, base, again));
      await atServer((base) => withoutDemo(browser, base), false);
    },
    { [HTTPS_CLIENT]: client.port },
  );
} finally {
  client.close();
  for (const child of servers) child.kill("SIGKILL");
}
finish("a person gets through: all well");
