// OAuth without a user: the authorization page is fetched, and redirects at once.

export class TestAuthorization {
  #redirected = new URLSearchParams();
  #client;
  #tokens;
  #verifier = "";

  constructor({ client_id, client_secret } = {}) {
    if (client_id) this.#client = { client_id, ...(client_secret && { client_secret }) };
  }

  redirected = async () => this.#redirected;

  provider = {
    redirectUrl: "http://localhost:3000/callback",
    clientMetadataUrl: "https://conformance-test.local/client-metadata.json",
    clientMetadata: {
      client_name: "minicpm",
      redirect_uris: ["http://localhost:3000/callback"],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      application_type: "native",
    },
    clientInformation: () => this.#client,
    saveClientInformation: (client) => {
      this.#client = client;
    },
    tokens: () => this.#tokens,
    saveTokens: (tokens) => {
      this.#tokens = tokens;
    },
    saveCodeVerifier: (verifier) => {
      this.#verifier = verifier;
    },
    codeVerifier: () => this.#verifier,
    redirectToAuthorization: async (url) => {
      const response = await fetch(url, { redirect: "manual" });
      const location = response.headers.get("location");
      if (!location) throw new Error(`${url} does not redirect`);
      this.#redirected = new URL(location).searchParams;
    },
  };
}
