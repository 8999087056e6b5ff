// A `fetch` that is overheard: every request and its answer as plain data.

/**
 * @typedef {object} Exchange plain data, as it can be copied to anybody
 * @property {string} method
 * @property {string} url
 * @property {[name: string, value: string][]} sent fields that a script set, names in lower case
 * @property {string} content of the request
 * @property {number} status
 * @property {[name: string, value: string][]} got fields that a script may read
 * @property {string} body of the answer
 */

/** Puts itself in the place of `fetch`, as code of an attacker could. @param {(exchange: Exchange) => void} tell called for each exchange */
export function overhear(tell) {
  const send = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    const content = await request.clone().text();
    const response = await send(request);
    tell({
      method: request.method,
      url: request.url,
      sent: [...request.headers],
      content,
      status: response.status,
      got: [...response.headers],
      body: await response.clone().text(),
    });
    return response;
  };
}
