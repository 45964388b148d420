import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { planSizes } from '../../src/drivers/bun-image.ts';
import { childImages } from '../../src/drivers/child-images.ts';
import type { ImageRecipe, RenderedImage } from '../../src/ports/images.ts';
import { recordingLog } from '../support/fakes.ts';
import {
  ANIMATED_GIF,
  bomb,
  coloursAt,
  halves,
  jpeg,
  noise,
  POLYGLOT,
  png,
  sizeOf,
  withExif,
} from '../support/pictures.ts';

let images: ReturnType<typeof childImages>;
beforeAll(() => {
  images = childImages({ log: recordingLog() });
});
afterAll(() => images.stop());

const recipe = (changes: Partial<ImageRecipe> = {}): ImageRecipe => ({
  width: null,
  height: null,
  fit: 'inside',
  format: 'png',
  quality: 90,
  ...changes,
});

async function render(source: Uint8Array, changes: Partial<ImageRecipe> = {}): Promise<RenderedImage> {
  const outcome = await images.render(source, recipe(changes));
  if (outcome.status !== 'done') throw new Error(outcome.status);
  expect(await sizeOf(outcome.result.bytes)).toBe(`${outcome.result.width}x${outcome.result.height}`);
  return outcome.result;
}

const RED = [255, 0, 0, 255];
const BLUE = [0, 0, 255, 255];

