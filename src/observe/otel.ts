// Spans by the OpenTelemetry SDK, and their way to a collector (OTLP over HTTP).

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction } from 'node:net';
import {
  type Context,
  createNoopMeter,
  type Link,
  type Meter,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace as spans,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  RandomIdGenerator,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { TracingRules } from '../policy/tracing.ts';
import { hasFailed, serverAttributes, stepAttributes, upstreamAttributes } from './span-attributes.ts';
import type { CountSpans } from './trace-metrics.ts';
import type { ExchangeStep, Trace, TraceRecord } from './trace-record.ts';

export interface ExporterTerms {
  readonly count: CountSpans;
  /** @param code of Node, or the status of the collector: nothing that it wrote */
  readonly failed: (code: string) => void;
  readonly lookup: LookupFunction;
  /** Of this thread, `service.instance.id`. */
  readonly instance: string;
}

/** Batches that can be on their way at once: a whole queue, when it is flushed. */
const BATCHES = 4;
/** Milliseconds that spans wait for others to go with them. */
const DELAY = 5000;

/** Makes spans of records and sends them in batches. Never throws for what the collector does. */
export class Exporter {
  readonly #rules: TracingRules;
  readonly #ids = new GivenIds();
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  #agent: HttpAgent | undefined;

  constructor(rules: TracingRules, { count, failed, lookup, instance }: ExporterTerms) {
    this.#rules = rules;
    const exporter = new OTLPTraceExporter({
      url: rules.endpoint,
      headers: Object.fromEntries(rules.headers),
      timeoutMillis: rules.timeout * 1000,
      concurrencyLimit: BATCHES,
      httpAgentOptions: (protocol) => (this.#agent = openAgent(protocol, { ca: rules.ca, lookup })),
    });
    const processor = new BatchSpanProcessor({
      exporter: watched(exporter, count, failed),
      maxQueueSize: rules.queue,
      maxExportBatchSize: Math.ceil(rules.queue / BATCHES),
      scheduledDelayMillis: DELAY,
      exportTimeoutMillis: rules.timeout * 1000,
      selfObsMeterProvider: { getMeter: () => droppedMeter(() => count('dropped', 1)) },
    });
    const own = {
      'service.name': 'holdfast',
      'service.instance.id': instance,
      ...Object.fromEntries(rules.attributes),
    };
    this.#provider = new TracerProvider({
      resource: defaultResource().merge(resourceFromAttributes(own)),
      // What is not sampled is never written.
      sampler: new AlwaysOnSampler(),
      idGenerator: this.#ids,
      spanProcessors: [processor],
    });
    this.#tracer = this.#provider.getTracer('holdfast');
  }

  /** Of a sampled exchange. Costs some 12 µs for each span. */
  write(record: TraceRecord): void {
    const { trace, line, steps, upstream } = record;
    // The monotonic clock says how long something took, this one when it was.
    const epoch = Date.now() - performance.now();
    const make = (name: string, span: SpanTerms, parent: Context): Span => {
      const { kind = SpanKind.INTERNAL, attributes, links = [], from, to, failed = false } = span;
      const made = this.#tracer.startSpan(name, { kind, startTime: epoch + from, attributes, links }, parent);
      if (failed) made.setStatus({ code: SpanStatusCode.ERROR });
      made.end(epoch + to);
      return made;
    };
    this.#ids.give(trace.traceId, trace.spanId);
    const { name, attributes } = serverAttributes(record, this.#rules.clientAddress);
    const links = linksOf(trace);
    const whole = { ...record, kind: SpanKind.SERVER, attributes, links, failed: hasFailed(line) };
    const below = spans.setSpan(ROOT_CONTEXT, make(name, whole, parentOf(trace)));
    const within = new Map<ExchangeStep['name'], Context>();
    for (const step of steps.toSorted((one, other) => one.from - other.from)) {
      const parent = step.issuer === undefined ? below : (within.get('token') ?? below);
      const made = make(step.name, { ...step, attributes: stepAttributes(step) }, parent);
      within.set(step.name, spans.setSpan(ROOT_CONTEXT, made));
    }
    if (upstream === undefined) return;
    this.#ids.give(trace.traceId, trace.upstreamSpanId);
    const sent = upstreamAttributes(record);
    make(sent.name, { ...upstream, kind: SpanKind.CLIENT, attributes: sent.attributes, failed: sent.failed }, below);
  }

  /** Sends what is there. @param patience milliseconds; what is not taken by then is lost */
  async close(patience: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patience);
    });
    // It rejects where the collector does not take them, which was counted.
    await Promise.race([this.#provider.shutdown().catch(() => {}), late]);
    clearTimeout(timer);
    this.#agent?.destroy();
  }
}

interface SpanTerms {
  readonly kind?: SpanKind;
  readonly attributes: Record<string, string | number>;
  readonly links?: Link[];
  readonly from: number;
  readonly to: number;
  readonly failed?: boolean;
}

/** Ids of traces are given: the upstream was told them long before there are spans. */
class GivenIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #traceId: string | undefined;
  #spanId: string | undefined;

  /** For the next span. */
  give(traceId: string, spanId: string): void {
    this.#traceId = traceId;
    this.#spanId = spanId;
  }

  generateTraceId(): string {
    return this.#traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    const given = this.#spanId;
    this.#spanId = undefined;
    return given ?? this.#random.generateSpanId();
  }
}

function parentOf({ traceId, parentId }: Trace): Context {
  if (parentId === undefined) return ROOT_CONTEXT;
  const parent: SpanContext = { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return spans.setSpanContext(ROOT_CONTEXT, parent);
}

function linksOf({ link }: Trace): Link[] {
  return link === undefined ? [] : [{ context: { ...link, traceFlags: TraceFlags.NONE, isRemote: true } }];
}

function openAgent(
  protocol: string,
  { ca, lookup }: { readonly ca: string | undefined; readonly lookup: LookupFunction },
): HttpAgent {
  const options = { keepAlive: true, maxSockets: BATCHES, lookup };
  return protocol === 'http:'
    ? new HttpAgent(options)
    : new HttpsAgent({ ...options, ...(ca !== undefined && { ca }) });
}

/** The same exporter, counted. */
function watched(exporter: SpanExporter, count: ExporterTerms['count'], failed: ExporterTerms['failed']): SpanExporter {
  return {
    export: (batch, done) =>
      exporter.export(batch, (result) => {
        const good = result.error === undefined && !result.code;
        count(good ? 'exported' : 'failed', batch.length);
        if (!good) failed(codeOf(result.error));
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
  };
}

/** `HTTP 503`, ECONNREFUSED, or the name of the error. */
function codeOf(error: (Error & { readonly code?: unknown }) | undefined): string {
  const { code, name = 'failed' } = error ?? {};
  return typeof code === 'number' ? `HTTP ${code}` : typeof code === 'string' ? code : name;
}

/** Of all that the SDK measures of itself, the spans that a full queue drops. */
function droppedMeter(dropped: () => void): Meter {
  const counter = {
    add: (_spans: number, attributes?: Record<string, unknown>) => {
      if (attributes?.['error.type'] === 'queue_full') dropped();
    },
  };
  return Object.assign(Object.create(createNoopMeter()) as Meter, { createCounter: () => counter });
}
