import { timeBoundsOf } from './event-time.ts';
import { describe } from './explain.ts';
import type { Plan } from './plan.ts';
import { type StateGrowth, stateGrowth, viewGrowth } from './state-growth.ts';
import { inputsOf } from './walk.ts';

/** The widest text of an operator that a line begins with. */
const TITLE_CHARS = 60;

/**
 * What EXPLAIN says beneath the plan of something that is kept current: where event time comes from and which columns of the result it bounds, and
 * by what the state of each operator is bounded. `keepsResult`: the rows of the result are kept too, as a view does.
 */
export function explainBounds(plan: Plan, keepsResult: boolean): string[] {
  return [...eventTime(plan), ...states(plan, keepsResult)];
}

function eventTime(plan: Plan): string[] {
  const lines: string[] = [];
  const visit = (node: Plan): void => {
    for (const input of inputsOf(node)) visit(input);
    if (node.op !== 'scan') return;
    const bounds = [...timeBoundsOf(node)];
    if (bounds.length === 0) return;
    const names = bounds.map(([column]) => node.schema[column].name).join(', ');
    const late = bounds.every(([, { firm }]) => firm)
      ? 'late rows are left out'
      : "late rows still count, so no state is let go of (late = 'drop' would)";
    const line = `event time of ${node.name}: ${names}; ${late}`;
    if (!lines.includes(line)) lines.push(line);
  };
  visit(plan);
  if (lines.length === 0) return ['event time: none, no source has a WATERMARK that is read'];
  const left = [...timeBoundsOf(plan)].map(([column]) => plan.schema[column].name);
  const result = left.length === 0 ? 'none: no column says when a row is final' : left.join(', ');
  return [...lines, `event time of the result: ${result}`];
}

function states(plan: Plan, keepsResult: boolean): string[] {
  const lines: string[] = [];
  const visit = (node: Plan): void => {
    const growth = stateGrowth(node);
    if (growth !== null) {
      const title = describe(node);
      const short = title.length > TITLE_CHARS ? `${title.slice(0, TITLE_CHARS - 1)}…` : title;
      lines.push(`state of ${short}: ${growthText(growth)}`);
    }
    for (const input of inputsOf(node)) visit(input);
  };
  visit(plan);
  return keepsResult ? [`state of the view: ${growthText(viewGrowth(plan))}`, ...lines] : lines;
}

const growthText = ({ bound, reason, fix }: StateGrowth): string =>
  bound === 'unbounded' ? `without bound: ${reason}; ${fix}` : reason;
