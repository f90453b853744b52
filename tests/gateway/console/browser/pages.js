// Opens pages and looks at each: node pages.js GATEWAY '[{"path": …, "width": …, "picture": …}, …]'.
const { fail, faults, main } = require("./browser.js");

const [gateway, asked] = process.argv.slice(2);

main(async (open) => {
  const found = [];
  for (const view of JSON.parse(asked)) {
    const page = await open({ refused: true, ...view });
    const answer = await page.goto(gateway + view.path, { waitUntil: "networkidle" });
    if (view.key) {
      await page.fill("#key", view.key);
      await page.click("main button");
      await page.waitForLoadState("networkidle");
    }
    if (view.wait) await page.waitForSelector(view.wait, { timeout: 60000 });
    if (view.picture) await page.screenshot({ path: view.picture, fullPage: Boolean(view.whole) });
    found.push({
      path: view.path,
      status: answer.status(),
      title: await page.title(),
      language: await page.locator("html").getAttribute("lang"),
      text: await page.locator("main").innerText(),
      faults: await faults(page),
    });
    await page.context().close();
  }
  return found;
}).catch(fail);
