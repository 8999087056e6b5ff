// The end of a message, stated twice, wrongly or not at all.

import { HOST, SMUGGLED } from '../rig.ts';

export const POST = `POST /x HTTP/1.1\r\n${HOST}`;
export const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const NO_CHUNKS = '0\r\n\r\n';

/** Messages whose end can be read in two ways; a request is hidden behind each. */
export const AMBIGUOUS: Readonly<Record<string, string>> = {
  'CL.TE': `${POST}Content-Length: ${SMUGGLED.length + 5}\r\n${CHUNKED}\r\n${NO_CHUNKS}`,
  'TE.CL': `${POST}${CHUNKED}Content-Length: 4\r\n\r\n${NO_CHUNKS}`,
  'CL.0 with TE in HTTP/1.0': `POST /x HTTP/1.0\r\n${HOST}${CHUNKED}\r\n${NO_CHUNKS}`,
  'two lengths': `${POST}Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`,
  'two equal lengths': `${POST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n`,
  'a length of a length': `${POST}Content-Length: 0, 0\r\n\r\n`,
  'a signed length': `${POST}Content-Length: +0\r\n\r\n`,
  'a negative length': `${POST}Content-Length: -1\r\n\r\n`,
  'a hexadecimal length': `${POST}Content-Length: 0x0\r\n\r\n`,
  'a length with a space in it': `${POST}Content-Length: 1 0\r\n\r\n`,
  'a length with a fraction': `${POST}Content-Length: 0.0\r\n\r\n`,
  'a length with an exponent': `${POST}Content-Length: 1e1\r\n\r\n`,
  'a length with a separator': `${POST}Content-Length: 1_0\r\n\r\n`,
  'a length of other digits': `${POST}Content-Length: \xd9\xa0\r\n\r\n`,
  'an empty length': `${POST}Content-Length: \r\n\r\n`,
  'a length over 2⁶⁴': `${POST}Content-Length: 18446744073709551616\r\n\r\n`,
  'a length with a space before the colon': `${POST}Content-Length : ${SMUGGLED.length}\r\n\r\n`,
  'a folded length': `${POST}Content-Length:\r\n 0\r\n\r\n`,
  identity: `${POST}Transfer-Encoding: identity\r\n\r\n`,
  xchunked: `${POST}Transfer-Encoding: xchunked\r\n\r\n${NO_CHUNKS}`,
  'chunked and identity': `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${NO_CHUNKS}`,
  'identity and chunked': `${POST}Transfer-Encoding: identity, chunked\r\n\r\n${NO_CHUNKS}`,
  'chunked twice': `${POST}${CHUNKED}${CHUNKED}\r\n${NO_CHUNKS}`,
  'chunked twice in one line': `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n${NO_CHUNKS}`,
  'chunked beside nonsense': `${POST}${CHUNKED}Transfer-Encoding: cow\r\n\r\n${NO_CHUNKS}`,
  'nonsense before chunked': `${POST}Transfer-Encoding: cow\r\n${CHUNKED}\r\n${NO_CHUNKS}`,
  'a tab within the value': `${POST}Transfer-Encoding: \tchunked,\r\n\r\n${NO_CHUNKS}`,
  'a vertical tab before chunked': `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n${NO_CHUNKS}`,
  'quotes around chunked': `${POST}Transfer-Encoding: 'chunked'\r\n\r\n${NO_CHUNKS}`,
  'a parameter of chunked': `${POST}Transfer-Encoding: chunked;q=1\r\n\r\n${NO_CHUNKS}`,
  'a folded coding': `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${NO_CHUNKS}`,
  'a coding with a space before the colon': `${POST}Transfer-Encoding : chunked\r\n\r\n${NO_CHUNKS}`,
  'a coding behind a bare LF': `${POST}X: y\nTransfer-Encoding: chunked\r\n\r\n${NO_CHUNKS}`,
  'a coding behind a bare CR': `${POST}X: y\rTransfer-Encoding: chunked\r\n\r\n${NO_CHUNKS}`,
  'an empty coding': `${POST}Transfer-Encoding: \r\n\r\n${NO_CHUNKS}`,
  'chunked without a body in GET, with a length': `GET /x HTTP/1.1\r\n${HOST}${CHUNKED}Content-Length: 9\r\n\r\n${NO_CHUNKS}`,
};

/** Bodies that break; the upstream may have seen their beginning, never an end. */
export const BROKEN: Readonly<Record<string, string>> = {
  'a chunk size that is no number': 'x\r\n',
  'a chunk size with a sign': '+5\r\nhello\r\n0\r\n\r\n',
  'a hexadecimal prefix': '0x5\r\nhello\r\n0\r\n\r\n',
  'a chunk size over 2⁶⁴': '10000000000000005\r\nhello\r\n0\r\n\r\n',
  'an empty chunk size': '\r\nhello\r\n0\r\n\r\n',
  'white space before a chunk size': ' 5\r\nhello\r\n0\r\n\r\n',
  'a chunk size that ends in a bare LF': '5\nhello\r\n0\r\n\r\n',
  'a chunk size that ends in a bare CR': '5\rhello\r\n0\r\n\r\n',
  'a chunk extension that ends in a bare LF': '5;a=b\nhello\r\n0\r\n\r\n',
  'a NUL in a chunk extension': '5;a=\0\r\nhello\r\n0\r\n\r\n',
  'a chunk longer than it says': '5\r\nhello!\r\n0\r\n\r\n',
  'a chunk that ends in a bare LF': '5\r\nhello\n0\r\n\r\n',
  'a last chunk that ends in a bare LF': '5\r\nhello\r\n0\n\n',
  'a trailer with a bare LF': '5\r\nhello\r\n0\r\nX: y\n\r\n',
  'a folded trailer': '5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n',
  'a length in the trailers': '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n',
  'a coding in the trailers': '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
  'a trailer that is no field': `0\r\n${SMUGGLED.slice(0, 24)}\r\n\r\n`,
};
