// Looks at a study as a reader does: node study.js GATEWAY STUDY.
const { fail, main } = require("./browser.js");

const [gateway, study] = process.argv.slice(2);

main(async (open) => {
  const page = await open();
  await page.goto(`${gateway}/console/studies/${study}`);
  await page.waitForSelector(".heat.loaded");
  const look = () => page.evaluate(() => ({
    opacity: document.querySelector(".heat").style.opacity,
    slope: Number(document.querySelector("feFuncR").getAttribute("slope")),
    plane: document.querySelector(".plane").style.transform,
    pressed: document.querySelectorAll("[data-heat][aria-pressed=true]").length,
    shown: document.querySelectorAll(".heat.loaded").length,
    covers: document.querySelector(".heat").clientWidth - document.querySelector(".radiograph").clientWidth,
  }));
  const first = await look();
  await page.locator("input[name=heat]").fill("20");
  await page.locator("input[name=width]").fill("50");
  await page.locator("[data-zoom]").first().click();
  await page.locator(".stage").focus();
  await page.keyboard.press("+");
  await page.keyboard.press("ArrowLeft");
  const changed = await look();
  await page.locator("[data-reset]").click();
  await page.locator("[data-heat]").first().click();
  return { first, changed, last: await look() };
}).catch(fail);
