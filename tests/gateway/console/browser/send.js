// Sends files as a person does: node send.js GATEWAY FILE...
const { fail, main } = require("./browser.js");

const [gateway, ...files] = process.argv.slice(2);

main(async (open) => {
  const page = await open({ refused: true });
  await page.goto(`${gateway}/console/send`);
  await page.setInputFiles("#files", files);
  await page.waitForFunction(() => {
    const answers = [...document.querySelectorAll("#sent > li > div:last-child")];
    return answers.length && answers.every((answer) => answer.childElementCount);
  });
  const sent = await page.locator("#sent > li").evaluateAll((entries) => entries.map((entry) => ({
    name: entry.querySelector("strong").textContent,
    link: entry.querySelector("a")?.getAttribute("href") ?? null,
    answer: entry.lastElementChild.innerText,
    scripts: entry.querySelectorAll("script, img").length,
  })));
  await page.getByRole("button", { name: "Process the samples" }).click();
  await page.waitForSelector("h1:has-text('sample-pneumonia')");
  return sent;
}).catch(fail);
