// Keeps pages open while a study comes: node follow.js GATEWAY KEY METADATA IMAGE.
const fs = require("node:fs");
const { fail, main } = require("./browser.js");

const [gateway, key, metadata, image] = process.argv.slice(2);

main(async (open) => {
  const page = await open({ refused: true });
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(`${gateway}/console/studies`);
  await page.fill("#key", key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForSelector("h1:has-text('Studies')");
  const form = new FormData();
  form.append("metadata", new Blob([metadata], { type: "application/json" }));
  form.append("image", new Blob([fs.readFileSync(image)]));
  const answer = await fetch(`${gateway}/v1/studies`, { method: "POST", headers: { "X-API-Key": key }, body: form });
  if (!answer.ok) throw new Error(await answer.text());
  await page.waitForSelector(`a:has-text("${JSON.parse(metadata).study_id}")`, { timeout: 60000 });
  await page.goto(`${gateway}/console/live`);
  await page.waitForFunction(() => document.querySelector("[data-number=rate]").textContent !== "–");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForSelector("#key");
  return asked.filter((path) => path.startsWith("/v1"));
}).catch(fail);
