// An OpenID provider on a free port of loopback: prints its port; every person who comes is "reader-7".
// Arguments: redirect URI, the scopes that are granted.
import http from "node:http";
import Provider from "oidc-provider";

const [redirectUri, granted] = process.argv.slice(2);
const AUDIENCE = "https://radstream.example.org/api";
const server = http.createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "console",
        client_secret: "a secret, with: signs & blanks",
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [redirectUri.replace("/sign-in/callback", "")],
      },
    ],
    scopes: ["openid", ...granted.split(" ")],
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: granted,
          audience: AUDIENCE,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
        useGrantedResource: () => true,
      },
    },
    interactions: { url: (_, interaction) => `/person/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    cookies: { keys: ["a key of tests"] },
    ttl: { AccessToken: 300, Grant: 300, IdToken: 300, Interaction: 300, Session: 300 },
  });
  const callback = provider.callback();
  server.on("request", async (request, response) => {
    if (!request.url.startsWith("/person/")) return callback(request, response);
    const { params, prompt } = await provider.interactionDetails(request, response);
    if (prompt.name === "login") {
      return provider.interactionFinished(request, response, { login: { accountId: "reader-7" } });
    }
    const grant = new provider.Grant({ accountId: "reader-7", clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    if (params.resource) grant.addResourceScope(params.resource, granted);
    return provider.interactionFinished(request, response, {
      consent: { grantId: await grant.save() },
    });
  });
  console.log(server.address().port);
});
