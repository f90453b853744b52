// Opens a study in OHIF and takes a picture of it:
// node viewer.js ROOT DIST STUDY PICTURE [SERIES mark|colour PICTURE]…
// ROOT is that of a DICOMweb server; series are opened in turn, by their descriptions, and have a
// picture taken once they show a mark, or colour.
// Viewer and server are behind one origin here, as behind a load balancer.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { chromium } = require("playwright-core");

// The browser opens a socket there, whose path must not be long.
process.env.TMPDIR = "/tmp";
const [root, dist, study, picture, ...series] = process.argv.slice(2);
const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};
const CONFIG = `window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: true, customizationService: {},
  investigationalUseDialog: { option: 'never' },
  maxNumberOfWebWorkers: 2, defaultDataSourceName: 'radstream',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'radstream',
    configuration: {
      friendlyName: 'RadStream', name: 'radstream', qidoRoot: '/dicomweb', wadoRoot: '/dicomweb',
      qidoSupportsIncludeField: true, imageRendering: 'wadors', thumbnailRendering: 'wadors',
      supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true,
    },
  }],
};`;

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  if (pathname.startsWith("/dicomweb")) {
    const headers = { ...request.headers, host: new URL(root).host };
    const options = { method: request.method, headers };
    const wanted = root + request.url.slice("/dicomweb".length);
    const onward = http.request(wanted, options, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
    return;
  }
  const wanted = path.join(dist, path.normalize(pathname));
  const isFile = fs.existsSync(wanted) && fs.statSync(wanted).isFile();
  const file = isFile ? wanted : path.join(dist, "index.html");
  response.setHeader("Content-Type", TYPES[path.extname(file)] || "application/octet-stream");
  response.end(pathname === "/app-config.js" ? CONFIG : fs.readFileSync(file));
});

const said = []; // what the browser told, for a failure's sake

async function main() {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      ...["--no-sandbox", "--no-proxy-server"],
      ...["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
    ],
  });
  try {
    const page = await browser.newPage({ viewport: VIEWPORT });
    // A picture is taken between two frames, which take long where a loaded core draws them.
    page.setDefaultTimeout(120000);
    page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => said.push(`error: ${error.message}`));
    page.on("crash", () => said.push("the page crashed"));
    page.on("requestfailed", (request) => said.push(`failed: ${request.url()}`));
    page.on("response", (answer) => {
      if (answer.url().includes("/dicomweb")) said.push(`${answer.status()} ${answer.url()}`);
    });
    const isFrame = (answer) => answer.url().includes("/frames/1") && answer.ok();
    const frame = page.waitForResponse(isFrame, { timeout: 60000 });
    await page.addInitScript(() => localStorage.setItem("shownTours", '["basicViewerTour"]'));
    await page.goto(`${origin}/viewer?StudyInstanceUIDs=${study}`);
    await frame;
    await isDrawn(page);
    await page.screenshot({ path: picture });
    for (let at = 0; at < series.length; at += 3) {
      const [description, awaited, file] = series.slice(at, at + 3);
      const name = page.getByText(description, { exact: true }).first();
      await opened(name, () => (awaited === "mark" ? isMarked(page) : isDrawn(page, 40, SOON)));
      await page.screenshot({ path: file });
    }
  } finally {
    await browser.close();
    server.close();
  }
}

const SOON = 60000; // milliseconds
const VIEWPORT = { width: 1280, height: 800 };

// A browser that is short of time takes a double click for two: another is made until it is heeded.
async function opened(name, isShown) {
  for (let left = 3; ; left -= 1) {
    await name.dblclick();
    try {
      return await isShown();
    } catch (error) {
      if (!left) throw error;
    }
  }
}

// The words beside a mark that a report makes, over the picture. One that is made after the picture
// was drawn is shown when it is drawn again, as it is for a window of another size.
async function isMarked(page) {
  for (let left = 3; ; left -= 1) {
    try {
      return await page.waitForSelector("svg.svg-layer text", { state: "attached", timeout: SOON / 4 });
    } catch (error) {
      if (!left) throw error;
      await page.setViewportSize({ ...VIEWPORT, height: VIEWPORT.height + (left % 2) });
    }
  }
}

// A picture is drawn once its pixels are no longer all of one colour, and differ by as much among
// red, green and blue as is asked.
function isDrawn(page, colour = 0, timeout = 60000) {
  return page.waitForFunction(
    (colour) => {
      const canvas = document.querySelector(".viewport-element canvas, canvas.cornerstone-canvas");
      if (!canvas || canvas.width < 100) return false;
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [64, 64];
      const context = copy.getContext("2d");
      context.drawImage(canvas, 0, 0, 64, 64);
      const { data } = context.getImageData(0, 0, 64, 64);
      const reds = data.filter((_, at) => at % 4 === 0);
      const apart = reds.map((red, at) => Math.abs(red - data[4 * at + 2]));
      return new Set(reds).size > 30 && Math.max(...apart) >= colour;
    },
    colour,
    { timeout },
  );
}

main().catch((error) => {
  console.error(said.slice(-20).join("\n"), error);
  process.exit(1);
});
