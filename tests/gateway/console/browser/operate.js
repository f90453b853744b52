// Presses Test of a destination and drops a file on the rules, as an operator does:
// node operate.js GATEWAY DESTINATION FILE.
const { fail, faults, main } = require("./browser.js");

const [gateway, destination, file] = process.argv.slice(2);
const VIEWS = [
  { width: 1280, scheme: "light", locale: "en" },
  { width: 390, scheme: "dark", locale: "de" },
];

main(async (open) => {
  const found = [];
  for (const view of VIEWS) {
    const page = await open(view);
    await page.goto(`${gateway}/console/destinations`, { waitUntil: "networkidle" });
    await page.locator(`form[action$="/destinations/${destination}/test"] button`).click();
    await page.waitForSelector("section[role=status] .steps li");
    const tested = await page.locator("section[role=status]").innerText();
    const afterTest = await faults(page);
    await page.goto(`${gateway}/console/rules`, { waitUntil: "networkidle" });
    await page.setInputFiles(".explain input[type=file]", file);
    await page.waitForSelector("#explained .conditions");
    found.push({
      tested,
      explained: await page.locator("#explained").innerText(),
      scripts: await page.locator("#explained").evaluate((part) => part.querySelectorAll("script, img").length),
      faults: [...afterTest, ...(await faults(page))],
    });
    await page.context().close();
  }
  return found;
}).catch(fail);
