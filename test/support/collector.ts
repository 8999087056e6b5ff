// A collector of OTLP over HTTP: a real server that reads protobuf.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import protobuf from 'protobufjs/light.js';

const field = (id: number, type: string) => ({ id, type });
const many = (id: number, type: string) => ({ id, type, rule: 'repeated' });

/** opentelemetry/proto/trace/v1/trace.proto, as far as it is looked at. */
const REQUEST = protobuf.Root.fromJSON({
  nested: {
    AnyValue: {
      fields: { stringValue: field(1, 'string'), intValue: field(3, 'int64'), doubleValue: field(4, 'double') },
    },
    KeyValue: { fields: { key: field(1, 'string'), value: field(2, 'AnyValue') } },
    Resource: { fields: { attributes: many(1, 'KeyValue') } },
    Link: { fields: { traceId: field(1, 'bytes'), spanId: field(2, 'bytes') } },
    Status: { fields: { code: field(3, 'int32') } },
    Span: {
      fields: {
        traceId: field(1, 'bytes'),
        spanId: field(2, 'bytes'),
        parentSpanId: field(4, 'bytes'),
        name: field(5, 'string'),
        kind: field(6, 'int32'),
        from: field(7, 'fixed64'),
        to: field(8, 'fixed64'),
        attributes: many(9, 'KeyValue'),
        links: many(13, 'Link'),
        status: field(15, 'Status'),
      },
    },
    ScopeSpans: { fields: { spans: many(2, 'Span') } },
    ResourceSpans: { fields: { resource: field(1, 'Resource'), scopeSpans: many(2, 'ScopeSpans') } },
    Request: { fields: { resourceSpans: many(1, 'ResourceSpans') } },
  },
}).lookupType('Request');

type Attributes = Readonly<Record<string, string | number | undefined>>;

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '': it is the first of its trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: 'INTERNAL' | 'SERVER' | 'CLIENT';
  /** Nanoseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
}

export class Collector {
  readonly spans: CollectedSpan[] = [];
  /** Bodies as they came. */
  readonly received: Buffer[] = [];
  /** What the next requests get instead of 200. */
  readonly answers: ((response: ServerResponse) => void)[] = [];
  otherwise: ((response: ServerResponse) => void) | undefined;
  resource: Attributes = {};
  requests = 0;
  last: IncomingMessage | undefined;
  origin = '';
  readonly #changed = new EventTarget();

  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    this.requests += 1;
    this.last = request;
    const answer = this.answers.shift() ?? this.otherwise;
    if (answer !== undefined) return answer(response);
    this.#read(Buffer.concat(pieces));
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    this.#changed.dispatchEvent(new Event('changed'));
  }

  #read(body: Buffer): void {
    this.received.push(body);
    const options = { longs: Number, bytes: Array, defaults: true, arrays: true };
    const { resourceSpans } = REQUEST.toObject(REQUEST.decode(body), options) as {
      resourceSpans: readonly RawResource[];
    };
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resource = attributesOf(resource.attributes);
      this.spans.push(...scopeSpans.flatMap(({ spans }) => spans.map(spanOf)));
    }
  }

  /** The only one of its kind. */
  spanOf(kind: CollectedSpan['kind']): CollectedSpan {
    const [span, ...others] = this.spans.filter((one) => one.kind === kind);
    if (span === undefined || others.length > 0)
      throw new Error(`${others.length + Number(span !== undefined)} spans of kind ${kind}`);
    return span;
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await once(this.#changed, 'changed');
  }
}

interface RawAttribute {
  readonly key: string;
  readonly value: { readonly stringValue: string; readonly intValue: number };
}

interface RawResource {
  readonly resource: { readonly attributes: readonly RawAttribute[] };
  readonly scopeSpans: readonly { readonly spans: readonly RawSpan[] }[];
}

interface RawSpan extends Pick<CollectedSpan, 'name' | 'from' | 'to'> {
  readonly traceId: readonly number[];
  readonly spanId: readonly number[];
  readonly parentSpanId: readonly number[];
  readonly kind: number;
  readonly attributes: readonly RawAttribute[];
  readonly links: readonly { readonly traceId: readonly number[]; readonly spanId: readonly number[] }[];
  readonly status: { readonly code: number } | null;
}

const hex = (bytes: readonly number[]) => Buffer.from(bytes).toString('hex');

function spanOf({ traceId, spanId, parentSpanId, kind, attributes, links, status, ...same }: RawSpan): CollectedSpan {
  return {
    ...same,
    traceId: hex(traceId),
    spanId: hex(spanId),
    parentSpanId: hex(parentSpanId),
    kind: kind === 2 ? 'SERVER' : kind === 3 ? 'CLIENT' : 'INTERNAL',
    attributes: attributesOf(attributes),
    links: links.map((link) => ({ traceId: hex(link.traceId), spanId: hex(link.spanId) })),
    failed: status?.code === 2,
  };
}

function attributesOf(attributes: readonly RawAttribute[]): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue || value.intValue]));
}

export async function startCollector(t: Pick<TestContext, 'after'>): Promise<Collector> {
  const collector = new Collector();
  const server = createServer((request, response) => void collector.take(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  collector.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return collector;
}