describe('a picture', () => {
  const fits: { ask: Partial<ImageRecipe>; size: string }[] = [
    { ask: { width: 100 }, size: '100x50' },
    { ask: { height: 50 }, size: '100x50' },
    { ask: { width: 100, height: 100 }, size: '100x50' },
    { ask: { width: 60, height: 100, fit: 'fill' }, size: '60x100' },
    { ask: { width: 60, height: 60, fit: 'cover' }, size: '60x60' },
    { ask: { width: 60, height: 100, fit: 'cover' }, size: '60x100' },
    { ask: { width: 160, height: 20, fit: 'cover' }, size: '160x20' },
    { ask: {}, size: '200x100' },
    // Nothing is enlarged.
    { ask: { width: 1000, height: 1000 }, size: '200x100' },
    { ask: { width: 1000, height: 1000, fit: 'cover' }, size: '100x100' },
    { ask: { width: 1000, height: 50, fit: 'fill' }, size: '200x50' },
  ];
  for (const format of ['png', 'jpeg', 'webp'] as const) {
    test.each(fits)(`of 200x100 becomes $size for $ask as ${format}`, async ({ ask, size }) => {
      const { bytes } = await render(halves(200, 100), { ...ask, format });
      expect(await sizeOf(bytes)).toBe(size);
      expect((await new Bun.Image(bytes).metadata()).format).toBe(format);
    });
  }

  test('is cut at its centre', async () => {
    const source = png(300, 100, (x) =>
      x < 100 ? [0, 255, 0] : x < 150 ? [255, 0, 0] : x < 200 ? [0, 0, 255] : [0, 255, 0],
    );
    const { bytes } = await render(source, { width: 100, height: 100, fit: 'cover' });
    expect(await coloursAt(bytes, [0.1, 0.5], [0.9, 0.5])).toEqual([RED, BLUE]);
  });

  test('keeps its transparency, and lies on white where the format has none', async () => {
    const source = png(40, 20, (x) => (x < 20 ? [255, 0, 0, 0] : [0, 0, 255, 255]));
    for (const fit of ['inside', 'cover'] as const) {
      const kept = await render(source, { width: 20, height: 10, fit });
      expect((await coloursAt(kept.bytes, [0, 0.5]))[0]?.[3]).toBe(0);
      const { bytes } = await render(source, { width: 20, height: 10, fit, format: 'jpeg' });
      const [left] = await coloursAt(bytes, [0, 0.5]);
      for (const channel of left ?? []) expect(channel).toBeGreaterThan(245);
    }
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'of EXIF orientation %p stands upright and says nothing of where it was made',
    async (orientation) => {
      const secret = 'GPS 48.8584 N 2.2945 E';
      const source = withExif(await jpeg(halves(64, 32)), orientation, secret);
      for (const format of ['jpeg', 'png', 'webp'] as const) {
        for (const ask of [{}, { width: 16, height: 16, fit: 'cover' }] as const) {
          const { bytes } = await render(source, { ...ask, format });
          expect(Buffer.from(bytes).includes(secret)).toBe(false);
          expect(Buffer.from(bytes).includes('Exif')).toBe(false);
        }
      }
      const { bytes } = await render(source);
      expect(await sizeOf(bytes)).toBe(orientation >= 5 ? '32x64' : '64x32');
      // Where the red half ends up (EXIF 2.32, table of orientations).
      const red = {
        1: [0, 0.5],
        2: [1, 0.5],
        3: [1, 0.5],
        4: [0, 0.5],
        5: [0.5, 0],
        6: [0.5, 0],
        7: [0.5, 1],
        8: [0.5, 1],
      }[orientation] as [number, number];
      const [colour] = await coloursAt(bytes, red);
      expect(colour?.[0]).toBeGreaterThan(200);
      expect(colour?.[2]).toBeLessThan(60);
    },
  );

  test('of an animation is its first frame', async () => {
    const { bytes } = await render(ANIMATED_GIF);
    expect(await coloursAt(bytes, [0, 0])).toEqual([RED]);
  });

  test('of a polyglot is the picture alone', async () => {
    const { bytes } = await render(POLYGLOT);
    expect(Buffer.from(bytes).includes('script')).toBe(false);
  });

  test('of a photograph that was cut off shows what there is', async () => {
    const whole = await jpeg(noise(200, 200));
    expect(await sizeOf((await render(whole.subarray(0, whole.length / 2), { width: 50 })).bytes)).toBe('50x50');
  });
});

describe('what is not worth decoding', () => {
  const faulty: { what: string; source: () => Uint8Array; status: string }[] = [
    { what: 'a bomb of 3.6 gigapixels', source: () => bomb(60_000, 60_000), status: 'too-many-pixels' },
    { what: 'a bomb of the largest size', source: () => bomb(2 ** 31 - 1, 2 ** 31 - 1), status: 'too-many-pixels' },
    { what: 'nothing', source: () => new Uint8Array(0), status: 'unreadable' },
    { what: 'a text', source: () => Buffer.from('hello'), status: 'unreadable' },
    {
      what: 'SVG',
      source: () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'),
      status: 'unreadable',
    },
    { what: 'a PNG cut off', source: () => noise(50, 50).subarray(0, 300), status: 'unreadable' },
    { what: 'a PNG of no size', source: () => bomb(0, 0), status: 'unreadable' },
    {
      what: 'a file of another kind that Bun may know',
      source: () => Buffer.from('49492a0008000000', 'hex'),
      status: 'unreadable',
    },
  ];
  test.each(faulty)('$what is told so', async ({ source, status }) => {
    const startedAt = performance.now();
    expect((await images.render(source(), recipe({ width: 10 }))).status).toBe(status as never);
    expect((await images.thumbhash(source())).status).toBe(status as never);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('a strip that would be huge before it is cut is told so', async () => {
    // Scaled to cover it would keep its 13 megapixels.
    const strip = bomb(13_000, 1_000);
    const outcome = await images.render(strip, recipe({ width: 1000, height: 1000, fit: 'cover' }));
    expect(outcome.status).toBe('too-many-pixels');
  });

  test('bytes at random places never end the child nor the wait', async () => {
    const sources = [
      await jpeg(noise(60, 40)),
      noise(60, 40),
      await new Bun.Image(noise(60, 40)).webp().bytes(),
      POLYGLOT,
    ];
    let state = 7;
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const statuses = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const source = Buffer.from(sources[round % sources.length] as Uint8Array);
      for (let count = next(8) + 1; count > 0; count--) source[next(source.length)] = next(256);
      statuses.add((await images.render(source, recipe({ width: 16, format: 'webp' }))).status);
    }
    expect(statuses.has('too-costly')).toBe(false);
    expect(statuses.has('done')).toBe(true);
  });
});

describe('the ThumbHash', () => {
  test('is that of the picture', async () => {
    const { thumbHashToAverageRGBA, thumbHashToApproximateAspectRatio } = await import('thumbhash');
    const outcome = await images.thumbhash(png(400, 200, () => [200, 100, 50]));
    if (outcome.status !== 'done') throw new Error(outcome.status);
    const bytes = Buffer.from(outcome.result, 'base64');
    const { r, g, b, a } = thumbHashToAverageRGBA(bytes);
    expect([r, g, b, a].map((part) => Math.round(part * 10) / 10)).toEqual([0.8, 0.4, 0.2, 1]);
    expect(thumbHashToApproximateAspectRatio(bytes)).toBeGreaterThan(1.5);
  });

  test('exists for the smallest and the oddest', async () => {
    for (const [width, height] of [
      [1, 1],
      [1, 3000],
      [3000, 1],
    ] as const) {
      expect((await images.thumbhash(png(width, height, () => [1, 2, 3, 4]))).status).toBe('done');
    }
  });
});

test('many at once cost this process next to nothing', async () => {
  const source = await jpeg(noise(1200, 900));
  await render(source);
  const before = process.cpuUsage();
  const made = await Promise.all(
    Array.from({ length: 12 }, () => render(source, { width: 800, height: 800, fit: 'cover' })),
  );
  const { user, system } = process.cpuUsage(before);
  expect(new Set(made.map(({ bytes }) => Bun.hash(bytes))).size).toBe(1);
  // Two seconds of work were done elsewhere.
  expect((user + system) / 1000).toBeLessThan(700);
}, 30_000);

test('sizes are whole and at least one pixel, whatever is asked', () => {
  for (const size of [
    { width: 1, height: 1 },
    { width: 1, height: 50_000_000 },
    { width: 7071, height: 7071 },
  ]) {
    for (const fit of ['inside', 'cover', 'fill'] as const) {
      for (const [width, height] of [
        [1, 1],
        [16, 2560],
        [2560, 16],
        [null, 16],
      ] as const) {
        const { scaled, cut } = planSizes(size, { width, height, fit });
        for (const side of [scaled.width, scaled.height, cut.width, cut.height]) {
          expect(Number.isInteger(side) && side >= 1).toBe(true);
        }
        expect(cut.width <= scaled.width && cut.height <= scaled.height).toBe(true);
        expect(cut.width <= size.width && cut.height <= size.height).toBe(true);
      }
    }
  }
});
