// Opens a study in OHIF and takes a picture of it: node viewer.js GATEWAY DIST STUDY PICTURE.
// Viewer and gateway are behind one origin here, as behind a load balancer.
const fs = require("node:fs");
const http = require("node:http");
const path = require("node:path");
const { chromium } = require("playwright-core");

// The browser opens a socket there, whose path must not be long.
process.env.TMPDIR = "/tmp";
const [gateway, dist, study, picture] = process.argv.slice(2);
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
    const headers = { ...request.headers, host: new URL(gateway).host };
    const options = { method: request.method, headers };
    const onward = http.request(gateway + request.url, options, (answer) => {
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
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const isFrame = (answer) => answer.url().includes("/frames/1") && answer.ok();
    const frame = page.waitForResponse(isFrame, { timeout: 60000 });
    await page.addInitScript(() => localStorage.setItem("shownTours", '["basicViewerTour"]'));
    await page.goto(`${origin}/viewer?StudyInstanceUIDs=${study}`);
    await frame;
    // Drawn once its pixels are no longer all of one colour.
    await page.waitForFunction(() => {
      const canvas = document.querySelector(".viewport-element canvas, canvas.cornerstone-canvas");
      if (!canvas || canvas.width < 100) return false;
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [64, 64];
      const context = copy.getContext("2d");
      context.drawImage(canvas, 0, 0, 64, 64);
      const { data } = context.getImageData(0, 0, 64, 64);
      return new Set(data.filter((_, at) => at % 4 === 0)).size > 30;
    }, null, { timeout: 60000 });
    await page.screenshot({ path: picture });
  } finally {
    await browser.close();
    server.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
