// Stores a file over DICOM, and prints the status of each response: node store.js PORT FILE
const { Client, log, requests } = require("dcmjs-dimse");

const [port, file] = process.argv.slice(2);
log.setLevel(log.levels.SILENT);
const client = new Client();
for (const request of [new requests.CEchoRequest(), new requests.CStoreRequest(file)]) {
  request.on("response", (response) => console.log(response.getStatus()));
  client.addRequest(request);
}
client.on("networkError", () => process.exit(1));
client.send("127.0.0.1", Number(port), "DCMJS", "RADSTREAM");
