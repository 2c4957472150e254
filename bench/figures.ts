/** What a benchmark puts out, how it is judged, and how it is written down. */

/** A number measured several times, and what it ought to be. */
export interface Figure {
  readonly name: string;
  readonly values: readonly number[];
  readonly unit?: 'ms' | 'events';
  readonly target: { readonly atLeast: number } | { readonly atMost: number };
  /**
   * Which of the values is held to the target: of a comparison the median, because other work on the machine spoils
   * single repeats; of a promise that must never be broken the worst.
   *
   * @default 'median'
   */
  readonly judgedBy?: 'median' | 'worst';
  /** The absolute numbers behind it, for orientation only. */
  readonly remark?: string;
}

export interface Summary {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function summaryOf(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  return { min: sorted[0] ?? NaN, median: quantile(sorted, 0.5), max: sorted.at(-1) ?? NaN };
}

/** @param sorted in ascending order */
export function quantile(sorted: readonly number[], share: number): number {
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? NaN;
  const above = sorted[Math.ceil(position)] ?? NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export function meets({ values, target, judgedBy = 'median' }: Figure): boolean {
  const { min, median, max } = summaryOf(values);
  if ('atLeast' in target) return (judgedBy === 'median' ? median : min) >= target.atLeast;
  return (judgedBy === 'median' ? median : max) <= target.atMost;
}

/** Digits enough to compare, never more than were measured. */
export function written(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The figures as a Markdown table. */
export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { min, median, max } = summaryOf(figure.values);
    const unit = figure.unit === undefined ? '' : ` ${figure.unit}`;
    const target =
      'atLeast' in figure.target ? `≥ ${figure.target.atLeast}${unit}` : `≤ ${figure.target.atMost}${unit}`;
    const judged = figure.judgedBy === 'worst' ? ', always' : '';
    const cells = [
      figure.name,
      ...[min, median, max].map((value) => `${written(value)}${unit}`),
      String(figure.values.length),
      `${target}${judged}`,
      meets(figure) ? 'met' : '**missed**',
      figure.remark ?? '',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| what | min | median | max | repeats | target | | in this run |',
    '| --- | ---: | ---: | ---: | ---: | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
