// Ticks all parked items and discards them: node queue.js GATEWAY.
const { fail, main } = require("./browser.js");

const [gateway] = process.argv.slice(2);

main(async (open) => {
  const page = await open({ accepts: true });
  await page.goto(`${gateway}/console/queue`);
  await page.locator("[data-tick-all]").check();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.waitForSelector("[role=status]");
  return await page.locator("main").innerText();
}).catch(fail);
