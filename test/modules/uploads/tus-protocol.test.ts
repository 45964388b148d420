import { describe, expect, test } from 'bun:test';
import { openUploads } from './support.ts';
import { SCENARIOS, type Scenario, type Step } from './tus-scenarios.ts';

async function run({ steps, files = [] }: Scenario): Promise<void> {
  await using uploads = await openUploads({ maxFileBytes: 1000 });
  const made: string[] = [];
  const resolve = (text: string) =>
    text.replace(/\$(\d)/g, (_, number: string) => made[Number(number) - 1] ?? 'unmade');

  for (const [index, step] of steps.entries()) {
    const response = await send(uploads, step, resolve);
    const answer = await response.text();
    const where = `step ${index + 1}, ${step.send}: ${answer}`;
    expect({ where, status: response.status }).toEqual({ where, status: step.status });
    if (step.code) expect(answer).toContain(`"code":"${step.code}"`);
    for (const [name, wanted] of Object.entries(step.has ?? {})) {
      const value = response.headers.get(name);
      if (wanted instanceof RegExp) expect(value ?? `no ${name}`).toMatch(wanted);
      else expect({ name, value }).toEqual({ name, value: wanted === null ? null : resolve(wanted) });
    }
    if (step.send.startsWith('OPTIONS')) continue;
    expect(response.headers.get('tus-resumable')).toBe('1.0.0');
    const location = response.headers.get('location');
    if (location !== null && !made.includes(location)) made.push(location);
  }

  expect(await contents(uploads)).toEqual([...files]);
  expect(uploads.told.filter(({ name }) => name === 'files/created').length).toBe(files.length);
  expect(uploads.faults).toEqual([]);
}

function send(uploads: Awaited<ReturnType<typeof openUploads>>, step: Step, resolve: (text: string) => string) {
  const [method, path] = step.send.split(' ') as [string, string];
  const headers = new Headers();
  for (const [name, value] of Object.entries({ 'Tus-Resumable': '1.0.0', ...step.with })) {
    if (value !== null) headers.set(name, resolve(value));
  }
  const person = step.as === undefined ? 'alice' : step.as;
  return uploads.request(person, method, resolve(path), {
    headers,
    ...(step.body === undefined ? {} : { body: step.body }),
  });
}

async function contents(uploads: Awaited<ReturnType<typeof openUploads>>): Promise<string[]> {
  const list = await uploads.request('alice', 'GET', '/api/files');
  const { items } = (await list.json()) as { items: { url: string; type: string }[] };
  const found: string[] = [];
  for (const { url, type } of items.reverse()) {
    expect(type).not.toContain('html');
    found.push(await (await uploads.request('alice', 'GET', url)).text());
  }
  return found;
}

for (const [name, scenarios] of Object.entries(SCENARIOS)) {
  describe(`tus: ${name}`, () => {
    for (const scenario of scenarios) test(scenario.rule, () => run(scenario));
  });
}
