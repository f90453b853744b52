// Stores a file, searches and retrieves it, and prints what came, as JSON:
// node client.js URL FILE STUDY SERIES INSTANCE
global.XMLHttpRequest = require("xhr2");
const fs = require("node:fs");
const { api } = require("dicomweb-client");

async function main([url, path]) {
  const client = new api.DICOMwebClient({ url });
  const file = fs.readFileSync(path);
  const data = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
  await client.storeInstances({ datasets: [data] });
  const [studyInstanceUID, seriesInstanceUID, sopInstanceUID] = process.argv.slice(4);
  const uids = { studyInstanceUID, seriesInstanceUID, sopInstanceUID };
  const queryParams = { StudyInstanceUID: studyInstanceUID };
  while ((await client.searchForStudies({ queryParams })).length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100)); // it is processed behind the answer
  }
  const series = await client.searchForSeries({ studyInstanceUID });
  const instances = await client.searchForInstances({ studyInstanceUID, seriesInstanceUID });
  const [metadata] = await client.retrieveSeriesMetadata({ studyInstanceUID, seriesInstanceUID });
  const instance = await client.retrieveInstance(uids);
  const [frame] = await client.retrieveInstanceFrames({
    ...uids,
    frameNumbers: [1],
    mediaTypes: [{ mediaType: "application/octet-stream", transferSyntaxUID: "*" }],
  });
  const [rendered] = await client.retrieveInstanceRendered({
    ...uids,
    mediaTypes: [{ mediaType: "image/png" }],
  });
  const hex = (buffer) => Buffer.from(buffer).toString("hex");
  console.log(
    JSON.stringify({
      series: series.map((each) => each["0020000E"].Value[0]),
      instances: instances.map((each) => each["00080018"].Value[0]),
      patient: metadata["00100010"].Value[0].Alphabetic,
      instance: hex(instance),
      frame: hex(frame),
      rendered: hex(rendered).slice(0, 16),
    }),
  );
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
