// A browser for the scripts beside this one: what its console says is kept, and axe looks at pages.
const fs = require("node:fs");
const { chromium } = require("playwright-core");

// The browser opens a socket there, whose path must not be long.
process.env.TMPDIR = "/tmp";
const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// Runs the work with `open`, which gives pages of a new context, and prints what it returns.
async function main(work) {
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--no-proxy-server"],
  });
  const errors = [];
  const open = async (options = {}) => {
    const context = await browser.newContext({
      viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
      colorScheme: options.scheme ?? "light",
      locale: options.locale ?? "en",
      timezoneId: "UTC",
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => errors.push(String(error)));
    // A page of a problem is a problem's answer, of which the browser tells, too.
    page.on("console", (message) => {
      const isStatus = /Failed to load resource.*status of 4\d\d/.test(message.text());
      if (message.type() === "error" && !(options.refused && isStatus)) errors.push(message.text());
    });
    page.on("dialog", (dialog) => (options.accepts ? dialog.accept() : errors.push("dialog") && dialog.dismiss()));
    return page;
  };
  try {
    const found = await work(open);
    console.log(JSON.stringify({ found, errors }));
  } finally {
    await browser.close();
  }
}

// What axe calls serious or critical, and whether the page is wider than the window.
async function faults(page) {
  // In a world of its own, where the page's policy does not stand.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const world = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const run = async (expression) => {
    const answer = await session.send("Runtime.evaluate", {
      expression, contextId: world.executionContextId, awaitPromise: true, returnByValue: true,
    });
    if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails));
    return answer.result.value;
  };
  await run(`${AXE};0`);
  const serious = await run(`axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then((told) =>
    told.violations.filter((each) => ["serious", "critical"].includes(each.impact))
      .map((each) => each.id + ": " + each.nodes.map((node) => node.target.join(" ")).join(", ")))`);
  const wide = await run("document.documentElement.scrollWidth > window.innerWidth");
  await session.detach();
  return wide ? [...serious, "wider than the window"] : serious;
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

module.exports = { fail, faults, main };
