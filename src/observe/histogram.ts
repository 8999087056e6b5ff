// A histogram: observations by the value of one label and by bucket, as prom-client's JSON.

/** A request that shows what a bucket counts (OpenMetrics 1.0, exemplars). */
type Example = Readonly<Record<string, string>>;

interface Series {
  /** By bucket, those beyond the last bound behind them. */
  readonly counts: Float64Array;
  readonly examples: (object | null)[];
  sum: number;
}

/** What a registry of prom-client asks of a metric. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'histogram';
  readonly aggregator: 'sum';
  readonly values: readonly object[];
}

/**
 * prom-client's own puts a key together for each observation, and looks for its bucket twice: half of what the metrics of a
 * request cost. Has one label or none.
 */
export class Histogram {
  readonly name: string;
  readonly type = 'histogram';
  readonly #help: string;
  readonly #label: string | undefined;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  /** @param bounds ascending */
  constructor(
    { name, help, labels }: { readonly name: string; readonly help: string; readonly labels: readonly string[] },
    bounds: readonly number[],
  ) {
    if (labels.length > 1) throw new Error(`${name} has more than one label`);
    this.name = name;
    this.#help = help;
    [this.#label] = labels;
    this.#bounds = bounds;
    if (labels.length === 0) this.zero('');
  }

  /** @param of value of the label; empty where there is none @param example labels of an exemplar */
  observe(of: string, value: number, example?: Example): void {
    const series = this.#series.get(of) ?? this.zero(of);
    const { counts, examples } = series;
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] ?? 0)) bucket += 1;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    series.sum += value;
    if (example !== undefined) examples[bucket] = { labelSet: example, value, timestamp: Date.now() / 1000 };
  }

  /** Shows it from now on, without an observation. @param of value of the label */
  zero(of: string): Series {
    const buckets = this.#bounds.length + 1;
    const examples = Array.from({ length: buckets }, () => null);
    const series: Series = { counts: new Float64Array(buckets), examples, sum: 0 };
    this.#series.set(of, series);
    return series;
  }

  /** @param labels of a series that is shown no longer */
  remove(labels: Readonly<Record<string, string | number>>): void {
    if (this.#label !== undefined) this.#series.delete(String(labels[this.#label]));
  }

  async get(): Promise<Metric> {
    const values = [...this.#series].flatMap(([of, series]) => this.#valuesOf(of, series));
    return { name: this.name, help: this.#help, type: this.type, aggregator: 'sum', values };
  }

  #valuesOf(of: string, { counts, examples, sum }: Series): object[] {
    const own = this.#label === undefined ? {} : { [this.#label]: of };
    let count = 0;
    const buckets = examples.map((exemplar, at) => {
      count += counts[at] ?? 0;
      const labels = { le: this.#bounds[at] ?? '+Inf', ...own };
      return { labels, value: count, metricName: `${this.name}_bucket`, exemplar };
    });
    return [
      ...buckets,
      { labels: { ...own }, value: sum, metricName: `${this.name}_sum` },
      { labels: { ...own }, value: count, metricName: `${this.name}_count` },
    ];
  }
}
